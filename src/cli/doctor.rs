//! `doctor`: what is configured, who calls, what can be reached; changes nothing.

use std::fmt::Display;

use anyhow::Result;
use healthimaging::model::{
    DatastoreSummary, SearchCriteria, SearchDicomRequest, SearchImageSetsRequest, SearchLevel,
};
use healthimaging_aws::Aws;

use super::Outcome;
use crate::backend::{Backend, Keeper};
use crate::config::{BackendKind, Config, Confirm};
use crate::terminal::{self, counted};

/// Data stores that are looked into; the rest is counted.
const LOOKED_INTO: usize = 20;

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    let mut report = Report { healthy: true };
    line(
        "program",
        concat!("healthimaging-mcp-server ", env!("CARGO_PKG_VERSION")),
    )?;
    let backend = match config.backend {
        BackendKind::Local => "embedded store",
        BackendKind::Aws => "AWS HealthImaging",
    };
    line("back end", &format!("{backend}, {}", config.reason))?;
    let made = config.data_dir.exists();
    let yet = if made { "" } else { " (not made yet)" };
    line(
        "data folder",
        &format!("{}{yet}", config.data_dir.display()),
    )?;
    // To open the embedded store makes it.
    if config.backend == BackendKind::Aws || made {
        back_end(&mut report, config).await?;
    } else {
        line("data stores", "none; `import` makes the first")?;
    }
    places(&mut report, config)?;
    gates(config)?;
    Ok(if report.healthy {
        Outcome::Done
    } else {
        Outcome::Refused
    })
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
    let reading = Config {
        read_only: true,
        ..config.clone()
    };
    let backend = match Backend::open(&reading).await {
        Ok(backend) => backend,
        Err(error) => return report.outcome("opened", Err(format!("{error:#}"))),
    };
    if let Keeper::Aws(aws) = &backend.keeper {
        account(report, aws).await?;
    }
    match backend.active_datastores().await {
        Ok(found) => datastores(report, &backend, &found).await?,
        Err(error) => report.outcome("data stores", Err(error))?,
    }
    backend.close().await;
    Ok(())
}

async fn account(report: &mut Report, aws: &Aws) -> Result<()> {
    line("region", aws.region())?;
    line("endpoint", aws.endpoint().unwrap_or("that of AWS"))?;
    if aws.endpoint().is_some() {
        let found = aws.credentials().credentials().await;
        let found = found.map(|_| {
            "credentials found; not asked for, since the endpoint is not AWS's".to_owned()
        });
        return report.outcome("identity", found);
    }
    let identity = aws.identity().await;
    let told = identity.map(|who| format!("{} (account {})", who.arn, who.account));
    report.outcome("identity", told)
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
        };
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
fn places(report: &mut Report, config: &Config) -> Result<()> {
    if config.allowed_paths.is_empty() {
        line(
            "file://",
            "no folder is allowed; name one with --allow-path",
        )?;
    }
    for path in &config.allowed_paths {
        let found = if path.is_dir() {
            Ok(path.display().to_string())
        } else {
            Err(format!("{} is no folder", path.display()))
        };
        report.outcome("file://", found)?;
    }
    let endpoint = config.s3.endpoint.as_deref().unwrap_or("that of AWS");
    line(
        "s3://",
        &format!("endpoint {endpoint}, credentials of the AWS chain"),
    )
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
