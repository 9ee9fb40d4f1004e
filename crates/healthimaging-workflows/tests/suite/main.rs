//! What composed tools do, on a back end in memory.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod changes;
mod documents;
mod fake;
mod searches;
