//! Logs: to stderr, from our own crates alone.

use std::io;

use anyhow::{Context, Result};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging at `level`: a level, or directives as in `RUST_LOG`.
///
/// Libraries log messages and values in full, patient data with them, so theirs are dropped at every
/// level.
pub(crate) fn start(level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(directives(level))
        .with_context(|| format!("`{level}` is no log level; try error, warn, info or debug"))?;
    let ours = filter_fn(|metadata| metadata.target().starts_with("healthimaging"));
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_filter(ours);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(())
}

/// The words that Python servers use are understood too.
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
    fn levels_of_both_worlds_are_understood() {
        for level in ["", "WARNING", "CRITICAL", "info", "ERROR", "healthimaging_local=debug,warn"]
        {
            assert!(EnvFilter::try_new(directives(level)).is_ok(), "{level}");
        }
        assert!(EnvFilter::try_new(directives("very loud=1=2")).is_err());
    }
}
