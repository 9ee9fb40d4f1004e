//! Files of a group, joined before their image set is known: the result is the same as if each came by
//! itself, in their order.

use std::collections::HashMap;
use std::sync::Arc;

use healthimaging_dicom::{Document, SplitInstance};
use healthimaging_packs::BlobLocation;

use super::group::Arrival;
use super::outcome::{Reason, Warning};

/// Files of a group, joined.
pub(super) struct Joined {
    /// Each without an instance that comes twice: one that replaces another begins the next.
    parts: Vec<Part>,
    pub(super) blobs: Vec<BlobLocation>,
    files: Vec<JoinedFile>,
}

/// Instances in a document of their own.
#[derive(Default)]
struct Part {
    document: Arc<Document>,
    /// Series and SOP Instance UIDs in the order of arrival.
    order: Vec<(String, String)>,
}

struct JoinedFile {
    number: usize,
    warnings: Vec<Warning>,
    /// Series and SOP Instance UID; of an instance that a later file replaces none.
    instance: Option<(String, String)>,
}

impl Joined {
    pub(super) fn of(arrivals: Vec<Arrival>) -> Self {
        let mut parts: Vec<(Document, Vec<(String, String)>)> = Vec::new();
        let mut blobs: HashMap<String, Vec<BlobLocation>> = HashMap::new();
        let mut files: Vec<JoinedFile> = Vec::with_capacity(arrivals.len());
        let mut latest: HashMap<(String, String), (usize, usize)> = HashMap::new();
        for Arrival { number, file } in arrivals {
            let SplitInstance { series_uid, sop_uid, .. } = &file.split;
            let uids = (series_uid.clone(), sop_uid.clone());
            // What a later file replaces is left in the pack, and named nowhere.
            blobs.insert(uids.1.clone(), file.blobs);
            let before = latest.get(&uids).copied();
            if let Some(replaced) = before.and_then(|(position, _)| files.get_mut(position)) {
                replaced.instance = None;
            }
            let is_in_last = before.is_some_and(|(_, part)| part + 1 == parts.len());
            if parts.is_empty() || is_in_last {
                parts.push(Default::default());
            }
            latest.insert(uids.clone(), (files.len(), parts.len() - 1));
            if let Some((document, order)) = parts.last_mut() {
                document.add(file.split);
                order.push(uids.clone());
            }
            files.push(JoinedFile { number, warnings: file.warnings, instance: Some(uids) });
        }
        let parts = parts.into_iter();
        let parts = parts.map(|(document, order)| Part { document: Arc::new(document), order });
        Self { parts: parts.collect(), blobs: blobs.into_values().flatten().collect(), files }
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.files.iter().map(|file| file.number)
    }

    /// The instances in a new document.
    pub(super) fn document(&self) -> Arc<Document> {
        let (first, rest) = match self.parts.split_first() {
            None => return Arc::default(),
            Some((first, [])) => return Arc::clone(&first.document),
            Some((first, rest)) => (first, rest),
        };
        let mut document = Document::clone(&first.document);
        for part in rest {
            part.add_to(&mut document);
        }
        Arc::new(document)
    }

    /// Adds the instances to a stored document.
    pub(super) fn add_to(&self, document: &mut Document) {
        self.parts.iter().for_each(|part| part.add_to(document));
    }

    /// The warnings of each file, by its number, now that its instance is in `document`.
    pub(super) fn warnings(&self, document: &Document) -> Vec<(usize, Vec<Warning>)> {
        let of_file = |file: &JoinedFile| {
            let mut warnings = file.warnings.clone();
            let uids = file.instance.as_ref();
            let differing = uids.map(|(series, sop)| document.differing(series, sop));
            if let Some(keywords) = differing.filter(|keywords| !keywords.is_empty()) {
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

impl Part {
    fn add_to(&self, document: &mut Document) {
        for (series, sop) in &self.order {
            if let Some(split) = self.document.split_instance(series, sop) {
                document.add(split);
            }
        }
    }
}
