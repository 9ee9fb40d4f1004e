//! The key of the log: one file of the data folder, from which the key of digests and the key of signatures are derived.

#[cfg(unix)]
use std::fs::File;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::key_file::{self, Readers};
use crate::tail::segments;

/// Name of the key in the folder of the log.
pub(crate) const NAME: &str = "audit.key";
/// Bytes of a digest that are recorded.
const DIGEST: usize = 16;

/// The keys of a log.
pub struct Keys {
    digests: hmac::Key,
    signatures: Ed25519KeyPair,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("public_key", &self.public_key()).finish_non_exhaustive()
    }
}

impl Keys {
    /// Derives the keys from 32 secret bytes.
    fn of(secret: &[u8]) -> io::Result<Self> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |purpose: &str| hmac::sign(&secret, purpose.as_bytes());
        let digests = hmac::Key::new(
            hmac::HMAC_SHA256,
            derived("healthimaging audit: digests of values").as_ref(),
        );
        let seed = derived("healthimaging audit: signatures of heads");
        let signatures = Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
            .map_err(|_| io::Error::other("the signing key is invalid"))?;
        Ok(Self { digests, signatures })
    }

    /// Reads the key of a folder.
    ///
    /// # Errors
    ///
    /// `NotFound` without one; `PermissionDenied` if other users may read it; `InvalidData` if it is not a key.
    pub fn read(folder: &Path) -> io::Result<Self> {
        key_file::read(&folder.join(NAME), Readers::Owner)
            .map_err(named)
            .and_then(|key| Self::of(&key))
    }

    /// Reads the keys of a data folder, or makes them; a log without records is made with them.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); and if the folder cannot be written, or the log has lost its key.
    pub fn of_data_folder(data_folder: &Path) -> io::Result<Self> {
        let folder = data_folder.join(crate::FOLDER);
        make_folder(&folder)?;
        Self::read_or_make(&folder)
    }

    /// Reads the key of a folder, or makes it. A log that has lost its key gets no other one: its records could not be
    /// verified, and no patient be found in them.
    pub(crate) fn read_or_make(folder: &Path) -> io::Result<Self> {
        match Self::read(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            read => return read,
        }
        if !segments(folder)?.is_empty() {
            return match Self::read(folder) {
                // Another process has made both.
                Ok(keys) => Ok(keys),
                Err(_) => Err(io::Error::other(
                    "audit.key is missing, and the log has records that it signed; restore it, or move the folder audit \
                     away to begin a new log",
                )),
            };
        }
        key_file::read_or_make(&folder.join(NAME)).map_err(named).and_then(|key| Self::of(&key))
    }

    /// Returns the keyed digest of a value, without the padding that DICOM adds: the same value has the same digest
    /// wherever it appears.
    pub fn digest(&self, value: &str) -> String {
        self.digest_of_bytes(trimmed(value.as_bytes()))
    }

    /// Returns the keyed digest of bytes as they are.
    pub fn digest_of_bytes(&self, value: &[u8]) -> String {
        format!("hmac:{}", hex::encode(self.tag(value)))
    }

    /// Returns the bytes of the keyed digest of bytes as they are.
    pub fn tag(&self, value: &[u8]) -> [u8; DIGEST] {
        let tag = hmac::sign(&self.digests, value);
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Returns the Ed25519 signature of a text, in hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        hex::encode(self.signatures.sign(text.as_bytes()))
    }

    /// Returns the public key of the signatures, in hexadecimal.
    pub fn public_key(&self) -> String {
        hex::encode(self.signatures.public_key())
    }
}

/// Returns whether `signature` is that of `text` by `public_key`; both are hexadecimal.
pub fn verify_signature(public_key: &str, text: &str, signature: &str) -> bool {
    let (Ok(key), Ok(signature)) = (hex::decode(public_key), hex::decode(signature)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature).is_ok()
}

/// Removes spaces and null characters at both ends.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = value.iter().position(|byte| !is_padding(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// Names the key in an error that has a text of its own.
fn named(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::InvalidData if error.raw_os_error().is_none() => {
            io::Error::new(error.kind(), format!("audit/{NAME}: {error}"))
        }
        _ => error,
    }
}

/// Makes a folder that only its owner reads, unless it is there.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Options of files that only their owner reads.
pub(crate) fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
