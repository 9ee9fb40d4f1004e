//! `doctor`: what is configured, who calls, what can be reached; changes nothing.

use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
use healthimaging::ErrorKind;
use healthimaging::model::{
    DatastoreSummary, ListDicomImportJobsRequest, SearchCriteria, SearchDicomRequest,
    SearchImageSetsRequest, SearchLevel,
};
use healthimaging_aws::Aws;

use super::Outcome;
use crate::backend::{self, Backend, Keeper};
use crate::config::{BackendKind, Config, Confirm};
use crate::terminal::{self, counted};

/// Data stores that are looked into; the rest is counted.
const LOOKED_INTO: usize = 20;

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    let mut report = Report { healthy: true };
    line("program", concat!("healthimaging-mcp-server ", env!("CARGO_PKG_VERSION")))?;
    line("back end", &format!("{}, {}", config.backend.name(), config.reason))?;
    let stdio = &config.under_stdio;
    let checked =
        if stdio.backend == config.backend { "" } else { "; `--backend aws doctor` checks it" };
    line("under stdio", &format!("{}, {}{checked}", stdio.backend.name(), stdio.reason))?;
    let made = holds_something(&config.data_dir);
    let yet = if made { "" } else { " (not made yet)" };
    line("data folder", &format!("{}{yet}", config.data_dir.display()))?;
    // To open the embedded store makes it.
    if config.backend == BackendKind::Aws || made {
        back_end(&mut report, config).await?;
    } else {
        line("data stores", "none; `import` makes the first")?;
    }
    places(&mut report, config).await?;
    gates(config)?;
    Ok(if report.healthy { Outcome::Done } else { Outcome::Refused })
}

/// Whether the folder may hold a store; a folder that was only made, such as a volume, does not.
fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(folder.exists(), |mut entries| entries.next().is_some())
}

/// What is told, a line each.
struct Report {
    healthy: bool,
}

fn line(name: &str, text: &str) -> Result<()> {
    Ok(terminal::result(&format!("{name:12}  {text}"))?)
}

impl Report {
    /// A line that tells what came of something.
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
        Err(error) => return report.outcome("opened", Err(format!("{error:#}"))),
    };
    let known = match &backend.keeper {
        Keeper::Aws(aws) => account(report, aws).await?,
        Keeper::Local(_) => owner(config)?,
    };
    if known {
        match backend.active_datastores().await {
            Ok(found) => datastores(report, &backend, &found).await?,
            Err(error) => report.outcome("data stores", Err(error))?,
        }
        writing(config)?;
    } else {
        line("data stores", "not asked for, for want of credentials")?;
    }
    backend.close().await;
    Ok(())
}

/// Who calls AWS; `false` where nobody can for want of credentials.
async fn account(report: &mut Report, aws: &Aws) -> Result<bool> {
    line("region", aws.region())?;
    line("endpoint", aws.endpoint().unwrap_or("that of AWS"))?;
    let identity = if aws.endpoint().is_some() {
        let found = aws.check_credentials().await;
        found.map(|()| {
            "credentials found; whose is not asked, since the endpoint is not AWS's".into()
        })
    } else {
        let who = aws.identity().await;
        who.map(|who| format!("{} (account {})", who.arn, who.account))
    };
    // Anybody else than AWS may not be there, and the data stores still are.
    let missing = matches!(&identity, Err(error) if error.kind() == ErrorKind::Credentials);
    report.outcome("identity", identity)?;
    Ok(!missing)
}

/// Whose the embedded store is.
fn owner(config: &Config) -> Result<bool> {
    line("region", &format!("{}, in ARNs alone", config.store_region()))?;
    line(
        "identity",
        &format!(
            "account {}, in ARNs alone; whoever may read the data folder may read all of it",
            config.account_id
        ),
    )?;
    Ok(true)
}

/// What is not tried.
fn writing(config: &Config) -> Result<()> {
    if config.read_only || config.backend == BackendKind::Local {
        return Ok(());
    }
    line(
        "writing",
        "not tried, since it would change something; docs/iam/full.json is the policy for all of it",
    )
}

async fn datastores(
    report: &mut Report,
    backend: &Backend,
    found: &[DatastoreSummary],
) -> Result<()> {
    line("data stores", &format!("{} ACTIVE", found.len()))?;
    for one in found.iter().take(LOOKED_INTO) {
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
            host: String::new(),
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
    match found.len().saturating_sub(LOOKED_INTO) {
        0 => Ok(()),
        more => line("", &counted(more as u64, "more data store")),
    }
}

/// Where files may be read and written.
async fn places(report: &mut Report, config: &Config) -> Result<()> {
    if config.allowed_paths.is_empty() {
        line("file://", "no folder is allowed; name one with --allow-path")?;
    }
    for path in &config.allowed_paths {
        let found = if path.is_dir() {
            Ok(path.display().to_string())
        } else {
            Err(format!("{} is no folder", path.display()))
        };
        report.outcome("file://", found)?;
    }
    let s3 = backend::s3(config).await;
    let endpoint = s3.endpoint.as_deref().unwrap_or("that of AWS");
    line("s3://", &format!("endpoint {endpoint}, credentials of the AWS chain"))
}

/// What keeps tools from changing things.
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
    line("asked first", asked)
}
