//! Private attributes: they go, but for those of Table E.3.10-1 where the profile retains them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use dicom_core::{Tag, VR};
use healthimaging_dicom::{DataSet, Element, Value};

use crate::report::Outcome;
use crate::walk::Walk;
use crate::{dummy, uids};

/// Group, element within the block, private creator → VR.
type SafeList = BTreeMap<(u16, u8, &'static str), VR>;

static SAFE: LazyLock<SafeList> = LazyLock::new(|| {
    let lines = include_str!("../data/safe_private.tsv").lines();
    lines.filter_map(parse_line).collect()
});

fn parse_line(line: &'static str) -> Option<((u16, u8, &'static str), VR)> {
    let mut fields = line.split('\t');
    let group = u16::from_str_radix(fields.next()?, 16).ok()?;
    let element = u8::from_str_radix(fields.next()?, 16).ok()?;
    let creator = fields.next()?;
    Some(((group, element, creator), fields.next()?.parse().ok()?))
}

/// The blocks that private creators of a data set reserve (PS3.5 §7.8.1), and what is safe in them.
#[derive(Debug, Default)]
pub(crate) struct SafeBlocks {
    /// Element → VR.
    elements: BTreeMap<Tag, VR>,
    /// Element → creator of its block.
    creators: BTreeMap<Tag, (Tag, &'static str)>,
}

impl SafeBlocks {
    pub(crate) fn of(data_set: &DataSet, retains: bool) -> Self {
        let mut blocks = Self::default();
        if !retains {
            return blocks;
        }
        for tag in data_set.elements.keys() {
            if tag.group().is_multiple_of(2) || tag.element() < 0x1000 {
                continue;
            }
            let creator = Tag(tag.group(), tag.element() >> 8);
            let Some(name) = data_set.text(creator) else { continue };
            let low = tag.element().to_le_bytes()[0];
            let found = SAFE.iter().find(|((group, element, safe), _)| {
                (*group, *element, *safe) == (tag.group(), low, name)
            });
            if let Some(((_, _, safe), vr)) = found {
                blocks.elements.insert(*tag, *vr);
                blocks.creators.insert(*tag, (creator, *safe));
            }
        }
        blocks
    }

    /// Puts back the creators of the blocks of which something is left.
    pub(crate) fn keep_creators(&self, processed: &mut DataSet) {
        let left = self.creators.iter().filter(|(tag, _)| processed.elements.contains_key(tag));
        let creators: BTreeSet<_> = left.map(|(_, creator)| *creator).collect();
        for (tag, name) in creators {
            processed.elements.insert(tag, dummy::text(VR::LO, name));
        }
    }
}

impl Walk<'_> {
    /// Keeps a private attribute that is safe and whose value has the form that the list says. Creators come back
    /// with [`SafeBlocks::keep_creators`].
    pub(crate) fn private(
        &mut self,
        tag: Tag,
        element: Element,
        safe: &SafeBlocks,
    ) -> Option<Element> {
        let listed = *safe.elements.get(&tag)?;
        let element = match element {
            Element { vr: VR::UN, value: Value::Bytes(bytes) } => decoded(listed, &bytes)?,
            element if element.vr == listed => element,
            _ => return None,
        };
        let element = match element {
            Element { vr: VR::UI, value: Value::Text(text) } => {
                let is_listed = text.split('\\').all(uids::is_well_known);
                if is_listed { dummy::text(VR::UI, &text) } else { self.new_uids(tag, &text) }
            }
            Element { vr, value: Value::Text(text) } => {
                let is_plain = match vr {
                    VR::DS | VR::IS => text.bytes().all(|b| b"0123456789+-.eE \\".contains(&b)),
                    VR::CS => text.bytes().all(|b| {
                        b.is_ascii_uppercase() || b.is_ascii_digit() || b"_ \\".contains(&b)
                    }),
                    _ => true,
                };
                let cleaned = self.identity.clean(vr, &text);
                if !is_plain
                    || matches!(vr, VR::LO | VR::SH | VR::CS) && cleaned.as_deref() != Some(&text)
                {
                    return None;
                }
                Element { vr, value: Value::Text(text) }
            }
            Element { value: Value::Bulk { .. } | Value::Items(_), .. } => return None,
            element => element,
        };
        self.report.note(tag, Outcome::Kept);
        Some(element)
    }
}

/// The value of an element without VR, as it comes out of implicit VR, in the VR of the list.
fn decoded(vr: VR, bytes: &[u8]) -> Option<Element> {
    fn numbers<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let pieces = bytes.chunks(N).map(|piece| piece.try_into().ok().map(&number));
        pieces.collect()
    }
    let value = match vr {
        VR::US => Value::Unsigned(numbers(bytes, |b| u16::from_le_bytes(b).into())?),
        VR::UL => Value::Unsigned(numbers(bytes, |b| u32::from_le_bytes(b).into())?),
        VR::SS => Value::Signed(numbers(bytes, |b| i16::from_le_bytes(b).into())?),
        VR::SL => Value::Signed(numbers(bytes, |b| i32::from_le_bytes(b).into())?),
        VR::FL => Value::Float(numbers(bytes, f32::from_le_bytes)?),
        VR::FD => Value::Double(numbers(bytes, f64::from_le_bytes)?),
        _ if bytes.is_ascii() => {
            let text = std::str::from_utf8(bytes).ok()?;
            Value::Text(text.trim_end_matches(['\0', ' ']).to_owned())
        }
        _ => return None,
    };
    Some(Element { vr, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines = include_str!("../data/safe_private.tsv").lines();
        let lines = lines.filter(|line| !line.starts_with('#') && !line.starts_with("group"));
        assert_eq!(SAFE.len(), lines.count());
        assert!(SAFE.keys().all(|(group, _, _)| group % 2 == 1));
        assert!(!SAFE.values().any(|vr| matches!(*vr, VR::OB | VR::SQ | VR::LT | VR::UN)));
    }
}
