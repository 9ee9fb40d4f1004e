//! The key on disk: 64 hexadecimal digits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use healthimaging::{Error, Result};
use healthimaging_deidentify::Key;

/// Name of the key in the data folder.
const NAME: &str = "deidentify.key";
/// Bytes of a file that are looked at; a key takes 65.
const LONGEST: u64 = 1 << 10;

/// Reads the key that a person named.
pub(super) fn given(file: &Path) -> Result<Key> {
    let text = read(file).map_err(|cause| {
        let message =
            "the file of the de-identification key cannot be read; check its path and permissions";
        match cause.kind() {
            ErrorKind::NotFound => Error::not_found(message),
            _ => Error::validation(message).with_source(cause),
        }
    })?;
    Key::from_hex(&text)
}

/// Reads the key in the data folder.
pub(super) fn of_folder(folder: &Path) -> Result<Key> {
    existing(folder)?.ok_or_else(|| {
        Error::conflict(
            "the de-identification key of the data folder is gone; restore it from a copy, or export again",
        )
    })
}

/// Reads the key in the data folder; makes it, readable by its owner only, if there is none.
pub fn of_folder_or_new(folder: &Path) -> Result<Key> {
    if let Some(key) = existing(folder)? {
        return Ok(key);
    }
    fs::create_dir_all(folder).and_then(|()| make(folder)).map_err(unusable)?;
    // Another process may have made it at the same time.
    existing(folder)?.ok_or_else(|| unusable(ErrorKind::NotFound.into()))
}

fn existing(folder: &Path) -> Result<Option<Key>> {
    let path = folder.join(NAME);
    let text = match read(&path) {
        Ok(text) => text,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(unusable(other)),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&path).map_err(unusable)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::conflict(format!(
                "other users may read the de-identification key {NAME} in the data folder; run chmod 600 on it"
            )));
        }
    }
    Key::from_hex(&text).map(Some)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Makes a key that is whole as soon as it has its name; an existing one stays.
fn make(folder: &Path) -> io::Result<()> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut draft_name = [0; 8];
    getrandom::fill(&mut draft_name).map_err(io::Error::other)?;
    let draft = folder.join(format!(".{NAME}.{}", hex::encode(draft_name)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let written = writeln!(file, "{}", hex::encode(bytes)).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&draft, folder.join(NAME)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    fs::remove_file(&draft)?;
    linked?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn unusable(cause: io::Error) -> Error {
    Error::internal(
        "the de-identification key in the data folder cannot be used; check the permissions of the folder",
        cause,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of_folder(folder.path()).is_err());
        let first = of_folder_or_new(folder.path()).unwrap();
        let again = of_folder_or_new(folder.path()).unwrap();
        assert_eq!(first.id(), again.id());
        assert_eq!(first.id(), of_folder(folder.path()).unwrap().id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.path().join(NAME);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let error = of_folder(folder.path()).unwrap_err();
            assert!(error.message().contains("chmod 600"), "{error}");
        }
        let other = tempfile::tempdir().unwrap();
        assert_ne!(first.id(), of_folder_or_new(other.path()).unwrap().id());
    }

    #[test]
    fn threads_that_make_a_key_at_once_get_the_same_one() {
        let folder = tempfile::tempdir().unwrap();
        let ids = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| of_folder_or_new(folder.path()).unwrap().id()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn a_given_key_has_64_hexadecimal_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(given(&path).is_err());
        for wrong in ["", "0f", &"0f".repeat(16), &"0f".repeat(33), &"0g".repeat(32)] {
            fs::write(&path, wrong).unwrap();
            let error = given(&path).unwrap_err();
            assert!(error.message().contains("64 hexadecimal digits"), "{error}");
        }
        fs::write(&path, [0xFF; 32]).unwrap();
        assert!(given(&path).is_err(), "bytes are no text");
        fs::write(&path, "0f".repeat(32) + "\n").unwrap();
        assert_eq!(given(&path).unwrap().id(), Key::try_from([0x0F; 32].as_slice()).unwrap().id());
    }
}
