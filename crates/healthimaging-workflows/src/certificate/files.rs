//! Certificates on disk: one file each in `certificates/` of the data folder, readable by its owner only, that never changes.
//! Until a certificate is made, what has to be looked for lies beside it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use healthimaging::{Error, JobId, Result, random_hex};

use super::Certificate;
use super::identifiers::Identifiers;

/// Folder of certificates in the data folder.
pub(super) const FOLDER: &str = "certificates";

/// Name of the file of a certificate.
pub(super) fn name(id: &JobId) -> String {
    format!("{id}.json")
}

/// Name of the file with what is looked for, until the certificate is made.
pub(super) fn pending_name(id: &JobId) -> String {
    format!("{id}.pending")
}

fn unusable(cause: io::Error) -> Error {
    Error::internal(
        format!(
            "the folder {FOLDER} of the data folder cannot be used ({cause}); check the folder and the disk"
        ),
        cause,
    )
}

/// Lists the certificates of a data folder, the newest first; and the files that are none.
///
/// # Errors
///
/// `Internal` if the folder cannot be read.
pub fn list(data_folder: &Path) -> Result<(Vec<Certificate>, Vec<PathBuf>)> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(data_folder.join(FOLDER)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((found, others)),
        entries => entries.map_err(unusable)?,
    };
    for entry in entries {
        let path = entry.map_err(unusable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            match fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                Some(certificate) => found.push(certificate),
                None => others.push(path),
            }
        }
    }
    found.sort_by_key(|certificate: &Certificate| std::cmp::Reverse(certificate.made_at));
    Ok((found, others))
}

/// Reads the text of a certificate by its id.
///
/// # Errors
///
/// `NotFound` without one.
pub fn read(data_folder: &Path, id: &JobId) -> Result<String> {
    fs::read_to_string(data_folder.join(FOLDER).join(name(id))).map_err(|error| {
        match error.kind() {
            ErrorKind::NotFound => {
                Error::not_found("there is no certificate of that id; certificate list lists them")
            }
            _ => unusable(error),
        }
    })
}

/// The certificate of a job, if it was made.
pub(super) fn made(data_folder: &Path, id: &JobId) -> Result<Option<Certificate>> {
    match read(data_folder, id) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|cause| Error::internal("the certificate of this job is damaged", cause)),
        Err(error) if error.kind() == healthimaging::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a certificate durably. If there is one already, that one stays.
pub(super) fn write(data_folder: &Path, certificate: &Certificate) -> Result<()> {
    let text = serde_json::to_string(certificate)
        .map_err(|cause| Error::internal("the certificate could not be written as JSON", cause))?;
    place(data_folder, &name(&certificate.certificate_id), text.as_bytes())
}

/// Keeps what has to be looked for durably, until the certificate is made.
pub(super) fn keep(data_folder: &Path, id: &JobId, identifiers: &Identifiers) -> Result<()> {
    let text = serde_json::to_vec(identifiers)
        .map_err(|cause| Error::internal("what is erased could not be written as JSON", cause))?;
    place(data_folder, &pending_name(id), &text)
}

/// What an earlier run of the job has kept.
pub(super) fn kept(data_folder: &Path, id: &JobId) -> Option<Identifiers> {
    let text = fs::read(data_folder.join(FOLDER).join(pending_name(id))).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Removes what was kept; its bytes are overwritten first.
pub(super) fn forget(data_folder: &Path, id: &JobId) -> Result<()> {
    let path = data_folder.join(FOLDER).join(pending_name(id));
    let overwritten = OpenOptions::new().write(true).open(&path).and_then(|mut file| {
        let mut left = file.metadata()?.len();
        let zeros = [0; 4096];
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(zeros.len()).min(zeros.len());
            file.write_all(zeros.get(..length).unwrap_or_default())?;
            left -= length as u64;
        }
        file.sync_data()
    });
    match overwritten.and_then(|()| fs::remove_file(&path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(error)),
        _ => Ok(()),
    }
}

/// Writes a file that is whole as soon as it has its name; an existing one stays.
fn place(data_folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let folder = data_folder.join(FOLDER);
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).map_err(unusable)?;
    let draft = folder.join(format!(".{name}.{}", random_hex()?));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&draft, folder.join(name)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let removed = fs::remove_file(&draft);
    linked.and(removed).map_err(unusable)?;
    #[cfg(unix)]
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(unusable)?;
    Ok(())
}
