//! How a command ended, and its exit code.

use std::fmt;
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
    /// An option is invalid: exit code 2, as that of clap.
    Misused,
}

impl Outcome {
    /// Returns its word in results.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Partly => "partly",
            Self::Misused => "misused",
        }
    }

    /// Returns how a command went of which so many items succeeded, failed, and were held back until a person has seen them.
    pub(crate) fn of_items(succeeded: u64, failed: u64, held_back: u64) -> Self {
        match (succeeded, failed, held_back) {
            (_, 0, 0) => Self::Done,
            (0, _, 0) => Self::Failed,
            _ => Self::Partly,
        }
    }

    /// Returns how a command that ended with an error went.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<InvalidOption>() { Self::Misused } else { Self::Failed }
    }
}

/// An option, or the variable of one, is invalid in a way that clap does not check.
#[derive(Debug)]
pub(crate) struct InvalidOption(pub(crate) String);

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidOption {}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Failed => Self::FAILURE,
            Outcome::Partly => Self::from(3),
            Outcome::Misused => Self::from(2),
        }
    }
}
