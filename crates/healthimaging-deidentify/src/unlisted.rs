//! Standard attributes without a row: what the standard trusts, as long as it is what the dictionary says.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use healthimaging_dicom::{Element, Value};

use crate::listed::empty;
use crate::options::ProfileOption;
use crate::report::Outcome;
use crate::walk::{Place, Walk, is_empty};
use crate::{dates, dummy, uids};

/// How a VR holds its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bytes,
    Sequence,
}

fn kind(vr: VR) -> Kind {
    match vr {
        VR::SQ => Kind::Sequence,
        VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN => Kind::Bytes,
        VR::AT | VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FL | VR::FD => {
            Kind::Number
        }
        _ => Kind::Text,
    }
}

/// Whether a value of `vr` can be one of the attribute. Writers confuse VRs of one kind, and leave numbers and bulk
/// data without one; text, or items, where the dictionary has something else could be anything.
fn is_plausible(tag: Tag, vr: VR) -> bool {
    let Some(entry) = StandardDataDictionary.by_tag(tag) else { return false };
    let known = kind(entry.vr().relaxed());
    let is_binary = |kind| matches!(kind, Kind::Number | Kind::Bytes);
    known == kind(vr) || is_binary(known) && is_binary(kind(vr))
}

/// Attributes whose values come from lists of the standard, of vendors or of software, and are no free text.
fn is_controlled(tag: Tag) -> bool {
    matches!(
        tag,
        tags::SPECIFIC_CHARACTER_SET
            | tags::CODE_VALUE
            | tags::LONG_CODE_VALUE
            | tags::URN_CODE_VALUE
            | tags::CODING_SCHEME_DESIGNATOR
            | tags::CODING_SCHEME_VERSION
            | tags::MODALITY
            | tags::IMAGE_TYPE
            | tags::FRAME_TYPE
            | tags::MANUFACTURER
            | tags::MANUFACTURER_MODEL_NAME
            | tags::SOFTWARE_VERSIONS
            | tags::PHOTOMETRIC_INTERPRETATION
    )
}

impl Walk<'_> {
    /// Processes an attribute without a row; `None` when it is removed.
    pub(crate) fn unlisted(
        &mut self,
        tag: Tag,
        element: Element,
        place: Place<'_>,
    ) -> Option<Element> {
        // Pixel data of items are icons and the like, which nothing blanks.
        if tag.group() == 0x7FE0 && place.depth > 0 {
            return None;
        }
        if is_empty(&element.value) {
            return Some(element);
        }
        if !is_plausible(tag, element.vr) {
            return None;
        }
        let vr = element.vr;
        match element.value {
            Value::Items(items) => {
                // The code that is the value of a content item.
                let hides = place.is_identifying && tag == tags::CONCEPT_CODE_SEQUENCE;
                let place = Place { is_dummy: place.is_dummy || hides, ..place };
                Some(Element { vr, value: self.items(items, place)? })
            }
            Value::Text(text) => Some(self.text(tag, vr, text, place)),
            value if place.is_dummy => {
                let dummy = dummy::value(vr);
                let is_same = value == dummy;
                let outcome = if is_same { Outcome::Kept } else { Outcome::Replaced };
                self.report.note(tag, outcome);
                Some(Element { vr, value: dummy })
            }
            // A text too large to look at.
            Value::Bulk { .. } if kind(vr) == Kind::Text => None,
            Value::Bytes(bytes) if self.identity.is_in(&bytes) => None,
            value => Some(Element { vr, value }),
        }
    }

    fn text(&mut self, tag: Tag, vr: VR, text: String, place: Place<'_>) -> Element {
        let is_retained = self.has(ProfileOption::RetainUids);
        match vr {
            VR::UI if (uids::names_definitions(tag) || is_retained) && uids::are_uids(&text) => {
                Element { vr, value: Value::Text(text) }
            }
            VR::UI => self.new_uids(tag, &text),
            VR::CS if place.is_dummy && !self.identity.is_in(text.as_bytes()) => {
                Element { vr, value: Value::Text(text) }
            }
            _ if place.is_dummy => self.dummy_text(tag, vr),
            VR::PN => {
                self.report.note(tag, Outcome::Emptied);
                Element { vr, value: empty(vr) }
            }
            VR::DA | VR::DT | VR::TM
                if self.has(ProfileOption::RetainFullDates) && dates::has_no_letters(&text) =>
            {
                self.report.note(tag, Outcome::Kept);
                Element { vr, value: Value::Text(text) }
            }
            VR::DA | VR::DT | VR::TM => self.clean_date(tag, vr, &text).unwrap_or_else(|| {
                self.report.note(tag, Outcome::Replaced);
                Element { vr, value: dummy::value(vr) }
            }),
            _ if is_controlled(tag) => Element { vr, value: Value::Text(text) },
            VR::IS | VR::DS | VR::CS | VR::AS if self.identity.is_in(text.as_bytes()) => {
                self.report.note(tag, Outcome::Emptied);
                Element { vr, value: empty(vr) }
            }
            _ if place.is_identifying && tag == tags::NUMERIC_VALUE => self.dummy_text(tag, vr),
            _ => {
                let scrubbed = self.identity.scrub(&text).into_owned();
                if scrubbed != text {
                    self.report.note(tag, Outcome::Cleaned);
                }
                Element { vr, value: Value::Text(scrubbed) }
            }
        }
    }

    /// What stands in a dummy item: a dummy of the VR. Code strings stay, since items do not conform without the
    /// terms that the standard defines for them.
    fn dummy_text(&mut self, tag: Tag, vr: VR) -> Element {
        self.report.note(tag, Outcome::Replaced);
        match tag {
            tags::CODING_SCHEME_DESIGNATOR => dummy::text(vr, "99REMOVED"),
            _ => Element { vr, value: dummy::value(vr) },
        }
    }
}
