//! Curves (50xx) and overlays (60xx), which repeat by group (PS3.5 §7.6).

use std::collections::BTreeSet;

use dicom_core::{Tag, VR};
use healthimaging_dicom::{DataSet, Element, Value};

use crate::options::ProfileOption;
use crate::report::Outcome;
use crate::walk::Walk;

const OVERLAY_TYPE: u16 = 0x0040;
const OVERLAY_DATA: u16 = 0x3000;
const OVERLAY_BIT_POSITION: u16 = 0x0102;

/// Groups of overlays that are kept.
#[derive(Debug, Default)]
pub(crate) struct KeptOverlays(BTreeSet<u16>);

impl Walk<'_> {
    /// Decides which overlays stay: with Clean Graphics, regions of interest; graphics may be text.
    pub(crate) fn overlays(&self, data_set: &DataSet) -> KeptOverlays {
        if !self.has(ProfileOption::CleanGraphics) {
            return KeptOverlays::default();
        }
        let groups = overlay_groups(data_set);
        let is_region = |group: &u16| data_set.text(Tag(*group, OVERLAY_TYPE)) == Some("R");
        KeptOverlays(groups.filter(is_region).collect())
    }

    pub(crate) fn overlay(
        &mut self,
        tag: Tag,
        element: Element,
        kept: &KeptOverlays,
    ) -> Option<Element> {
        // An attribute of the group means nothing without the data.
        if !kept.0.contains(&tag.group()) {
            return None;
        }
        self.graphic(tag, element)
    }

    pub(crate) fn curve(&mut self, tag: Tag, element: Element) -> Option<Element> {
        let is_audio = (0x2000..=0x200E).contains(&tag.element());
        if !self.has(ProfileOption::CleanGraphics) || is_audio {
            return None;
        }
        self.graphic(tag, element)
    }

    fn graphic(&mut self, tag: Tag, element: Element) -> Option<Element> {
        match &element.value {
            Value::Items(_) => None,
            Value::Text(_) if element.vr == VR::PN => None,
            Value::Text(text) if matches!(element.vr, VR::CS | VR::IS | VR::DS) => {
                (!self.identity.is_in(text.as_bytes())).then_some(element)
            }
            Value::Text(text) => self.clean_text(tag, element.vr, text),
            Value::Bytes(bytes) if self.identity.is_in(bytes) => None,
            _ => {
                self.report.note(tag, Outcome::Kept);
                Some(element)
            }
        }
    }
}

/// Groups with attributes of overlays.
fn overlay_groups(data_set: &DataSet) -> impl Iterator<Item = u16> + '_ {
    let tags = data_set.elements.range(Tag(0x6000, 0)..=Tag(0x60FF, 0xFFFF));
    let groups: BTreeSet<_> =
        tags.map(|(tag, _)| tag.group()).filter(|group| group % 2 == 0).collect();
    groups.into_iter()
}

/// Reports whether an overlay lies in bits of the pixel data that no sample uses (retired, PS3.5 §8.1.2).
pub(crate) fn has_embedded_overlay(data_set: &DataSet) -> bool {
    overlay_groups(data_set).any(|group| {
        let has_data = data_set.elements.contains_key(&Tag(group, OVERLAY_DATA));
        let position = data_set.integer(Tag(group, OVERLAY_BIT_POSITION));
        !has_data && position.is_some_and(|position| position > 0)
    })
}
