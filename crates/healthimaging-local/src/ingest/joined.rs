//! Files of a batch, joined before their image set is known: the result is the same as if each came by
//! itself, in their order.

use std::collections::HashSet;
use std::sync::Arc;

use healthimaging_dicom::{Document, SplitInstance};
use healthimaging_packs::BlobLocation;

use super::group::Arrival;
use super::outcome::{Reason, Refusal, Warning};
use crate::catalog::growth::Joining;

/// Files of a batch, joined.
pub(super) struct Joined {
    document: Arc<Document>,
    pub(super) blobs: Vec<BlobLocation>,
    files: Vec<JoinedFile>,
}

/// In the order of arrival.
struct JoinedFile {
    number: usize,
    warnings: Vec<Warning>,
    series_uid: String,
    sop_uid: String,
}

impl Joined {
    /// Joins the files. Refuses one whose instance is there already: it changed since its batch was chosen.
    pub(super) fn of(arrivals: Vec<Arrival>) -> (Self, Vec<(usize, Refusal)>) {
        let (mut document, mut blobs) = (Document::default(), Vec::new());
        let (mut files, mut refused) = (Vec::with_capacity(arrivals.len()), Vec::new());
        let mut seen = HashSet::new();
        for Arrival { number, file } in arrivals {
            let SplitInstance { series_uid, sop_uid, .. } = &file.split;
            let (series_uid, sop_uid) = (series_uid.clone(), sop_uid.clone());
            if !seen.insert((series_uid.clone(), sop_uid.clone())) {
                let changed = "the file changed while it was imported; import it again";
                refused.push((number, Refusal::fault(changed)));
                continue;
            }
            blobs.extend(file.blobs);
            document.add(file.split);
            files.push(JoinedFile { number, warnings: file.warnings, series_uid, sop_uid });
        }
        (Self { document: Arc::new(document), blobs, files }, refused)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.files.iter().map(|file| file.number)
    }

    /// The instances in a new document.
    pub(super) fn document(&self) -> Arc<Document> {
        Arc::clone(&self.document)
    }

    /// The instances with their places in the document.
    pub(super) fn joining(&self) -> Vec<Joining> {
        let place = |file: &JoinedFile| {
            let order = self.document.series.get(&file.series_uid)?.order_of(&file.sop_uid)?;
            Some((file.series_uid.clone(), order))
        };
        self.files.iter().filter_map(place).collect()
    }

    /// Adds the instances to a stored document.
    pub(super) fn add_to(&self, document: &mut Document) {
        for JoinedFile { series_uid, sop_uid, .. } in &self.files {
            if let Some(split) = self.document.split_instance(series_uid, sop_uid) {
                document.add(split);
            }
        }
    }

    /// The warnings of each file, by its number, now that its instance is in `document`.
    pub(super) fn warnings(&self, document: &Document) -> Vec<(usize, Vec<Warning>)> {
        let of_file = |file: &JoinedFile| {
            let mut warnings = file.warnings.clone();
            let keywords = document.differing(&file.series_uid, &file.sop_uid);
            if !keywords.is_empty() {
                let message = format!(
                    "the instance differs from its image set in {}, and keeps its own values",
                    keywords.join(", ")
                );
                warnings.push(Warning::new(Reason::CoercionOfDataElements, message));
            }
            (file.number, warnings)
        };
        self.files.iter().map(of_file).collect()
    }
}
