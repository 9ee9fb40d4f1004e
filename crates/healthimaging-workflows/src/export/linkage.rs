//! The linkage file: which original became which new instance. It is written only when a person names it, never inside
//! of the export, and its owner alone can read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use healthimaging::{Error, JobId, ObjectUri, Result};
use healthimaging_objects::Objects;

use super::items::Instance;
use super::naming::Naming;
use crate::deidentify::blocking;

/// Refuses a linkage file that exists, or that lies inside of the export.
pub(super) fn check(path: &Path, objects: &Objects, output: &ObjectUri) -> Result<()> {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    let Some((folder, _)) = folder.zip(path.file_name()) else {
        return Err(Error::validation("linkage: the folder of the file does not exist; create it"));
    };
    if path.symlink_metadata().is_ok() {
        return Err(Error::validation("linkage: the file exists; name a new one"));
    }
    if objects.resolved_folders([output]).iter().any(|output| folder.starts_with(output)) {
        return Err(Error::validation(
            "linkage: the file lies inside of the export, whose reader could identify every patient; name a file in \
             another folder",
        ));
    }
    Ok(())
}

/// A linkage file while it is written. Each run of a job writes all of it.
pub(super) struct Linkage {
    path: PathBuf,
    draft: PathBuf,
    /// `None` once it is finished.
    file: Mutex<Option<BufWriter<File>>>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    patient_id: Option<&'a str>,
    new_patient_id: Option<String>,
    study_instance_uid: &'a str,
    new_study_instance_uid: String,
    series_instance_uid: &'a str,
    new_series_instance_uid: String,
    sop_instance_uid: &'a str,
    new_sop_instance_uid: String,
}

impl Linkage {
    /// Creates a draft beside the file.
    pub(super) async fn create(path: &Path, job_id: &JobId) -> Result<Self> {
        let (path, draft) = (path.to_owned(), draft(path, job_id));
        blocking(move || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&draft).map_err(unwritten)?;
            Ok(Self { path, draft, file: Mutex::new(Some(BufWriter::new(file))) })
        })
        .await
    }

    /// Removes what an earlier run of a cancelled job left.
    pub(super) fn discard(path: &Path, job_id: &JobId) {
        let _ = fs::remove_file(draft(path, job_id));
    }

    /// Adds an instance.
    pub(super) fn add(
        &self,
        naming: &Naming,
        (name, instance): (&str, &Instance),
        patient_id: Option<&Value>,
    ) -> Result<()> {
        let Some(deidentifier) = naming.deidentifier() else { return Ok(()) };
        let patient_id = patient_id.and_then(Value::as_str).filter(|id| !id.is_empty());
        let Instance { study, series, sop } = instance;
        let new = |uid: &healthimaging::Uid| naming.uid(uid).into_owned();
        let line = Line {
            file: name,
            patient_id,
            new_patient_id: patient_id.map(|id| deidentifier.patient_id(id)),
            study_instance_uid: study.as_str(),
            new_study_instance_uid: new(study),
            series_instance_uid: series.as_str(),
            new_series_instance_uid: new(series),
            sop_instance_uid: sop.as_str(),
            new_sop_instance_uid: new(sop),
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else { return Ok(()) };
        serde_json::to_writer(&mut *file, &line).map_err(io::Error::from).map_err(unwritten)?;
        file.write_all(b"\n").map_err(unwritten)
    }

    /// Gives the file its name; it is durable when this returns.
    pub(super) async fn finish(&self) -> Result<()> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (draft, path) = (self.draft.clone(), self.path.clone());
        blocking(move || {
            let Some(file) = file else { return Ok(()) };
            let file = file.into_inner().map_err(|error| unwritten(error.into_error()))?;
            file.sync_all().map_err(unwritten)?;
            fs::rename(&draft, &path).map_err(unwritten)
        })
        .await
    }
}

fn draft(path: &Path, job_id: &JobId) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{job_id}"))
}

fn unwritten(cause: io::Error) -> Error {
    Error::internal("the linkage file cannot be written; check its folder and the disk", cause)
}
