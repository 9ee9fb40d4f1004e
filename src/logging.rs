//! Logs: to stderr, from our own crates alone.

use std::io;

use anyhow::{Context, Result, bail};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::outcome::InvalidOption;

/// Variable that other Rust programs read too, so that it may hold directives that mean nothing here.
const SHARED: &str = "RUST_LOG";

/// Starts logging at the level that `source` (a flag or a variable) has: a level, or directives as in `RUST_LOG`.
///
/// Libraries log messages and values in full, patient data with them, so theirs are dropped at every
/// level.
pub(crate) fn start(level: &str, source: &str) -> Result<()> {
    let filter = filter(level, source)?;
    let ours = filter_fn(|metadata| metadata.target().starts_with("healthimaging"));
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_filter(ours);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(())
}

fn filter(level: &str, source: &str) -> Result<EnvFilter> {
    let invalid = || {
        InvalidOption(format!(
            "{source} is not a log level: use error, warn, info, debug or trace, or directives such as \
             healthimaging_http=debug"
        ))
    };
    let directives = directives(level);
    // A word that is not a level would be read as the name of a crate, all of which is logged.
    let mut parts = directives.split(',').map(str::trim);
    let is_valid = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    if source != SHARED && !parts.all(is_valid) {
        bail!(invalid());
    }
    EnvFilter::try_new(directives).with_context(invalid)
}

/// The levels of Python servers, in our words.
fn directives(level: &str) -> String {
    match level.trim().to_ascii_uppercase().as_str() {
        "" | "WARNING" => "warn".to_owned(),
        "CRITICAL" | "FATAL" => "error".to_owned(),
        _ => level.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_rust_and_python_are_accepted() {
        for level in
            ["", "WARNING", "CRITICAL", "info", "ERROR", "off", "healthimaging_local=debug,warn"]
        {
            assert!(filter(level, "--log-level").is_ok(), "{level}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for level in ["loud", "very loud=1=2", "info,loud", "healthimaging_local=loud"] {
            let error = filter(level, "--log-level").unwrap_err().to_string();
            assert!(
                error.starts_with("--log-level is not a log level: use error, warn"),
                "{error}"
            );
            assert!(!error.contains("loud"), "{error}");
        }
        assert!(filter("another_program", SHARED).is_ok());
    }
}
