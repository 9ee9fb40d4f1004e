//! `doctor`: shows configuration, identity and reachability; changes nothing.

use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
#[cfg(feature = "aws")]
use healthimaging::ErrorKind;
use healthimaging::model::{
    DatastoreSummary, ListDicomImportJobsRequest, SearchCriteria, SearchDicomRequest,
    SearchImageSetsRequest, SearchLevel,
};
#[cfg(feature = "aws")]
use healthimaging_aws::Aws;

use crate::backend::{self, Backend, BackendHandle};
use crate::config::Config;
use crate::options::{BackendKind, Confirm};
use crate::outcome::Outcome;
use crate::terminal::{self, counted};

/// Most data stores that are examined; the rest is counted.
const EXAMINED: usize = 20;

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    let mut report = Report { healthy: true };
    line("program", concat!("healthimaging-mcp-server ", env!("CARGO_PKG_VERSION")))?;
    line("back end", &format!("{}, {}", config.backend.name(), config.reason))?;
    let stdio = &config.under_stdio;
    let checked =
        if stdio.backend == config.backend { "" } else { "; `--backend aws doctor` checks it" };
    line("under stdio", &format!("{}, {}{checked}", stdio.backend.name(), stdio.reason))?;
    let exists = holds_something(&config.data_dir);
    let state = if exists { "" } else { " (does not exist yet)" };
    line("data folder", &format!("{}{state}", config.data_dir.display()))?;
    // Opening the embedded store would create it.
    if config.backend == BackendKind::Aws || exists {
        back_end(&mut report, config).await?;
    } else {
        line("data stores", "none; `import` creates the first")?;
    }
    places(&mut report, config).await?;
    gates(config)?;
    Ok(if report.healthy { Outcome::Done } else { Outcome::Failed })
}

/// Whether the folder may hold a store; an empty folder, such as a new volume, does not.
fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(folder.exists(), |mut entries| entries.next().is_some())
}

/// The report, which is printed line by line.
struct Report {
    healthy: bool,
}

fn line(name: &str, text: &str) -> Result<()> {
    Ok(terminal::result(&format!("{name:12}  {text}"))?)
}

impl Report {
    /// Prints the outcome of a check.
    fn outcome<E: Display>(&mut self, name: &str, outcome: Result<String, E>) -> Result<()> {
        match outcome {
            Ok(text) => line(name, &text),
            Err(error) => {
                self.healthy = false;
                line(name, &format!("FAILED: {error}"))
            }
        }
    }
}

async fn back_end(report: &mut Report, config: &Config) -> Result<()> {
    let reading = Config { read_only: true, ..config.clone() };
    let backend = match Backend::open(&reading).await {
        Ok(backend) => backend,
        Err(error) => return report.outcome("opened", Err(terminal::explained(&error))),
    };
    let known = match &backend.handle {
        #[cfg(feature = "aws")]
        BackendHandle::Aws(aws) => account(report, aws).await?,
        #[cfg(feature = "local")]
        BackendHandle::Local(_) => owner(config)?,
    };
    if known {
        match backend.active_datastores().await {
            Ok(found) => datastores(report, &backend, &found).await?,
            Err(error) => report.outcome("data stores", Err(error))?,
        }
        writing(config)?;
    } else {
        line("data stores", "not checked, since credentials are missing")?;
    }
    backend.close().await;
    Ok(())
}

/// Prints the AWS identity; returns `false` if credentials are missing.
#[cfg(feature = "aws")]
async fn account(report: &mut Report, aws: &Aws) -> Result<bool> {
    line("region", aws.region())?;
    line("endpoint", aws.endpoint().unwrap_or("the AWS endpoint"))?;
    let identity = if aws.endpoint().is_some() {
        let found = aws.check_credentials().await;
        found.map(|()| {
            "credentials found; the identity is not checked, since this is not an AWS endpoint"
                .into()
        })
    } else {
        let who = aws.identity().await;
        who.map(|who| format!("{} (account {})", who.arn, who.account))
    };
    // The data stores may be reachable although the identity service is not.
    let missing = matches!(&identity, Err(error) if error.kind() == ErrorKind::Credentials);
    report.outcome("identity", identity)?;
    Ok(!missing)
}

/// Prints the identity of the embedded store.
#[cfg(feature = "local")]
fn owner(config: &Config) -> Result<bool> {
    line("region", &format!("{}, in ARNs only", config.store_region()))?;
    line(
        "identity",
        &format!(
            "account {}, in ARNs only; read access to the data folder is access to all of it",
            config.account_id
        ),
    )?;
    Ok(true)
}

/// Prints that writing is not checked.
fn writing(config: &Config) -> Result<()> {
    if config.read_only || config.backend == BackendKind::Local {
        return Ok(());
    }
    line(
        "writing",
        "not checked, since it would change something; docs/iam/full.json is the policy for it",
    )
}

async fn datastores(
    report: &mut Report,
    backend: &Backend,
    found: &[DatastoreSummary],
) -> Result<()> {
    line("data stores", &format!("{} ACTIVE", found.len()))?;
    for one in found.iter().take(EXAMINED) {
        line("", &format!("{} {}", one.datastore_id, one.datastore_name))?;
        let search = SearchImageSetsRequest {
            datastore_id: one.datastore_id.clone(),
            search_criteria: SearchCriteria::default(),
            next_token: None,
            max_results: Some(1),
        };
        let searched = backend.service.search_image_sets(search).await;
        let searched = searched.map(|_| "image sets can be searched".to_owned());
        report.outcome("", searched)?;
        let search = SearchDicomRequest {
            datastore_id: one.datastore_id.clone(),
            level: SearchLevel::Studies,
            filters: Vec::new(),
            include_fields: Vec::new(),
            fuzzy_matching: false,
            limit: Some(1),
            offset: 0,
        };
        let jobs = ListDicomImportJobsRequest {
            datastore_id: one.datastore_id.clone(),
            job_status: None,
            next_token: None,
            max_results: Some(1),
        };
        let listed = backend.service.list_dicom_import_jobs(jobs).await;
        let listed = listed.map(|_| "import jobs can be listed".to_owned());
        report.outcome("", listed)?;
        let searched = backend.dicomweb.search(search).await;
        let searched = searched.map(|_| "DICOMweb can be searched".to_owned());
        report.outcome("", searched)?;
    }
    match found.len().saturating_sub(EXAMINED) {
        0 => Ok(()),
        more => line("", &counted(more as u64, "more data store")),
    }
}

/// Prints where files may be read and written.
async fn places(report: &mut Report, config: &Config) -> Result<()> {
    if config.allowed_paths.is_empty() {
        line("file://", "no folder is allowed; name one with --allow-path")?;
    }
    for path in &config.allowed_paths {
        let found = if path.is_dir() {
            Ok(path.display().to_string())
        } else {
            Err(format!("{} is not a folder", path.display()))
        };
        report.outcome("file://", found)?;
    }
    let s3 = backend::s3(config).await;
    let endpoint = s3.endpoint.as_deref().unwrap_or("the AWS endpoint");
    line("s3://", &format!("endpoint {endpoint}, credentials of the AWS chain"))
}

/// Prints what keeps tools from changing something.
fn gates(config: &Config) -> Result<()> {
    let offered = match (config.read_only, config.no_delete) {
        (true, _) => "those that read (--read-only)",
        (false, true) => "all but those that delete (--no-delete)",
        (false, false) => "all",
    };
    let asked = match config.confirm {
        Confirm::Auto => "through the client, else by a plan and a token",
        Confirm::Always => "through the client, or not at all",
        Confirm::Never => "never",
    };
    line("tools", offered)?;
    line("confirmation", asked)
}
