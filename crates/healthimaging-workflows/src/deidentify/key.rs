//! The key of pseudonyms on disk.

use std::io::{self, ErrorKind};
use std::path::Path;

use healthimaging::{Error, Result};
use healthimaging_audit::key_file::{self, Readers};
use healthimaging_deidentify::Key;

/// Name of the key in the data folder.
const NAME: &str = "deidentify.key";

/// Reads the key that a person named.
pub(super) fn given(file: &Path) -> Result<Key> {
    let secret = key_file::read(file, Readers::Any).map_err(|cause| match cause.kind() {
        ErrorKind::InvalidData => Error::validation(
            "deidentify key: the file is invalid; it must have 64 hexadecimal digits (32 bytes)",
        ),
        kind => {
            let message =
                "the file of the de-identification key cannot be read; check its path and permissions";
            match kind {
                ErrorKind::NotFound => Error::not_found(message),
                _ => Error::validation(message).with_source(cause),
            }
        }
    })?;
    Key::try_from(secret.as_slice())
}

/// Reads the key in the data folder.
pub(super) fn of_folder(folder: &Path) -> Result<Key> {
    match key_file::read(&folder.join(NAME), Readers::Owner) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Err(Error::conflict(
            "the de-identification key of the data folder is gone; restore it from a copy, or export again",
        )),
        read => key(read),
    }
}

/// Reads the key in the data folder; makes it, readable by its owner only, if there is none.
pub fn of_folder_or_new(folder: &Path) -> Result<Key> {
    key(key_file::read_or_make(&folder.join(NAME)))
}

fn key(read: io::Result<[u8; key_file::SECRET]>) -> Result<Key> {
    let secret = read.map_err(|cause| match cause.kind() {
        ErrorKind::PermissionDenied | ErrorKind::InvalidData => Error::conflict(format!(
            "the de-identification key {NAME} in the data folder cannot be used: {cause}"
        ))
        .with_source(cause),
        ErrorKind::ReadOnlyFilesystem => Error::conflict(format!(
            "the data folder has no de-identification key ({NAME}), and is read-only, so none can be made; use a folder \
             that can be written, or put a key there"
        ))
        .with_source(cause),
        _ => Error::internal(
            "the de-identification key in the data folder cannot be used; check the permissions of the folder",
            cause,
        ),
    })?;
    Key::try_from(secret.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_key_of_a_folder_is_made_once_and_asked_for_later() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of_folder(folder.path()).is_err());
        let first = of_folder_or_new(folder.path()).unwrap();
        assert_eq!(first.id(), of_folder_or_new(folder.path()).unwrap().id());
        assert_eq!(first.id(), of_folder(folder.path()).unwrap().id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.path().join(NAME);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let error = of_folder(folder.path()).unwrap_err();
            assert!(error.message().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_given_key_has_64_hexadecimal_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(given(&path).is_err());
        fs::write(&path, "0f").unwrap();
        let error = given(&path).unwrap_err();
        assert!(error.message().contains("64 hexadecimal digits"), "{error}");
        fs::write(&path, "0f".repeat(32) + "\n").unwrap();
        assert_eq!(given(&path).unwrap().id(), Key::try_from([0x0F; 32].as_slice()).unwrap().id());
    }
}
