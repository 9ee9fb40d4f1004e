//! The signed head of a chain: which record was the last when it was signed.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::keys::{Keys, owner_only, verify_signature};

/// Name of the current head in the folder of the log.
pub(crate) const NAME: &str = "head.json";

/// Head of a chain. Every record up to it was on the disk when it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the record, from 1.
    pub sequence: u64,
    /// Hash of the record.
    pub hash: String,
    /// When it was signed.
    pub time: String,
    /// The key that verifies the signature: Ed25519, hexadecimal.
    pub public_key: String,
    /// Signature of sequence, hash and time.
    pub signature: String,
}

impl Head {
    /// Signs a head.
    pub(crate) fn sign(keys: &Keys, sequence: u64, hash: &str, time: DateTime<Utc>) -> Self {
        let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let signature = keys.sign(&signed_text(sequence, hash, &time));
        let public_key = keys.public_key();
        Self { sequence, hash: hash.to_owned(), time, public_key, signature }
    }

    /// Returns whether the signature is that of `public_key`.
    pub fn is_signed_by(&self, public_key: &str) -> bool {
        let text = signed_text(self.sequence, &self.hash, &self.time);
        self.public_key == public_key && verify_signature(public_key, &text, &self.signature)
    }

    /// Reads a head; `None` if there is none.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file of a head as a whole.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let draft = path.with_extension("new");
        let mut file = owner_only().write(true).create(true).truncate(true).open(&draft)?;
        let text = serde_json::to_string(self).map_err(io::Error::other)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&draft, path)
    }
}

fn signed_text(sequence: u64, hash: &str, time: &str) -> String {
    format!("healthimaging audit head\n{sequence}\n{hash}\n{time}\n")
}
