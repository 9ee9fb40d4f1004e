//! Opens the back end that the configuration names.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "local")]
mod embedded;
mod peer;
#[cfg(feature = "local")]
mod scan;

use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use futures::TryStreamExt;
use healthimaging::model::{DatastoreStatus, DatastoreSummary, ListDatastoresRequest};
use healthimaging::{
    DicomWeb, Effect, HealthImaging, Limit, MemoryBudget, Page, RedactionLevel, Restrictor, Rights,
    Traits, check_region, restricted, sweep,
};
use healthimaging_audit::{AuditLevel, AuditLog, Audited, Entry, MakeRoom, Recorded};
#[cfg(feature = "aws")]
use healthimaging_aws::Aws;
use healthimaging_jobs::{JobStore, Runner};
use healthimaging_jobs_sqlite::JobsFile;
#[cfg(feature = "local")]
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::{Objects, ObjectsConfig, S3Config};
use healthimaging_pixels::Decoder;
use healthimaging_redact::Redactor;
use healthimaging_tools::{
    Confirm, FrameFormat, RedactorSource, ResultForm, Schemas, Server, ServerOptions, ViewerAddress,
};
use healthimaging_workflows::certificate::{Certifying, SearchJobs, StoreScan};
use healthimaging_workflows::deidentify::data_folder_key;
use healthimaging_workflows::{BackEnd, Ledger, LedgerConfig, Tools};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::options::{self, BackendKind};
use crate::{decoding, terminal};

#[cfg(not(any(feature = "local", feature = "aws")))]
compile_error!("no back end: build with the feature `local`, `aws` or both");

/// Most data stores that are searched for a name.
const MOST_DATASTORES: usize = 10_000;

/// Returns the options of a server that do not depend on its back end.
pub(crate) fn server_options(config: &Config) -> ServerOptions {
    ServerOptions {
        offer: config.offer(),
        policy: config.policy.clone(),
        selection: config.selection.clone(),
        schemas: match config.schemas {
            options::Schemas::Full => Schemas::Full,
            options::Schemas::Lean => Schemas::Lean,
        },
        confirm: match config.confirm {
            options::Confirm::Auto => Confirm::Auto,
            options::Confirm::Always => Confirm::Always,
            options::Confirm::Never => Confirm::Never,
        },
        result: match config.result {
            options::ResultForm::Both => ResultForm::Both,
            options::ResultForm::Text => ResultForm::Text,
            options::ResultForm::Structured => ResultForm::Structured,
        },
        frame_format: match config.frame_format {
            options::FrameFormat::Png => FrameFormat::Png,
            options::FrameFormat::Stored => FrameFormat::Stored,
        },
        consent_shows_identity: config.redact_phi_show_in_consent,
        ..ServerOptions::default()
    }
}

/// Returns what keeps the identity of patients from clients, if that is configured.
fn redactor(config: &Config) -> Result<Option<Arc<Redactor>>> {
    let Some(level) = config.redact_phi.level() else { return Ok(None) };
    Ok(Some(open_redactor(&config.data_dir, level == RedactionLevel::Strict)?))
}

fn open_redactor(data_folder: &Path, is_strict: bool) -> healthimaging::Result<Arc<Redactor>> {
    let key = data_folder_key(data_folder)?;
    Ok(Arc::new(Redactor::new(&key, is_strict)?))
}

/// Returns what keeps the identity of patients from single credentials. It is made, with its key, when the first of them is
/// used: the access file may get one later.
fn redactor_of_grants(config: &Config) -> RedactorSource {
    let data_folder = config.data_dir.clone();
    let (on, strict) = (Mutex::new(None), Mutex::new(None));
    RedactorSource::new(move |level| {
        let is_strict = level == RedactionLevel::Strict;
        let made = if is_strict { &strict } else { &on };
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some(redactor) => Ok(Arc::clone(redactor)),
            None => Ok(Arc::clone(made.insert(open_redactor(&data_folder, is_strict)?))),
        }
    })
}

/// The back end itself.
#[derive(Debug, Clone)]
pub(crate) enum BackendHandle {
    /// The embedded store.
    #[cfg(feature = "local")]
    Local(Arc<LocalStore>),
    /// The managed service.
    #[cfg(feature = "aws")]
    Aws(Arc<Aws>),
}

/// An open back end.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    /// The back end itself, for what is not in the contract.
    pub(crate) handle: BackendHandle,
    /// The 18 operations, guarded.
    pub(crate) service: Arc<dyn HealthImaging>,
    /// DICOMweb, guarded.
    pub(crate) dicomweb: Arc<dyn DicomWeb>,
    /// Both for callers with limited rights, whose refused calls are recorded too.
    pub(crate) restrictor: Restrictor,
    /// The jobs of tools, on both.
    pub(crate) ledger: Ledger,
    /// Where calls are recorded.
    pub(crate) audit: AuditLog,
    /// Decodes compressed frames, in child processes.
    pub(crate) decoder: Decoder,
    /// Which back end it is, and why, in a sentence.
    pub(crate) description: String,
}

/// A back end before it is guarded.
struct Opened {
    handle: BackendHandle,
    traits: Traits,
    s3: S3Config,
}

impl Backend {
    /// Opens the back end. With `--read-only` every write, and with `--no-delete` every deletion, is refused below the
    /// tools too.
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        if let Some(region) = &config.region {
            let is_variable = env::var("HEALTHIMAGING_REGION").is_ok_and(|set| set == *region);
            check_region(region, if is_variable { "HEALTHIMAGING_REGION" } else { "--region" })?;
        }
        healthimaging_pixels::prepare();
        let memory = MemoryBudget::process();
        memory.set_limit(config.memory_limit);
        memory.on_idle(healthimaging_pixels::return_freed_memory);
        let decoder = decoding::decoder()?;
        let Opened { handle, traits, s3 } = opened(config, &decoder).await?;
        let audit = audit_log(config, Some(room(&handle)));
        let guarded = guarded(config, traits);
        let restrictor = restrictor(&audit, config.policy.rights().clone(), guarded.clone());
        let (service, dicomweb) = restrictor.restrict(&Rights::unlimited());
        // Jobs are checked when they start. Those of other processes are run as these accepted them.
        let of_jobs = audited(&audit, guarded);
        let mut description = handle.description(&config.reason);
        for path in config.allowed_paths.iter().filter(|path| !path.is_dir()) {
            let note = format!("--allow-path: {} is not a folder.", path.display());
            terminal::note(&note);
            description = format!("{description} {note}");
        }
        tracing::info!(folder = %config.data_dir.display(), "{description}");
        let tools = Tools {
            back_end: BackEnd { service: of_jobs.0, dicomweb: of_jobs.1 },
            peers: peer::peers(config, &audit),
            objects: Objects::new(ObjectsConfig {
                allowed_paths: config.allowed_paths.clone(),
                s3,
                download_dir: None,
            }),
            decoder: decoder.clone(),
            data_folder: config.data_dir.clone(),
            certifying: Certifying { back_end: handle.key(), scan: handle.scan(config) },
        };
        let folder = config.data_dir.join("ledger");
        let run_jobs = !config.read_only && !handle.is_read_only();
        let open_ledger = || {
            let jobs: Arc<dyn JobStore> = if run_jobs {
                Arc::new(JobsFile::open(&folder)?)
            } else {
                Arc::new(JobsFile::open_to_read(&folder))
            };
            let ledger = LedgerConfig {
                folder: folder.clone(),
                back_end: handle.key(),
                run_jobs,
                runner: runner(config),
                back_end_signs: config.backend == BackendKind::Aws,
            };
            Ledger::open(ledger, jobs, tools.clone())
        };
        let ledger = match open_ledger() {
            Err(_) if handle.make_room()? => open_ledger(),
            opened => opened,
        }?;
        let rights = config.policy.rights();
        let ledger = if rights.is_unlimited() {
            ledger
        } else {
            let of_callers =
                BackEnd { service: Arc::clone(&service), dicomweb: Arc::clone(&dicomweb) };
            ledger.restricted(rights.clone(), of_callers)
        };
        Ok(Self { handle, service, dicomweb, restrictor, ledger, audit, decoder, description })
    }

    /// Opens the back end like [`Backend::open`], but fails where that would create an embedded store.
    pub(crate) async fn open_existing(config: &Config) -> Result<Self> {
        #[cfg(feature = "local")]
        if config.backend == BackendKind::Local {
            embedded::check_exists(config)?;
        }
        Self::open(config).await
    }

    /// Opens the back end of a server, which creates an embedded store unless it is only to read.
    pub(crate) async fn open_to_serve(config: &Config) -> Result<Self> {
        if config.read_only { Self::open_existing(config).await } else { Self::open(config).await }
    }

    /// Returns the embedded store, which is the only back end that has `command`.
    #[cfg(feature = "local")]
    pub(crate) fn store(&self, command: &str) -> Result<&Arc<LocalStore>> {
        match &self.handle {
            BackendHandle::Local(store) => Ok(store),
            #[cfg(feature = "aws")]
            BackendHandle::Aws(_) => bail!("`{command}` only works with the embedded store"),
        }
    }

    /// Creates a server of tools; `page` is the URL of the page that this process serves, with `/` at its end.
    pub(crate) fn server(&self, config: &Config, page: Option<String>) -> Result<Server> {
        let options = ServerOptions {
            backend: self.description.clone(),
            is_embedded: config.backend == BackendKind::Local,
            decoder: self.decoder.clone(),
            audit: self.audit.clone(),
            restrictor: Some(self.restrictor.clone()),
            redactor: redactor(config)?,
            redactor_of_grants: Some(redactor_of_grants(config)),
            viewer: page.map_or_else(|| self.handle.viewer(), ViewerAddress::Served),
            ..server_options(config)
        };
        Ok(Server::new(self.ledger.clone(), options)?)
    }

    /// Closes the back end: acknowledged work is finished, or left for the next process to finish.
    pub(crate) async fn close(self) {
        self.ledger.close().await;
        #[cfg(feature = "local")]
        #[cfg_attr(not(feature = "aws"), expect(irrefutable_let_patterns, reason = "one back end"))]
        if let BackendHandle::Local(store) = self.handle {
            store.close().await;
        }
        if let Err(error) = self.audit.flush().await {
            tracing::error!(?error, "records of the audit log may not be durable");
        }
    }

    /// Records a command that writes without an operation of the contract, with its arguments as those of a tool;
    /// `paths` appear as digests.
    pub(crate) async fn recorded<T>(
        &self,
        command: &str,
        arguments: &Map<String, Value>,
        paths: &[String],
        work: impl Future<Output = Result<T>>,
        objects: impl FnOnce(&T) -> Recorded,
    ) -> Result<T> {
        if !self.audit.records(Effect::Writes) {
            return work.await;
        }
        let paths = self.audit.with_keys(|keys| {
            healthimaging_audit::recorded(arguments, keys).with_digests(
                "paths",
                paths.iter().map(String::as_str),
                keys,
            )
        });
        let entry = Entry::command(command, Effect::Writes).long();
        let paths = paths.ok().flatten().unwrap_or_default();
        let pending = self.audit.begin_long(entry.with_arguments(paths)).await;
        let done = work.await;
        match &done {
            Ok(done) => pending.end(objects(done), None),
            Err(_) => pending.end_with("failed"),
        }
        done
    }

    /// Returns where a full search for a certificate is recorded, although the store is open for reading only.
    pub(crate) fn search_jobs(config: &Config) -> healthimaging::Result<SearchJobs> {
        let folder = config.data_dir.join("ledger");
        let store = Arc::new(JobsFile::open(&folder)?);
        Ok(SearchJobs { store, locks: folder.join("locks") })
    }

    /// Returns all active data stores.
    pub(crate) async fn active_datastores(&self) -> Result<Vec<DatastoreSummary>> {
        let pages = sweep(MOST_DATASTORES, |next_token| async {
            let request = ListDatastoresRequest {
                datastore_status: Some(DatastoreStatus::Active),
                next_token,
                max_results: None,
            };
            let page = self.service.list_datastores(request).await?;
            Ok(Page { items: page.datastore_summaries, next_token: page.next_token })
        });
        Ok(pages.try_collect().await?)
    }
}

impl BackendHandle {
    /// Which back end it is, and why.
    fn description(&self, reason: &str) -> String {
        match self {
            #[cfg(feature = "local")]
            Self::Local(_) => {
                format!(
                    "These image sets are kept in the embedded store on this machine, {reason}."
                )
            }
            #[cfg(feature = "aws")]
            Self::Aws(aws) => {
                let endpoint = aws.endpoint().map(|url| format!(" at {url}"));
                format!(
                    "These image sets are kept in AWS HealthImaging{} in {}, {reason}.",
                    endpoint.unwrap_or_default(),
                    aws.region(),
                )
            }
        }
    }

    /// Releases the reserved space of a store on a full disk; returns whether there was any.
    fn make_room(&self) -> healthimaging::Result<bool> {
        match self {
            #[cfg(feature = "local")]
            Self::Local(store) => store.make_room(),
            #[cfg(feature = "aws")]
            Self::Aws(_) => Ok(false),
        }
    }

    /// Whether nothing can be written to it.
    fn is_read_only(&self) -> bool {
        match self {
            #[cfg(feature = "local")]
            Self::Local(store) => store.is_read_only(),
            #[cfg(feature = "aws")]
            Self::Aws(_) => false,
        }
    }

    /// Returns where a person looks at its series if this process serves no page.
    fn viewer(&self) -> ViewerAddress {
        match self {
            #[cfg(feature = "local")]
            Self::Local(_) => ViewerAddress::IfServed("http://127.0.0.1:8730/".to_owned()),
            #[cfg(feature = "aws")]
            Self::Aws(aws) => ViewerAddress::DicomWeb(match aws.endpoint() {
                Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
                None => format!("https://dicom-medical-imaging.{}.amazonaws.com/", aws.region()),
            }),
        }
    }

    /// Returns the disk of the store, if this program can search it.
    fn scan(&self, config: &Config) -> Option<Arc<dyn StoreScan>> {
        match self {
            #[cfg(feature = "local")]
            Self::Local(store) => {
                let (store, ledger) = (Arc::clone(store), config.data_dir.join("ledger"));
                Some(Arc::new(scan::LocalScan { store, ledger }))
            }
            #[cfg(feature = "aws")]
            Self::Aws(_) => {
                let _ = config;
                None
            }
        }
    }

    /// Identifies the back end in its jobs.
    fn key(&self) -> String {
        match self {
            #[cfg(feature = "local")]
            Self::Local(_) => "local".to_owned(),
            #[cfg(feature = "aws")]
            Self::Aws(aws) => format!("aws:{}:{}", aws.region(), aws.endpoint().unwrap_or("-")),
        }
    }
}

async fn opened(config: &Config, decoder: &Decoder) -> Result<Opened> {
    #[cfg(not(feature = "local"))]
    let _ = decoder;
    match config.backend {
        #[cfg(feature = "local")]
        BackendKind::Local => embedded::open(config, decoder.clone()).await,
        #[cfg(feature = "aws")]
        BackendKind::Aws => aws::open(config).await,
        #[cfg(not(all(feature = "local", feature = "aws")))]
        missing => bail!("--backend: this build has no {}", missing.name()),
    }
}

/// Opens an embedded store that exists, without the jobs of tools.
#[cfg(feature = "local")]
pub(crate) async fn existing_store(config: &Config) -> Result<Arc<LocalStore>> {
    embedded::check_exists(config)?;
    embedded::open_store(store_config(config).await?, config).await
}

/// Returns what the embedded store is opened with.
#[cfg(feature = "local")]
pub(crate) async fn store_config(config: &Config) -> Result<LocalConfig> {
    Ok(embedded::config(config, s3(config).await, decoding::decoder()?))
}

fn guarded(config: &Config, traits: Traits) -> Traits {
    restricted(&rights(config), traits)
}

/// What every caller of this process may do.
fn rights(config: &Config) -> Rights {
    let rights = Rights::unlimited();
    if config.read_only {
        rights.and(Limit::read_only())
    } else if config.no_delete {
        rights.and(Limit::no_delete())
    } else {
        rights
    }
}

/// Restricts a guarded back end by the policy and the rights of a caller; calls are recorded in front of that.
fn restrictor(log: &AuditLog, policy: Rights, guarded: Traits) -> Restrictor {
    let log = log.clone();
    Restrictor::new(move |rights| {
        let rights = policy.clone().and_all(rights);
        audited(&log, restricted(&rights, guarded.clone()))
    })
}

/// Returns the audit log of the configuration. A server that only reads records reads only if that is asked for.
pub(crate) fn audit_log(config: &Config, make_room: Option<MakeRoom>) -> AuditLog {
    let level = match config.audit {
        options::Audit::All => AuditLevel::All,
        options::Audit::Writes if !config.read_only => AuditLevel::Writes,
        options::Audit::Writes | options::Audit::Off => AuditLevel::Off,
    };
    AuditLog::new(&config.data_dir, level, make_room)
}

/// Releases the space that the embedded store reserves for deletions.
fn room(handle: &BackendHandle) -> MakeRoom {
    let handle = handle.clone();
    Arc::new(move || handle.make_room())
}

fn audited(log: &AuditLog, (service, dicomweb): Traits) -> Traits {
    (Arc::new(Audited::new(log.clone(), service)), Arc::new(Audited::new(log.clone(), dicomweb)))
}

/// What this process offers to jobs that other processes accepted.
fn runner(config: &Config) -> Runner {
    Runner { deletes: !config.no_delete, credentials: config.credentials.clone() }
}

/// Returns the S3 configuration of the standard AWS settings.
pub(crate) async fn s3(config: &Config) -> S3Config {
    #[cfg(feature = "aws")]
    return aws::s3(config).await;
    #[cfg(not(feature = "aws"))]
    {
        let _ = config;
        S3Config::default()
    }
}
