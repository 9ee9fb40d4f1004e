//! Settings of a local store.

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

/// How the files of a series are grouped into image sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grouping {
    /// The seven attributes of AWS HealthImaging. An instance that differs in another attribute of the
    /// patient, study or series level keeps its own value, with warning B000.
    #[default]
    Service,
    /// Every attribute of these levels: instances that differ in one are a non-primary image set.
    Strict,
}

/// Settings of a local store.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The folder that holds everything; made if it is missing.
    pub data_dir: PathBuf,
    /// Partition in ARNs, such as `aws`.
    pub partition: String,
    /// Region in ARNs, such as `us-east-1`.
    pub region: String,
    /// Account in ARNs: twelve digits.
    pub account_id: String,
    /// Folders that `file://` may touch from requests; none by default.
    pub allowed_paths: Vec<PathBuf>,
    /// Minimum time that a resource stays in a transitional state (`LOCKED`, `CREATING`).
    pub write_delay: Duration,
    /// Whether this process takes over jobs of dead processes and cleans up; off in read-only servers.
    pub run_jobs: bool,
    /// How the files of a series are grouped into image sets.
    pub grouping: Grouping,
    /// What this process offers to jobs of other processes.
    pub runner: Runner,
    /// Access to `s3://`; refused without credentials.
    pub s3: S3Config,
    /// Quotas; none by default.
    pub quotas: Quotas,
    /// Where compressed frames of files are decoded.
    pub decoder: Decoder,
    /// Whether a store of an earlier format is migrated; it is refused otherwise.
    pub migrate: bool,
    /// Receives the progress of a migration of the store; ignored by default.
    pub migration: MigrationWatch,
    /// Tries a file on which a process crashed in a process of its own. Without it, a file is refused after two
    /// crashes, though the processes may have been killed for another reason.
    pub probe: Option<Probe>,
    /// Source of the current time.
    pub clock: Clock,
    /// Calls of the file system, which tests can make fail.
    pub files: Files,
}

impl LocalConfig {
    /// The default settings, with everything in `data_dir`.
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
