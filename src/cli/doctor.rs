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
use serde_json::{Value, json};

use crate::backend::{self, Backend, BackendHandle};
use crate::config::Config;
use crate::options::{BackendKind, Confirm};
use crate::outcome::Outcome;
use crate::terminal::{self, counted};

/// Most data stores that are examined; the rest is counted.
const EXAMINED: usize = 20;

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    let mut report = Report { healthy: true, lines: Vec::new() };
    report.line("program", concat!("healthimaging-mcp-server ", env!("CARGO_PKG_VERSION")))?;
    report.line("back end", &format!("{}, {}", config.backend.name(), config.reason))?;
    let stdio = &config.under_stdio;
    let checked =
        if stdio.backend == config.backend { "" } else { "; `--backend aws doctor` checks it" };
    report.line("under stdio", &format!("{}, {}{checked}", stdio.backend.name(), stdio.reason))?;
    let exists = holds_something(&config.data_dir);
    let state = if exists { "" } else { " (does not exist yet)" };
    report.line("data folder", &format!("{}{state}", config.data_dir.display()))?;
    // Opening the embedded store would create it.
    if config.backend == BackendKind::Aws || exists {
        back_end(&mut report, config).await?;
    } else {
        report.line("data stores", "none; `import` creates the first")?;
    }
    places(&mut report, config).await?;
    gates(&mut report, config)?;
    let outcome = if report.healthy { Outcome::Done } else { Outcome::Failed };
    terminal::document(|| json!({ "outcome": outcome.as_str(), "lines": report.lines }))?;
    Ok(outcome)
}

/// Whether the folder may hold a store; an empty folder, such as a new volume, does not.
fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(folder.exists(), |mut entries| entries.next().is_some())
}

/// The report, which is printed line by line.
struct Report {
    healthy: bool,
    lines: Vec<Value>,
}

impl Report {
    /// Prints a line, or keeps it for the JSON object.
    fn line(&mut self, name: &str, text: &str) -> Result<()> {
        if terminal::is_json() {
            self.lines.push(json!({ "name": name, "text": text }));
            return Ok(());
        }
        Ok(terminal::result(&format!("{name:12}  {text}"))?)
    }

    /// Prints the outcome of a check.
    fn outcome<E: Display>(&mut self, name: &str, outcome: Result<String, E>) -> Result<()> {
        match outcome {
            Ok(text) => self.line(name, &text),
            Err(error) => {
                self.healthy = false;
                self.line(name, &format!("FAILED: {error}"))
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
        BackendHandle::Local(_) => owner(report, config)?,
    };
    if known {
        match backend.active_datastores().await {
            Ok(found) => datastores(report, &backend, &found).await?,
            Err(error) => report.outcome("data stores", Err(error))?,
        }
        writing(report, config)?;
    } else {
        report.line("data stores", "not checked, since credentials are missing")?;
    }
    backend.close().await;
    Ok(())
}

/// Prints the AWS identity; returns `false` if credentials are missing.
#[cfg(feature = "aws")]
async fn account(report: &mut Report, aws: &Aws) -> Result<bool> {
    report.line("region", aws.region())?;
    report.line("endpoint", aws.endpoint().unwrap_or("the AWS endpoint"))?;
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
fn owner(report: &mut Report, config: &Config) -> Result<bool> {
    report.line("region", &format!("{}, in ARNs only", config.store_region()))?;
    report.line(
        "identity",
        &format!(
            "account {}, in ARNs only; read access to the data folder is access to all of it",
            config.account_id
        ),
    )?;
    Ok(true)
}

/// Prints that writing is not checked.
fn writing(report: &mut Report, config: &Config) -> Result<()> {
    if config.read_only || config.backend == BackendKind::Local {
        return Ok(());
    }
    report.line(
        "writing",
        "not checked, since it would change something; docs/iam/full.json is the policy for it",
    )
}

async fn datastores(
    report: &mut Report,
    backend: &Backend,
    found: &[DatastoreSummary],
) -> Result<()> {
    report.line("data stores", &format!("{} ACTIVE", found.len()))?;
    for one in found.iter().take(EXAMINED) {
        report.line("", &format!("{} {}", one.datastore_id, one.datastore_name))?;
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
            limit: Some(1),
            ..SearchDicomRequest::all(one.datastore_id.clone(), SearchLevel::Studies)
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
        more => report.line("", &counted(more as u64, "more data store")),
    }
}

/// Prints where files may be read and written.
async fn places(report: &mut Report, config: &Config) -> Result<()> {
    if config.allowed_paths.is_empty() {
        report.line("file://", "no folder is allowed; name one with --allow-path")?;
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
    report.line("s3://", &format!("endpoint {endpoint}, credentials of the AWS chain"))
}

/// Prints what keeps tools from changing something.
fn gates(report: &mut Report, config: &Config) -> Result<()> {
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
    report.line("tools", offered)?;
    report.line("confirmation", asked)
}
