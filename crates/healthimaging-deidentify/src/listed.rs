//! Attributes with a row in the table.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging_dicom::{DataSet, Element, Value};

use crate::options::ProfileOption;
use crate::report::Outcome;
use crate::table::{Action, Row};
use crate::walk::{Place, Walk, is_empty};
use crate::{dates, dummy, uids};

/// Identifiers that become pseudonyms: the same value gives the same one everywhere.
const PSEUDONYMS: [Tag; 5] = [
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_ID,
    tags::CONTAINER_IDENTIFIER,
    tags::SPECIMEN_IDENTIFIER,
];

impl Walk<'_> {
    /// Applies the action of a row; `None` when the attribute is removed.
    pub(crate) fn listed(
        &mut self,
        tag: Tag,
        element: Element,
        row: &Row,
        place: Place<'_>,
    ) -> Option<Element> {
        let action = row.action(self.deidentifier.profile());
        let action = match action {
            // A dummy around it stays one, and nothing inside it is kept.
            Action::Keep | Action::Clean if place.is_dummy => row.basic,
            action => action,
        };
        // Items are moved, not copied: sequences within sequences would be copied at each level.
        let element = match (action, element) {
            (Action::Keep | Action::Clean, Element { vr: VR::SQ, value: Value::Items(items) })
                if dummy::vr_of(tag, VR::SQ) == VR::SQ =>
            {
                let value = self.items(items, place)?;
                let is_kept = action == Action::Keep;
                self.report.note(tag, if is_kept { Outcome::Kept } else { Outcome::Cleaned });
                return Some(Element { vr: VR::SQ, value });
            }
            (_, element) => element,
        };
        let retained = match action {
            Action::Keep => self.keep(tag, &element),
            Action::Clean => self.clean(tag, &element, place),
            action => return self.replace(tag, element, action, place),
        };
        retained.or_else(|| self.replace(tag, element, row.basic, place))
    }

    fn replace(
        &mut self,
        tag: Tag,
        element: Element,
        action: Action,
        place: Place<'_>,
    ) -> Option<Element> {
        match action {
            Action::Remove | Action::Keep | Action::Clean => None,
            _ if is_empty(&element.value) => {
                let vr = dummy::vr_of(tag, element.vr);
                Some(Element { vr, value: empty(vr) })
            }
            Action::Empty if tag == tags::PATIENT_NAME => Some(self.patient_name(place)),
            Action::Empty => {
                self.report.note(tag, Outcome::Emptied);
                let vr = dummy::vr_of(tag, element.vr);
                Some(Element { vr, value: empty(vr) })
            }
            Action::Dummy => Some(self.dummy(tag, element, place)),
            Action::NewUid => match element.value {
                Value::Text(text) if element.vr == VR::UI => Some(self.new_uids(tag, &text)),
                // X/Z/U*: a sequence of references.
                Value::Items(items) => {
                    Some(Element { vr: VR::SQ, value: self.items(items, place)? })
                }
                _ => {
                    self.report.note(tag, Outcome::Emptied);
                    let vr = dummy::vr_of(tag, element.vr);
                    Some(Element { vr, value: empty(vr) })
                }
            },
        }
    }

    fn patient_name(&mut self, place: Place<'_>) -> Element {
        self.report.note(tags::PATIENT_NAME, Outcome::Replaced);
        let patient = place.patient_id.unwrap_or(&self.patient);
        let name = self.deidentifier.key().pseudonym("patient-name", patient);
        dummy::text(VR::PN, &format!("Anonymous^{name}"))
    }

    fn dummy(&mut self, tag: Tag, element: Element, place: Place<'_>) -> Element {
        let vr = dummy::vr_of(tag, element.vr);
        let key = self.deidentifier.key();
        let value = match (element.value, tag) {
            (Value::Text(text), _) if vr == VR::UI && element.vr == VR::UI => {
                return self.new_uids(tag, &text);
            }
            (Value::Text(text), tags::PATIENT_ID) => {
                Value::Text(key.pseudonym("patient-id", text.trim_matches([' ', '\0'])))
            }
            (Value::Text(text), _) if PSEUDONYMS.contains(&tag) => {
                Value::Text(key.pseudonym("identifier", text.trim_matches([' ', '\0'])))
            }
            (_, tags::ENCAPSULATED_DOCUMENT) => dummy::document(place.mime_type),
            (Value::Items(_), tags::CONTENT_SEQUENCE) => dummy::content(),
            (Value::Items(items), _) if vr == VR::SQ => {
                // One item is as good as many.
                let place = Place { is_dummy: true, ..place };
                let first = items.into_iter().take(1).collect();
                self.items(first, place)
                    .map_or_else(|| dummy::value(vr), |items| complete(tag, items))
            }
            _ => dummy::value(vr),
        };
        self.report.note(tag, Outcome::Replaced);
        Element { vr, value }
    }

    /// Keeps a value; `None` when its form hides what it holds.
    fn keep(&mut self, tag: Tag, element: &Element) -> Option<Element> {
        if dummy::vr_of(tag, element.vr) != element.vr {
            return None;
        }
        let value = match &element.value {
            Value::Items(_) | Value::Bulk { .. } => return None,
            // Codes and numbers cannot be masked.
            Value::Text(text) if is_label(element.vr) => {
                // An institution, or a device, that is named like the patient.
                Value::Text(self.identity.scrub(text).into_owned())
            }
            Value::Text(text) if self.identity.is_in(text.as_bytes()) => return None,
            Value::Bytes(bytes) if self.identity.is_in(bytes) => return None,
            Value::Text(text) if element.vr == VR::UI && !uids::are_uids(text) => return None,
            Value::Text(text)
                if matches!(element.vr, VR::DA | VR::DT | VR::TM)
                    && !dates::has_no_letters(text) =>
            {
                return None;
            }
            value => value.clone(),
        };
        self.report.note(tag, Outcome::Kept);
        Some(Element { vr: element.vr, value })
    }

    /// Cleans a value; `None` when that is not possible.
    fn clean(&mut self, tag: Tag, element: &Element, place: Place<'_>) -> Option<Element> {
        let vr = element.vr;
        if dummy::vr_of(tag, vr) != vr {
            return None;
        }
        match (&element.value, vr) {
            (Value::Text(_), _) if place.is_identifying => None,
            (Value::Text(text), VR::DA | VR::TM | VR::DT) => self.clean_date(tag, vr, text),
            (Value::Text(text), _) if tag == tags::TIMEZONE_OFFSET_FROM_UTC => {
                let text = text.trim_matches([' ', '\0']);
                let digits = text.strip_prefix(['+', '-']).unwrap_or_default();
                let is_offset = digits.len() == 4 && digits.bytes().all(|d| d.is_ascii_digit());
                is_offset.then(|| {
                    self.report.note(tag, Outcome::Kept);
                    dummy::text(vr, text)
                })
            }
            (
                Value::Text(text),
                VR::AE | VR::CS | VR::LO | VR::SH | VR::ST | VR::LT | VR::UC | VR::UT,
            ) => self.clean_text(tag, vr, text),
            (Value::Empty, _) => Some(element.clone()),
            _ => None,
        }
    }

    /// Moves dates; times of day stay as they are.
    pub(crate) fn clean_date(&mut self, tag: Tag, vr: VR, text: &str) -> Option<Element> {
        if !self.has(ProfileOption::RetainModifiedDates) {
            return None;
        }
        let days = self.deidentifier.key().date_shift(&self.patient);
        let shifted = match vr {
            VR::DA => dates::shift_dates(text, days)?,
            VR::DT => dates::shift_date_times(text, days)?,
            _ => dates::is_time(text).then(|| text.to_owned())?,
        };
        self.report.note(tag, Outcome::DateShifted);
        Some(dummy::text(vr, &shifted))
    }
}

/// VRs of short and long text.
fn is_label(vr: VR) -> bool {
    matches!(vr, VR::LO | VR::SH | VR::ST | VR::LT | VR::UC | VR::UT)
}

/// The value of zero length of a VR.
pub(crate) fn empty(vr: VR) -> Value {
    if vr == VR::SQ { Value::Items(Vec::new()) } else { Value::Empty }
}

/// Adds what the dummy item of a sequence needs to conform.
fn complete(tag: Tag, value: Value) -> Value {
    let Value::Items(mut items) = value else { return value };
    if tag == tags::GRAPHIC_ANNOTATION_SEQUENCE {
        for item in &mut items {
            item.elements.remove(&tags::TEXT_OBJECT_SEQUENCE);
            item.elements.insert(tags::GRAPHIC_OBJECT_SEQUENCE, dummy::graphic_object());
        }
    }
    if items.is_empty() { Value::Items(vec![DataSet::default()]) } else { Value::Items(items) }
}
