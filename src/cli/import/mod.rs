//! `import`: DICOM files, folders and objects of S3 into a data store.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "local")]
mod embedded;
mod report;

use std::collections::HashSet;
#[cfg(feature = "local")]
use std::fs::File;
#[cfg(feature = "local")]
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use healthimaging::ObjectUri;
#[cfg(feature = "local")]
use healthimaging_local::FileKind;

use crate::backend::{Backend, BackendHandle};
use crate::config::Config;
use crate::options::BackendKind;
use crate::outcome::Outcome;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files, folders (recursively), or one prefix such as `s3://bucket/scans/`
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Data store, by name or ID; created if missing [default: the only one]
    #[arg(long, value_name = "NAME")]
    datastore: Option<String>,
}

/// Bytes that show what a file is.
#[cfg(feature = "local")]
const START: u64 = 512;

/// Start of a URI that names a prefix of a bucket.
const S3: &str = "s3://";

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    if config.read_only {
        bail!("--read-only does not allow an import");
    }
    let input = Input::of(&arguments.paths)?;
    if config.backend == BackendKind::Aws && matches!(input, Input::Prefix(_)) {
        bail!(
            "AWS imports from S3 itself: call the tool start_dicom_import_job, which names the role \
             that may read the bucket"
        );
    }
    #[cfg(feature = "local")]
    if config.backend == BackendKind::Local {
        input.check_instances()?;
    }
    let backend = Backend::open(config).await?;
    let named = arguments.datastore.as_deref();
    let outcome = match (&backend.handle, &input) {
        #[cfg(feature = "aws")]
        (BackendHandle::Aws(_), Input::Paths(paths)) => aws::run(&backend, named, paths).await,
        #[cfg(feature = "aws")]
        (BackendHandle::Aws(_), Input::Prefix(_)) => bail!("checked above"),
        #[cfg(feature = "local")]
        (BackendHandle::Local(store), input) => embedded::run(&backend, store, named, input).await,
    };
    backend.close().await;
    outcome
}

/// What is imported.
enum Input {
    Paths(Vec<PathBuf>),
    /// All objects whose keys begin with the prefix.
    Prefix(ObjectUri),
}

impl Input {
    /// Returns the paths or the prefix as text.
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "AWS records its operations"))]
    fn names(&self) -> Vec<String> {
        match self {
            Self::Paths(paths) => {
                paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
            }
            Self::Prefix(uri) => vec![uri.to_string()],
        }
    }

    /// Refuses files none of which may be a DICOM instance: asked before something is created for them.
    #[cfg(feature = "local")]
    fn check_instances(&self) -> Result<()> {
        match self {
            Self::Paths(paths) if !paths.iter().any(|path| has_file(path, may_be_instance)) => {
                let paths = self.names().join(", ");
                bail!("{paths}: no file is a DICOM instance; nothing was imported")
            }
            _ => Ok(()),
        }
    }

    fn of(named: &[PathBuf]) -> Result<Self> {
        let is_object = |path: &&PathBuf| path.to_str().is_some_and(|path| path.starts_with(S3));
        match (named, named.iter().find(is_object)) {
            ([only], Some(_)) => {
                let uri = only.to_str().unwrap_or_default();
                Ok(Self::Prefix(ObjectUri::try_from(uri).context("PATH is not an s3:// prefix")?))
            }
            (_, Some(_)) => bail!("PATH: an s3:// prefix cannot be combined with other paths"),
            (paths, None) => {
                let found = paths.iter().map(|path| {
                    let found = path.canonicalize();
                    found.with_context(|| format!("{} cannot be read", path.display()))
                });
                let found: Vec<PathBuf> = found.collect::<Result<_>>()?;
                if !found.iter().any(|path| has_file(path, |_| true)) {
                    let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
                    bail!(
                        "{}: there is no file in it; name files, or a folder of files",
                        paths.join(", ")
                    );
                }
                Ok(Self::Paths(without_repeated(found)))
            }
        }
    }
}

/// Leaves out paths that are named again, or are in a folder that is named too.
fn without_repeated(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let named: HashSet<PathBuf> = paths.iter().cloned().collect();
    let mut seen = HashSet::new();
    paths.retain(|path| {
        let is_in_another = path.ancestors().skip(1).any(|folder| named.contains(folder));
        !is_in_another && seen.insert(path.clone())
    });
    paths
}

/// Returns whether a path is such a file, or a folder with one at any depth. A folder that cannot be read may have one: the
/// import reports it.
fn has_file(path: &Path, is_wanted: impl Fn(&Path) -> bool) -> bool {
    if path.is_file() {
        return is_wanted(path);
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir() else { return true };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry.path()))) {
                Ok((kind, path)) if kind.is_dir() => folders.push(path),
                Ok((_, path)) if !is_wanted(&path) => {}
                _ => return true,
            }
        }
    }
    false
}

/// Returns whether the first bytes of a file may be those of a DICOM instance. A file that cannot be read may be one.
#[cfg(feature = "local")]
fn may_be_instance(path: &Path) -> bool {
    // Opening a named pipe waits for its writer.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    read.is_err() || !start.is_empty() && FileKind::recognize(&start).is_none()
}
