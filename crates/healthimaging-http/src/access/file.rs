//! The access file: named credentials, read again when the file changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthimaging::{Error, Grant, Result};
use parking_lot::Mutex;

use super::entry::{Credential, Proof, parse};
use crate::stamp::Stamp;
use crate::token::is_same;

/// Largest access file in bytes.
const LARGEST: u64 = 1 << 20;

/// A file of credentials. Each request is checked against its content at that time; a file that cannot be used is
/// rejected as a whole, and the credentials of the one before stay.
#[derive(Debug)]
pub struct AccessFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: Option<Stamp>,
    text: Option<Vec<u8>>,
    current: Arc<Credentials>,
    is_rejected: bool,
}

/// The credentials of a file.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    all: Vec<(Credential, Grant)>,
    keys: BTreeMap<String, usize>,
}

impl AccessFile {
    /// Reads a file.
    ///
    /// # Errors
    /// `Validation` if the file cannot be read, can be accessed by every user of the machine, or has an invalid entry.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let (stamp, text) = read(&path)?;
        let current = Arc::new(Credentials::of(parse(&text)?, &Credentials::default())?);
        let state = State { seen: Some(stamp), text: Some(text), current, is_rejected: false };
        Ok(Self { path, state: Mutex::new(state) })
    }

    /// Whether an access key has this ID.
    pub fn has_key(&self, id: &str) -> bool {
        self.state.lock().current.keys.contains_key(id)
    }

    /// Whether the content of the file is not in force, as it could not be used.
    pub(crate) fn is_rejected(&self) -> bool {
        self.state.lock().is_rejected
    }

    /// Returns the credentials of the file as it is now.
    pub(crate) fn current(&self) -> Arc<Credentials> {
        let mut state = self.state.lock();
        let now = Stamp::at(&self.path);
        if now != state.seen || !now.as_ref().is_some_and(Stamp::is_settled) {
            self.refresh(&mut state);
        }
        Arc::clone(&state.current)
    }

    fn refresh(&self, state: &mut State) {
        let found = read(&self.path);
        let (stamp, text) = match found {
            Ok((stamp, text)) => (Some(stamp), Ok(text)),
            Err(error) => (Stamp::at(&self.path), Err(error)),
        };
        let is_same_file = stamp == state.seen;
        state.seen = stamp;
        let made = match text {
            Ok(text) if state.text.as_ref() == Some(&text) => return,
            Ok(text) => {
                let made = parse(&text).and_then(|all| Credentials::of(all, &state.current));
                state.text = Some(text);
                made
            }
            Err(_) if is_same_file && state.is_rejected => return,
            Err(error) => {
                state.text = None;
                Err(error)
            }
        };
        match made {
            Ok(made) => {
                let count = made.all.len();
                let before = std::mem::replace(&mut state.current, Arc::new(made));
                state.is_rejected = false;
                before.revoke_all_but(&state.current);
                tracing::info!(credentials = count, "the access file was read again");
            }
            Err(error) => {
                state.is_rejected = true;
                tracing::error!(
                    "the access file was rejected, and the credentials before it stay in force: {error}"
                );
            }
        }
    }
}

impl Credentials {
    /// Checks that no two are the same, and takes over the grants of those that did not change.
    fn of(all: Vec<Credential>, before: &Self) -> Result<Self> {
        let mut names = BTreeSet::new();
        let mut tokens = BTreeSet::new();
        let mut keys = BTreeMap::new();
        for (position, one) in all.iter().enumerate() {
            if !names.insert(one.name.as_str()) {
                return Err(invalid(&format!("two credentials have the name {}", one.name)));
            }
            let is_new = match &one.proof {
                Proof::Token(digest) => tokens.insert(*digest),
                Proof::Key { id, .. } => keys.insert(id.clone(), position).is_none(),
            };
            if !is_new {
                let name = &one.name;
                return Err(invalid(&format!("the credential {name} is the same as another")));
            }
        }
        let granted = |one: Credential| {
            let known = before.all.iter().find(|(known, _)| *known == one);
            let grant = known.map_or_else(|| one.grant(), |(_, grant)| grant.clone());
            (one, grant)
        };
        Ok(Self { all: all.into_iter().map(granted).collect(), keys })
    }

    fn revoke_all_but(&self, kept: &Self) {
        for (one, grant) in &self.all {
            if !kept.all.iter().any(|(known, _)| known == one) {
                grant.revoke();
            }
        }
    }

    /// Returns the grant of a token, by its digest. Every token is compared, so that the duration depends on none.
    pub(crate) fn token(&self, presented: &[u8; 32]) -> Option<Grant> {
        let mut found = None;
        for (one, grant) in &self.all {
            if let Proof::Token(digest) = &one.proof
                && is_same(digest, presented)
            {
                found = Some(grant.clone());
            }
        }
        found.filter(|grant| !grant.has_ended())
    }

    /// Returns the secret and the grant of an access key.
    pub(crate) fn key(&self, id: &str) -> Option<(&str, Grant)> {
        let (one, grant) = self.all.get(*self.keys.get(id)?)?;
        match &one.proof {
            Proof::Key { secret, .. } if !grant.has_ended() => Some((secret, grant.clone())),
            _ => None,
        }
    }
}

/// Reads the file, unless others can access it.
fn read(path: &Path) -> Result<(Stamp, Vec<u8>)> {
    let unreadable = |error: io::Error| invalid("it cannot be read").with_source(error);
    let file = fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(invalid("it is not a file"));
    }
    let stamp = Stamp::of(&metadata);
    // A group may read it, as that of a container does.
    if stamp.mode & 0o027 != 0 {
        return Err(invalid(
            "other users can read it, or its group can write to it; restrict it with chmod 600",
        ));
    }
    if metadata.len() > LARGEST {
        return Err(invalid("it is longer than 1 MiB"));
    }
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LARGEST), &mut text).map_err(unreadable)?;
    Ok((stamp, text))
}

fn invalid(why: &str) -> Error {
    Error::validation(format!("invalid access file: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::digest;

    const TOKEN: &str = "0123456789abcdef";

    fn written(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("access.json");
        fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        path
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn one(name: &str, token: &str, scope: &str) -> String {
        format!(r#"{{"credentials":[{{"name":"{name}","token":"{token}","scope":"{scope}"}}]}}"#)
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_access_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &one("a", TOKEN, "read"));
        for (mode, is_fine) in [
            (0o600, true),
            (0o400, true),
            (0o640, true),
            (0o644, false),
            (0o660, false),
            (0o602, false),
        ] {
            set_mode(&path, mode);
            assert_eq!(AccessFile::open(&path).is_ok(), is_fine, "{mode:o}");
        }
        assert!(AccessFile::open(folder.path()).is_err(), "a folder");
        assert!(AccessFile::open(folder.path().join("missing")).is_err());
    }

    #[test]
    fn a_change_counts_at_once_and_a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &one("a", TOKEN, "read"));
        let file = AccessFile::open(&path).unwrap();
        let token = |text: &str| file.current().token(&digest(text));
        let first = token(TOKEN).unwrap();
        assert_eq!(first.holder(), Some("a"));
        // The same length, within the resolution of times.
        let other = "fedcba9876543210";
        written(folder.path(), &one("a", other, "read"));
        assert!(token(TOKEN).is_none());
        assert!(first.has_ended());
        let second = token(other).unwrap();
        written(folder.path(), "{");
        assert!(token(other).is_some() && file.is_rejected());
        fs::remove_file(&path).unwrap();
        assert!(token(other).is_some() && file.is_rejected());
        // An entry that stays keeps its grant; one that changes is a new one.
        written(folder.path(), &one("a", other, "read"));
        assert!(token(other).is_some() && !file.is_rejected() && !second.has_ended());
        written(folder.path(), &one("a", other, "write"));
        assert!(token(other).is_some() && second.has_ended());
        written(folder.path(), r#"{"credentials":[]}"#);
        assert!(token(other).is_none());
    }

    #[test]
    fn an_expired_credential_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        for (expires, is_known) in [("2020-01-01T00:00:00Z", false), ("2999-01-01T00:00:00Z", true)]
        {
            let text = one("a", TOKEN, "read")
                .replace("\"scope\"", &format!("\"expires\":\"{expires}\",\"scope\""));
            let file = AccessFile::open(written(folder.path(), &text)).unwrap();
            assert_eq!(file.current().token(&digest(TOKEN)).is_some(), is_known, "{expires}");
        }
    }
}
