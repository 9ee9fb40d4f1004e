//! Logs: to stderr, from our own crates alone.

use std::io;

use anyhow::{Result, bail};
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
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

fn filter(level: &str, source: &str) -> Result<Targets> {
    let invalid = || {
        InvalidOption(format!(
            "{source} is not a log level: use error, warn, info, debug or trace, or directives such as \
             healthimaging_http=debug"
        ))
    };
    let directives = directives(level);
    let mut filter = Targets::new();
    for part in directives.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        // A word that is not a level would be read as the name of a crate, all of which is logged.
        // Spans are not filtered.
        let is_plain =
            !part.contains('[') && (part.contains('=') || part.parse::<LevelFilter>().is_ok());
        match part.parse::<Targets>() {
            Ok(directive) if is_plain => {
                filter = filter.with_targets(&directive);
                if let Some(level) = directive.default_level() {
                    filter = filter.with_default(level);
                }
            }
            _ if source == SHARED => {}
            _ => bail!(invalid()),
        }
    }
    Ok(filter)
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
        for level in [
            "loud",
            "very loud=1=2",
            "healthimaging[span]=debug",
            "info,loud",
            "healthimaging_local=loud",
        ] {
            let error = filter(level, "--log-level").unwrap_err().to_string();
            assert!(
                error.starts_with("--log-level is not a log level: use error, warn"),
                "{error}"
            );
            assert!(!error.contains("loud"), "{error}");
        }
        for shared in ["another_program", "another[span{field=1}]=debug,healthimaging=info"] {
            assert!(filter(shared, SHARED).is_ok(), "{shared}");
        }
    }
}
