//! The walk through a data set and its items: each attribute by its row, or by the rules for attributes without one.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging_dicom::{DataSet, Element, Value};

use crate::deidentifier::Deidentifier;
use crate::identity::{Identity, MAX_DEPTH};
use crate::options::ProfileOption;
use crate::private::SafeBlocks;
use crate::report::{Outcome, Report};
use crate::table::row;
use crate::{content, uids};

/// The state of one walk.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(crate) deidentifier: &'a Deidentifier,
    pub(crate) identity: Identity,
    pub(crate) report: Report,
    /// What the pseudonyms and the shift of dates of the instance derive from.
    pub(crate) patient: String,
}

/// Where in the data set the walk is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// 0 in the data set, more in items.
    pub(crate) depth: usize,
    /// Whether every value becomes a dummy, because a sequence around it does.
    pub(crate) is_dummy: bool,
    /// Whether the values of a content item name a person, by the concept that the item is about.
    pub(crate) is_identifying: bool,
    /// Patient ID (0010,0020) of the data set.
    pub(crate) patient_id: Option<&'a str>,
    /// MIME Type of Encapsulated Document (0042,0012) of the data set.
    pub(crate) mime_type: Option<&'a str>,
}

impl Place<'_> {
    pub(crate) const ROOT: Self = Self {
        depth: 0,
        is_dummy: false,
        is_identifying: false,
        patient_id: None,
        mime_type: None,
    };
}

impl Walk<'_> {
    pub(crate) fn has(&self, option: ProfileOption) -> bool {
        self.deidentifier.profile().has(option)
    }

    /// Processes a data set; what goes is noted, what nothing applies to stays.
    pub(crate) fn data_set(&mut self, data_set: DataSet, place: Place<'_>) -> DataSet {
        let patient_id = data_set.text(tags::PATIENT_ID).map(str::to_owned);
        let mime_type = data_set.text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT).map(str::to_owned);
        let is_identifying =
            place.is_identifying || content::names_somebody(&data_set, self.deidentifier.profile());
        let place = Place {
            patient_id: patient_id.as_deref(),
            mime_type: mime_type.as_deref(),
            is_identifying,
            ..place
        };
        let safe = SafeBlocks::of(&data_set, self.has(ProfileOption::RetainSafePrivate));
        let overlays = self.overlays(&data_set);
        let mut processed = DataSet::default();
        for (tag, element) in data_set.elements {
            let kept = match tag.group() {
                // Commands, File Meta Information and directories are no part of an instance.
                group if group < 0x0008 => None,
                group if group % 2 == 1 => self.private(tag, element, &safe),
                0x5000..=0x50FF => self.curve(tag, element),
                0x6000..=0x60FF => self.overlay(tag, element, &overlays),
                _ => match row(tag) {
                    Some(row) => self.listed(tag, element, row, place),
                    None => self.unlisted(tag, element, place),
                },
            };
            match kept {
                Some(element) => {
                    processed.elements.insert(tag, element);
                }
                None => self.report.note(tag, Outcome::Removed),
            }
        }
        safe.keep_creators(&mut processed);
        processed
    }

    /// Processes the items of a sequence.
    pub(crate) fn items(&mut self, items: Vec<DataSet>, place: Place<'_>) -> Option<Value> {
        if place.depth >= MAX_DEPTH {
            return None;
        }
        let place = Place { depth: place.depth + 1, ..place };
        Some(Value::Items(items.into_iter().map(|item| self.data_set(item, place)).collect()))
    }

    /// Replaces each UID that does not name a definition of the standard.
    pub(crate) fn new_uids(&mut self, tag: Tag, text: &str) -> Element {
        let replace = |uid: &str| {
            let uid = uid.trim_matches([' ', '\0']);
            if uid.is_empty() || uids::is_well_known(uid) {
                uid.to_owned()
            } else {
                self.deidentifier.uid(uid)
            }
        };
        let replaced = text.split('\\').map(replace).collect::<Vec<_>>().join("\\");
        if replaced != text.trim_matches([' ', '\0']) {
            self.report.note(tag, Outcome::NewUid);
        }
        Element { vr: VR::UI, value: Value::Text(replaced) }
    }

    /// Cleans a text; `None` when it cannot be cleaned.
    pub(crate) fn clean_text(&mut self, tag: Tag, vr: VR, text: &str) -> Option<Element> {
        let cleaned = self.identity.clean(vr, text)?.into_owned();
        self.report.note(tag, Outcome::Cleaned);
        Some(Element { vr, value: Value::Text(cleaned) })
    }
}

/// Whether an element has no value.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Empty => true,
        Value::Text(text) => text.trim_matches([' ', '\0']).is_empty(),
        Value::Items(items) => items.is_empty(),
        _ => false,
    }
}
