#![doc = include_str!("../README.md")]

mod attributes;
mod document;
mod layer;
mod patient;
mod pictures;
mod resolve;
mod scrub;
mod token;

use std::fmt;

use healthimaging::Result;
use healthimaging_deidentify::Key;

use attributes::Rules;
use patient::UID;
use token::Tokens;

pub use layer::Redacted;
pub use scrub::Sent;

/// Class of the tokens of locations of files.
const PATH: &str = "path";

/// Shows values as tokens, shifted dates and cleaned texts, and takes tokens back.
pub struct Redactor {
    tokens: Tokens,
    key: Key,
    rules: Rules,
}

impl Redactor {
    /// Creates a redactor. Its tokens and shifts follow from the key, and differ from those of de-identified exports
    /// with it. A strict one also withholds descriptions, free text, and pictures that may show text.
    pub fn new(key: &Key, is_strict: bool) -> Result<Self> {
        let key = key.derived("redact-phi");
        Ok(Self { tokens: Tokens::new(&key), key, rules: Rules::new(is_strict)? })
    }

    /// Whether it also withholds descriptions, free text, and pictures that may show text.
    pub fn is_strict(&self) -> bool {
        self.rules.is_strict()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("rules", &self.rules).finish_non_exhaustive()
    }
}
