//! What a call ends with, before a protocol sends it.

use healthimaging::Error;

use crate::answer::Answer;
use crate::arguments::Arguments;
use crate::visible;

/// Result of a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was carried out.
    Answer(Answer),
    /// The user has to agree first; the reply brings `state` back.
    Question { question: String, state: String },
    /// The user did not agree: why, and beside the error the plan and a token.
    NotAgreed { error: Error, more: Arguments },
}

impl Outcome {
    /// Returns it as it is sent: without invisible characters.
    pub(crate) fn shown(self) -> Self {
        match self {
            Self::Answer(answer) => Self::Answer(answer.shown()),
            Self::Question { question, state } => {
                Self::Question { question: visible::shown(&question).into_owned(), state }
            }
            Self::NotAgreed { error, mut more } => {
                more.values_mut().for_each(visible::show);
                Self::NotAgreed { error, more }
            }
        }
    }
}
