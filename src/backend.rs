//! Opens the back end that the configuration names.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow};
use futures::TryStreamExt;
use healthimaging::model::{DatastoreStatus, DatastoreSummary, ListDatastoresRequest};
use healthimaging::{
    DicomWeb, HealthImaging, MemoryBudget, NoDelete, Pace, Paced, Page, ReadOnly, sweep,
};
use healthimaging_aws::{Aws, AwsConfig};
use healthimaging_jobs::{JobStore, Runner};
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_local::{
    Grouping, LocalConfig, LocalStore, MigrationProgress, MigrationWatch, Probe, Quotas,
};
use healthimaging_objects::{Objects, ObjectsConfig, S3Config};
use healthimaging_pixels::Decoder;
use healthimaging_sandbox::this_binary;
use healthimaging_tools::{Confirm, FrameFormat, Offer, ResultForm, Server, ServerOptions};
use healthimaging_workflows::{BackEnd, Ledger, LedgerConfig, Tools};

use crate::config::{self, BackendKind, Config};
use crate::{decoding, terminal};

/// More data stores than this are not looked through for a name.
const MOST_DATASTORES: usize = 10_000;

/// Which tools the configuration leaves.
pub(crate) fn offer(config: &Config) -> Offer {
    match (config.read_only, config.no_delete) {
        (true, _) => Offer::ReadOnly,
        (false, true) => Offer::NoDelete,
        (false, false) => Offer::All,
    }
}

/// What keeps the image sets.
#[derive(Debug, Clone)]
pub(crate) enum Keeper {
    /// The embedded store.
    Local(Arc<LocalStore>),
    /// The managed service.
    Aws(Arc<Aws>),
}

/// An open back end.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    /// The back end itself, for what the contract lacks.
    pub(crate) keeper: Keeper,
    /// The 18 operations, guarded.
    pub(crate) service: Arc<dyn HealthImaging>,
    /// DICOMweb, guarded.
    pub(crate) dicomweb: Arc<dyn DicomWeb>,
    /// The jobs of this program, over both.
    pub(crate) ledger: Ledger,
    /// Where compressed frames are decoded: in child processes.
    decoder: Decoder,
    /// Which back end it is, and why, in a sentence.
    pub(crate) described: String,
}

/// Both traits of one back end.
type Traits = (Arc<dyn HealthImaging>, Arc<dyn DicomWeb>);

impl Backend {
    /// Opens the back end; with `--read-only` every write, and with `--no-delete` every deletion, is refused beneath
    /// the tools too.
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        healthimaging_pixels::prepare();
        let memory = MemoryBudget::process();
        memory.set_limit(config.memory_limit);
        memory.on_idle(healthimaging_pixels::return_freed_memory);
        let decoder = decoding::decoder()?;
        let (keeper, s3, (service, dicomweb)) = match config.backend {
            BackendKind::Local => {
                let s3 = s3(config).await;
                let store = open_store(config, s3.clone(), decoder.clone()).await?;
                let traits: Traits = (Arc::clone(&store) as _, Arc::clone(&store) as _);
                (Keeper::Local(store), s3, traits)
            }
            BackendKind::Aws => {
                let aws = Aws::open(aws_config(config)).await?;
                let s3 = aws.s3();
                let pace = Arc::new(Pace::new(&aws.limits(), config.rate_factor));
                let traits: Traits = (
                    Arc::new(Paced::new(Arc::clone(&aws), Arc::clone(&pace))),
                    Arc::new(Paced::new(Arc::clone(&aws), pace)),
                );
                (Keeper::Aws(aws), s3, traits)
            }
        };
        let (service, dicomweb): Traits = if config.read_only {
            (Arc::new(ReadOnly::new(service)), Arc::new(ReadOnly::new(dicomweb)))
        } else if config.no_delete {
            (Arc::new(NoDelete::new(service)), dicomweb)
        } else {
            (service, dicomweb)
        };
        let mut described = keeper.described(&config.reason);
        for path in config.allowed_paths.iter().filter(|path| !path.is_dir()) {
            let note = format!("--allow-path: {} is not a folder.", path.display());
            terminal::note(&note);
            described = format!("{described} {note}");
        }
        tracing::info!(folder = %config.data_dir.display(), "{described}");
        let tools = Tools {
            back_end: BackEnd { service: Arc::clone(&service), dicomweb: Arc::clone(&dicomweb) },
            objects: Objects::new(ObjectsConfig {
                allowed_paths: config.allowed_paths.clone(),
                s3,
                download_dir: None,
            }),
        };
        let folder = config.data_dir.join("ledger");
        let run_jobs = !config.read_only && !keeper.is_read_only();
        let jobs: Arc<dyn JobStore> = if run_jobs {
            Arc::new(JobsFile::open(&folder)?)
        } else {
            Arc::new(JobsFile::open_to_read(&folder))
        };
        let ledger = LedgerConfig {
            folder,
            back_end: keeper.key(),
            run_jobs,
            runner: runner(config),
            back_end_signs: matches!(keeper, Keeper::Aws(_)),
        };
        Ok(Self {
            keeper,
            service,
            dicomweb,
            ledger: Ledger::open(ledger, jobs, tools)?,
            decoder,
            described,
        })
    }

    /// The embedded store; `command` cannot do without.
    pub(crate) fn store(&self, command: &str) -> Result<&Arc<LocalStore>> {
        match &self.keeper {
            Keeper::Local(store) => Ok(store),
            Keeper::Aws(_) => Err(anyhow!("`{command}` is of the embedded store alone")),
        }
    }

    /// A server of tools over it.
    pub(crate) fn server(&self, config: &Config) -> Result<Server> {
        let options = ServerOptions {
            offer: offer(config),
            confirm: match config.confirm {
                config::Confirm::Auto => Confirm::Auto,
                config::Confirm::Always => Confirm::Always,
                config::Confirm::Never => Confirm::Never,
            },
            result: match config.result {
                config::ResultForm::Both => ResultForm::Both,
                config::ResultForm::Text => ResultForm::Text,
                config::ResultForm::Structured => ResultForm::Structured,
            },
            backend: self.described.clone(),
            decoder: self.decoder.clone(),
            frame_format: match config.frame_format {
                config::FrameFormat::Png => FrameFormat::Png,
                config::FrameFormat::Stored => FrameFormat::Stored,
            },
        };
        Ok(Server::new(self.ledger.clone(), options)?)
    }

    /// Ends it: what was acknowledged is finished or left for the next one to finish.
    pub(crate) async fn close(self) {
        self.ledger.close().await;
        if let Keeper::Local(store) = self.keeper {
            store.close().await;
        }
    }

    /// All data stores that are active.
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

impl Keeper {
    /// Which back end it is, and why.
    fn described(&self, reason: &str) -> String {
        match self {
            Self::Local(_) => {
                format!(
                    "These image sets are kept in the embedded store on this machine, {reason}."
                )
            }
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

    /// Whether nothing can be written to it.
    fn is_read_only(&self) -> bool {
        matches!(self, Self::Local(store) if store.is_read_only())
    }

    /// Tells the jobs of one back end from those of another.
    fn key(&self) -> String {
        match self {
            Self::Local(_) => "local".to_owned(),
            Self::Aws(aws) => format!("aws:{}:{}", aws.region(), aws.endpoint().unwrap_or("-")),
        }
    }
}

async fn open_store(config: &Config, s3: S3Config, decoder: Decoder) -> Result<Arc<LocalStore>> {
    let mut local = LocalConfig::new(&config.data_dir);
    local.region = config.store_region().to_owned();
    local.account_id = config.account_id.to_string();
    local.allowed_paths.clone_from(&config.allowed_paths);
    local.s3 = s3;
    local.decoder = decoder;
    local.run_jobs = !config.read_only;
    local.grouping = match config.grouping {
        config::Grouping::Service => Grouping::Service,
        config::Grouping::Strict => Grouping::Strict,
    };
    local.runner = runner(config);
    local.migrate = !config.read_only;
    local.migration = migration_watch();
    local.probe = this_binary().ok().map(probe);
    if config.aws_quotas {
        local.quotas = Quotas::AWS;
    }
    LocalStore::open(local).await.with_context(|| {
        let folder = config.data_dir.display();
        format!("the embedded store in {folder} does not open")
    })
}

/// Tries a file by importing it into a store of its own.
fn probe(program: PathBuf) -> Probe {
    Probe::new(move |folder, file| {
        let mut command = Command::new(&program);
        command.args(["import", "--backend", "local", "--data-dir"]).arg(folder);
        command.arg("--").arg(file);
        command
    })
}

/// What this process offers to the jobs of others.
fn runner(config: &Config) -> Runner {
    Runner { deletes: !config.no_delete, credentials: config.credentials.clone() }
}

/// Shows on stderr how a migration of the embedded store goes: a bar on a terminal, else some lines.
fn migration_watch() -> MigrationWatch {
    let bar = terminal::progress_bar("{bar:30} {percent} % {msg}");
    let next = AtomicU64::new(0);
    MigrationWatch::new(move |progress: MigrationProgress| {
        let MigrationProgress { from, to, rows_done, rows_total } = progress;
        let message = format!("of the embedded store migrated from format {from} to {to}");
        let percent = (rows_done * 100).checked_div(rows_total).unwrap_or(0);
        if bar.is_hidden() {
            let step = percent / 10 * 10;
            if step >= next.load(Ordering::Relaxed) {
                next.store(step + 10, Ordering::Relaxed);
                terminal::note(&format!("{step} % {message}"));
            }
            return;
        }
        bar.set_length(rows_total);
        bar.set_position(rows_done);
        bar.set_message(message);
        if rows_done == rows_total {
            bar.finish();
        }
    })
}

/// S3 as the standard settings of AWS describe it.
pub(crate) async fn s3(config: &Config) -> S3Config {
    healthimaging_aws::s3(aws_config(config)).await
}

fn aws_config(config: &Config) -> AwsConfig {
    AwsConfig {
        region: config.region.clone(),
        profile: config.profile.clone(),
        endpoint_url: config.endpoint_url.clone(),
        credentials: None,
    }
}
