//! What a local store is opened with.

use std::path::PathBuf;
use std::time::Duration;

use healthimaging::{DatastoreId, ImageSetId, Resource, ResourceArn};
use healthimaging_jobs::Runner;
use healthimaging_objects::S3Config;
use healthimaging_packs::Files;
use healthimaging_pixels::Decoder;

use crate::catalog::MigrationWatch;
use crate::clock::Clock;
use crate::error::Result;
use crate::jobs::Probe;
use crate::quotas::Quotas;

/// What decides which files of a series share an image set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grouping {
    /// The seven attributes of AWS HealthImaging. An instance that differs in another attribute of the
    /// patient, study or series level keeps its own value, with warning B000.
    #[default]
    Service,
    /// Every attribute of these levels: what differs in one becomes an image set that is not primary.
    Strict,
}

/// What a local store is opened with.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The one folder that holds everything; made when it is missing.
    pub data_dir: PathBuf,
    /// Partition in ARNs, such as `aws`.
    pub partition: String,
    /// Region in ARNs, such as `us-east-1`.
    pub region: String,
    /// Account in ARNs: twelve digits.
    pub account_id: String,
    /// Folders that `file://` may touch from requests; none by default.
    pub allowed_paths: Vec<PathBuf>,
    /// How long a resource stays in its in-between state (`LOCKED`, `CREATING`) at least.
    pub write_delay: Duration,
    /// Whether this process takes over the work of dead ones and sweeps; off in read-only servers.
    pub run_jobs: bool,
    /// What decides which files of a series share an image set.
    pub grouping: Grouping,
    /// What this process offers to the jobs of others.
    pub runner: Runner,
    /// How `s3://` is reached; refused without credentials.
    pub s3: S3Config,
    /// How much the store takes; everything by default.
    pub quotas: Quotas,
    /// Where compressed frames of files are decoded.
    pub decoder: Decoder,
    /// Whether a store of an earlier format is migrated; it is refused otherwise.
    pub migrate: bool,
    /// Who is shown how a migration of the store goes; nobody by default.
    pub migration: MigrationWatch,
    /// How a file that a process died over is tried in a process of its own. Without it, a file is refused
    /// after two deaths, though the processes may have been killed from outside.
    pub probe: Option<Probe>,
    /// Where the time comes from.
    pub clock: Clock,
    /// How files are reached: by the system, but for tests of what goes wrong.
    pub files: Files,
}

impl LocalConfig {
    /// The usual settings, with everything in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            partition: "aws".to_owned(),
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            allowed_paths: Vec::new(),
            write_delay: Duration::ZERO,
            run_jobs: true,
            grouping: Grouping::default(),
            runner: Runner::default(),
            s3: S3Config::default(),
            quotas: Quotas::NONE,
            decoder: Decoder::in_process(),
            migrate: true,
            migration: MigrationWatch::default(),
            probe: None,
            clock: Clock::system(),
            files: Files::system(),
        }
    }

    /// ARN of a data store.
    pub(crate) fn datastore_arn(&self, id: &DatastoreId) -> Result<ResourceArn> {
        let Self { partition, region, account_id, .. } = self;
        Ok(ResourceArn::try_from(format!(
            "arn:{partition}:medical-imaging:{region}:{account_id}:datastore/{id}"
        ))?)
    }

    /// ARN of an image set.
    pub(crate) fn image_set_arn(
        &self,
        datastore: &DatastoreId,
        id: &ImageSetId,
    ) -> Result<ResourceArn> {
        let datastore = self.datastore_arn(datastore)?;
        Ok(ResourceArn::try_from(format!("{datastore}/imageset/{id}"))?)
    }

    /// The resource of an ARN, if it is an ARN of this store.
    pub(crate) fn own_resource(&self, arn: &ResourceArn) -> Result<Option<Resource>> {
        let resource = arn.resource();
        let own = match &resource {
            Some(Resource::Datastore(id)) => self.datastore_arn(id)?,
            Some(Resource::ImageSet(datastore, id)) => self.image_set_arn(datastore, id)?,
            None => return Ok(None),
        };
        Ok(resource.filter(|_| own == *arn))
    }

    /// Path of the lock `name`.
    pub(crate) fn lock_path(&self, name: &str) -> PathBuf {
        self.data_dir.join("locks").join(format!("{name}.lock"))
    }

    /// Path of the lock that a process holds while it uses the store.
    pub(crate) fn process_lock(&self, process: &str) -> PathBuf {
        self.lock_path(&format!("process-{process}"))
    }
}
