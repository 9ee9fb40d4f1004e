//! A secret of 32 bytes in a file: 64 hexadecimal digits, which only their owner reads. Every key of a data folder is such
//! a file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use crate::keys::{owner_only, sync_folder};

/// Length of a secret in bytes.
pub const SECRET: usize = 32;
/// Bytes of a file that are looked at; a key takes 65.
const LONGEST: u64 = 1 << 10;

/// Who may read a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner only, as the program makes it.
    Owner,
    /// The users that the person who named the file chose.
    Any,
}

/// Reads a key.
///
/// # Errors
///
/// `NotFound` without a file; `PermissionDenied` if other users may read it, unless `readers` allows that; `InvalidData` if
/// it has not 64 hexadecimal digits.
pub fn read(path: &Path, readers: Readers) -> io::Result<[u8; SECRET]> {
    let file = File::open(path)?;
    #[cfg(unix)]
    if readers == Readers::Owner {
        use std::os::unix::fs::PermissionsExt as _;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "other users may read it; run chmod 600 on it",
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    let mut secret = [0; SECRET];
    hex::decode_to_slice(text.trim_ascii(), &mut secret).map_err(|_| {
        io::Error::new(ErrorKind::InvalidData, "it is not a key of 64 hexadecimal digits")
    })?;
    Ok(secret)
}

/// Reads a key; makes it, with its folder, if there is none.
///
/// # Errors
///
/// As [`read`] with [`Readers::Owner`]; and if the folder cannot be written.
pub fn read_or_make(path: &Path) -> io::Result<[u8; SECRET]> {
    match read(path, Readers::Owner) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => return read,
    }
    make(path)?;
    // Another process may have made it at the same time.
    read(path, Readers::Owner)
}

/// Makes a key that is whole as soon as it has its name; an existing one stays.
fn make(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    let mut secret = [0; SECRET];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut draft_name = [0; 8];
    getrandom::fill(&mut draft_name).map_err(io::Error::other)?;
    let draft = folder.join(format!(".{}.{}", name.display(), hex::encode(draft_name)));
    let mut file = owner_only().write(true).create_new(true).open(&draft)?;
    let written = writeln!(file, "{}", hex::encode(secret)).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    fs::remove_file(&draft)?;
    linked?;
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/a.key");
        assert_eq!(read(&path, Readers::Owner).unwrap_err().kind(), ErrorKind::NotFound);
        let first = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), first);
        assert_eq!(read(&path, Readers::Any).unwrap(), first);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        assert_ne!(read_or_make(&folder.path().join("b.key")).unwrap(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            for mode in [0o640, 0o604, 0o620] {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                let error = read_or_make(&path).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{mode:o}");
                assert_eq!(read(&path, Readers::Any).unwrap(), first);
            }
        }
    }

    #[test]
    fn threads_that_make_a_key_at_once_get_the_same_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let secrets = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| read_or_make(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[test]
    fn a_key_has_64_hexadecimal_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let digits = |count: usize| "0f".repeat(count).into_bytes();
        for wrong in [vec![], digits(1), digits(31), digits(33), b"0g".repeat(32), vec![0xFF; 32]] {
            fs::write(&path, &wrong).unwrap();
            let error = read(&path, Readers::Any).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{wrong:?}");
        }
        for right in
            [digits(32), b" 0F".to_vec().into_iter().chain(digits(31)).chain(*b"\r\n").collect()]
        {
            fs::write(&path, right).unwrap();
            assert_eq!(read(&path, Readers::Any).unwrap(), [0x0F; SECRET]);
        }
    }
}
