//! Export: instances as Part 10 files, with a manifest and a checksum a file.
//!
//! Files are `study/series/instance.dcm` below the output; those of image sets outside of the primary
//! hierarchy, where a UID may come twice, `study/series/<image set>/instance.dcm`. Of a de-identified export, names are
//! made of the new UIDs, and nothing that it writes holds an original one.

mod deidentified;
mod file;
mod items;
mod lines;
mod linkage;
mod manifest;
mod matches;
mod naming;
mod summary;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::model::{DatastoreStatus, GetDatastoreRequest, LosslessStorageFormat};
use healthimaging::{DatastoreId, Error, JobId, ObjectUri, Result, RoleArn, Uid};

use crate::deidentify::{Deidentify, Review};
use crate::find::Criteria;
use crate::imports;
use crate::work::{Journal, Tools};

use deidentified::ReportedAttributes;
use items::{Item, Walk};
use linkage::Linkage;
use naming::Naming;

/// The tool that starts exports; their jobs are listed by its name, also those started from the command line.
pub const TOOL: &str = "start_dicom_export_job";

/// Files that are written at once.
const AT_ONCE: usize = 6;

/// The transfer syntaxes of `GetDICOMInstance` (developer guide, "Retrieving DICOM data"): decoded, the formats of data
/// stores, and what is kept as received, with the beginning of the videos.
const EXPLICIT: (&str, &str) = ("1.2.840.10008.1.2.1", "Explicit VR Little Endian");
const HTJ2K: (&str, &str) = ("1.2.840.10008.1.2.4.202", "HTJ2K Lossless RPCL");
const JPEG_2000: (&str, &str) = ("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless");
const KEPT: [(&str, &str); 4] = [
    ("1.2.840.10008.1.2.4.50", "JPEG Baseline"),
    ("1.2.840.10008.1.2.4.91", "JPEG 2000"),
    ("1.2.840.10008.1.2.4.203", "HTJ2K"),
    ("1.2.840.10008.1.2.4.112", "JPEG XL"),
];
const ENCAPSULATED: &str = "1.2.840.10008.1.2.4.";

/// What to export, and where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// From which data store.
    pub datastore_id: DatastoreId,
    /// Where to.
    pub output_uri: ObjectUri,
    /// Which image sets; all, when empty.
    pub criteria: Criteria,
    /// Which instance of them, SOP Instance UID (0008,0018); all, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sop_instance_uid: Option<Uid>,
    /// Whether image sets outside of the primary hierarchy are exported too.
    #[serde(default)]
    pub include_non_primary: bool,
    /// Transfer syntax of the files; as they are stored, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_syntax_uid: Option<Uid>,
    /// Whether files that are there with other content are replaced; else each is a failure.
    #[serde(default)]
    pub overwrite: bool,
    /// How the instances are de-identified; not at all, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deidentify: Option<Deidentify>,
    /// File on this machine for the original and the new UIDs and patient IDs of a de-identified export; none, when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linkage: Option<PathBuf>,
    /// The role that the caller named, for the record: the server's own credentials write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_access_role_arn: Option<RoleArn>,
    /// Folders that are allowed to this job beside those of the server: a person named them on the
    /// command line when the job was started, whichever process runs it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_paths: Vec<PathBuf>,
}

impl Export {
    /// Refuses what is known to fail before any file is written.
    ///
    /// Errors: `Validation` for criteria, an output or a transfer syntax that are never possible, `Conflict` if the data
    /// store is not active, `NotFound` if nothing matches.
    pub async fn check(&self, tools: &Tools) -> Result<()> {
        self.criteria.check()?;
        self.check_review()?;
        let objects = tools.objects.allowing(&self.allowed_paths);
        objects.location(&self.folder()?)?;
        if let Some(linkage) = &self.linkage {
            linkage::check(linkage, &objects, &self.output_uri)?;
        }
        let request = GetDatastoreRequest { datastore_id: self.datastore_id.clone() };
        let datastore = tools.back_end.service.get_datastore(request).await?.datastore_properties;
        if let Some(syntax) = &self.transfer_syntax_uid {
            check_transfer_syntax(syntax, datastore.lossless_storage_format)?;
        }
        match datastore.datastore_status {
            DatastoreStatus::Active => self.check_matches(&tools.back_end).await,
            other => Err(Error::conflict(format!(
                "the data store is {other}; only an ACTIVE one can be exported"
            ))),
        }
    }

    /// A review is of frames that a person saw: those of one series or instance.
    fn check_review(&self) -> Result<()> {
        let review = self.deidentify.as_ref().map(|deidentify| &deidentify.review);
        let is_reviewed = review.is_some_and(|review| *review != Review::default());
        let is_one = self.criteria.series_instance_uid.is_some() || self.sop_instance_uid.is_some();
        if is_reviewed && !is_one {
            return Err(Error::validation(
                "blank, reviewed: a person has to have seen every frame they apply to; name one series or instance",
            ));
        }
        Ok(())
    }

    /// The folder of the manifest and the outcome files, below the output.
    pub fn outcome_uri(&self, job_id: &JobId) -> Result<ObjectUri> {
        let output = self.output_uri.as_str().trim_end_matches('/');
        let datastore = &self.datastore_id;
        ObjectUri::try_from(format!("{output}/{datastore}-DicomExport-{job_id}/"))
    }

    /// The output as a folder: a prefix is any beginning of a key.
    fn folder(&self) -> Result<ObjectUri> {
        let output = self.output_uri.as_str().trim_end_matches('/');
        ObjectUri::try_from(format!("{output}/"))
    }
}

/// Refuses a transfer syntax in which the service returns no instance of a data store of this format.
fn check_transfer_syntax(syntax: &Uid, format: Option<LosslessStorageFormat>) -> Result<()> {
    let lossless: &[(&str, &str)] = match format {
        Some(LosslessStorageFormat::Htj2k) => &[HTJ2K],
        Some(LosslessStorageFormat::Jpeg2000Lossless) => &[JPEG_2000],
        None => &[HTJ2K, JPEG_2000],
    };
    let possible = [EXPLICIT].iter().chain(lossless).chain(&KEPT);
    let is_video = syntax.as_str().strip_prefix(ENCAPSULATED).is_some_and(|rest| {
        let number = rest.strip_suffix(".1").unwrap_or(rest);
        number.parse().is_ok_and(|number: u32| (100..=108).contains(&number))
    });
    if is_video || possible.clone().any(|(uid, _)| *uid == syntax.as_str()) {
        return Ok(());
    }
    let named: Vec<String> = possible.map(|(uid, name)| format!("{uid} ({name})")).collect();
    Err(Error::validation(format!(
        "transfer_syntax_uid: no instance of this data store is returned in it; leave it out for files as they are \
         stored, or use {}, or a video syntax; all but the first only where frames are stored so",
        named.join(", ")
    )))
}

/// What a walk over the image sets has met, whether its files were written now or earlier.
#[derive(Debug, Default)]
struct Counts {
    image_sets: AtomicU64,
    left_out: AtomicU64,
    items: AtomicU64,
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Carries it out.
pub(crate) async fn run(
    export: &Export,
    tools: &Tools,
    journal: &dyn Journal,
) -> Result<Map<String, Value>> {
    let needs = journal.needs();
    let objects = match &needs.folders {
        Some(folders) => tools.objects.confined_to(folders),
        None => tools.objects.allowing(&export.allowed_paths),
    };
    let output = objects.location(&export.folder()?).map_err(|error| needs.refused(error))?;
    let output = output.resumable(journal.job_id().as_str());
    if journal.is_taken_over() {
        output.discard_own_drafts().await?;
    }
    if journal.is_called_off() {
        if let Some(linkage) = &export.linkage {
            Linkage::discard(linkage, journal.job_id());
        }
        return Ok(Map::new());
    }
    let instances = export.deidentify.as_ref();
    let instances = instances.map(|deidentify| deidentify.open(tools)).transpose()?;
    let naming = Naming::new(instances.as_ref());
    let outcome = manifest::Folder::open(export, &objects, journal.job_id()).await?;
    let linkage = match &export.linkage {
        Some(path) => Some(Linkage::create(path, journal.job_id()).await?),
        None => None,
    };
    let service = &*tools.back_end.service;
    let not_ended = imports::count_not_ended(service, &export.datastore_id).await;
    let counts = Counts::default();
    let walk = Walk::new(export, &tools.back_end, journal, &counts, (&naming, linkage.as_ref()));
    let cancelled = journal.cancelled();
    let items = pin!(walk.items().await?.take_until(cancelled.cancelled()));
    let writer = file::Writer {
        export,
        dicomweb: &*tools.back_end.dicomweb,
        output: &output,
        journal,
        instances,
        reported: ReportedAttributes::default(),
    };
    items.try_for_each_concurrent(AT_ONCE, async |item: Item| writer.carry_out(item).await).await?;
    if cancelled.is_cancelled() {
        return Ok(Map::new());
    }
    if count(&counts.items) == 0 {
        return Err(export.nothing_matches(count(&counts.left_out)));
    }
    let mut report = outcome.write(&output, journal, &counts).await?;
    report.extend(not_ended.map(|count| (imports::NOT_ENDED.to_owned(), count.into())));
    if let Some(linkage) = &linkage {
        linkage.finish().await?;
    }
    Ok(report)
}
