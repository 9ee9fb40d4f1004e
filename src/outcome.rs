//! How a command ended, and its exit code.

use std::process::ExitCode;

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything succeeded: exit code 0.
    Done,
    /// The command failed, or everything that it tried: exit code 1.
    Failed,
    /// A part failed, the rest succeeded: exit code 3.
    Partly,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Failed => Self::FAILURE,
            Outcome::Partly => Self::from(3),
        }
    }
}
