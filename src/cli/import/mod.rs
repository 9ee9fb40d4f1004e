//! `import`: DICOM files, folders and objects of S3 into a data store.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "local")]
mod embedded;
mod report;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use healthimaging::ObjectUri;

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
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "AWS imports from S3 itself"))]
    Prefix(ObjectUri),
}

impl Input {
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
                Ok(Self::Paths(found.collect::<Result<_>>()?))
            }
        }
    }
}
