//! What a job needs of the process that runs it, and what a process offers.

use std::path::PathBuf;

use healthimaging::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// What a job needs of the process that runs it. Recorded when the job is submitted, so that the flags of the
/// process that runs it make no difference.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Needs {
    /// The folders that the job may access, links resolved: those that the job names and its submitter
    /// allowed. Absent in jobs of earlier releases, for which the flags of the process apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folders: Option<Vec<PathBuf>>,
    /// Name of the credentials that the job needs, such as `profile research`; never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Whether the job deletes.
    #[serde(default)]
    pub deletes: bool,
}

/// What a process offers to jobs, according to its flags and its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// Whether it begins deletions that another process accepted.
    pub deletes: bool,
    /// Name of its credentials, such as `profile research`; never a secret.
    pub credentials: String,
}

impl Default for Runner {
    fn default() -> Self {
        Self { deletes: true, credentials: "default".to_owned() }
    }
}

impl Runner {
    /// Returns whether this process may take a job over from another one; `Err` is the reason why not, for the
    /// status of the job.
    pub fn check(&self, needs: &Needs) -> Result<(), String> {
        if needs.deletes && !self.deletes {
            return Err("waiting for a server without --no-delete".to_owned());
        }
        match &needs.credentials {
            Some(name) if *name != self.credentials => Err(format!(
                "waiting for a server with the AWS credentials of its submitter ({name})"
            )),
            _ => Ok(()),
        }
    }
}

impl Needs {
    /// The error of a location that a job may not access. If the job carries its folders, no other process may
    /// access it either, so that this process does not lack access.
    pub fn refused(&self, error: Error) -> Error {
        if self.folders.is_some() && error.kind() == ErrorKind::AccessDenied {
            return Error::validation(error.message().to_owned()).with_source(error);
        }
        error
    }
}

/// Whether an error means that this process lacks access, which another process may have. A job that was
/// taken over is left on such an error, and fails on every other one.
pub const fn is_lack_of_access(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AccessDenied | ErrorKind::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_waits_for_a_process_that_offers_what_it_needs() {
        let any = Runner::default();
        let careful = Runner { deletes: false, ..Runner::default() };
        let deletion = Needs { deletes: true, ..Needs::default() };
        assert_eq!(any.check(&deletion), Ok(()));
        assert!(careful.check(&deletion).unwrap_err().contains("--no-delete"));
        assert_eq!(careful.check(&Needs::default()), Ok(()));
        let signed = Needs { credentials: Some("profile a".to_owned()), ..Needs::default() };
        assert!(any.check(&signed).unwrap_err().contains("profile a"));
        let same = Runner { credentials: "profile a".to_owned(), ..careful };
        assert_eq!(same.check(&signed), Ok(()));
    }

    #[test]
    fn needs_of_earlier_releases_can_be_read() {
        let needs: Needs = serde_json::from_str("{}").unwrap();
        assert_eq!(needs, Needs::default());
        assert_eq!(serde_json::to_string(&needs).unwrap(), r#"{"deletes":false}"#);
    }
}
