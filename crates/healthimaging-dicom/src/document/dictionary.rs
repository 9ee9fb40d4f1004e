//! Tag ↔ key of the document, and the entry of a tag in `PS3.6`.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, TagRange, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::multi_valued::MULTI_VALUED;

/// The key of a tag in the document: its keyword where it has one, otherwise its eight hexadecimal
/// digits.
///
/// The keyword of a repeating group, such as `OverlayRows` (60xx,0010), stands for the first group:
/// the others would have the same key.
pub(crate) fn key(tag: Tag) -> String {
    keyword(tag).map_or_else(|| hex(tag), str::to_owned)
}

/// Returns the key in the document of a tag in eight hexadecimal digits, as in DICOM JSON; `None` for other text.
#[must_use]
pub fn key_of_json(tag_digits: &str) -> Option<String> {
    let is_tag = tag_digits.len() == 8 && tag_digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_tag.then(|| tag(tag_digits).map(key))?
}

/// Eight upper-case hexadecimal digits.
pub(crate) fn hex(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

/// The tag of a key; `None` when it is neither a keyword nor eight hexadecimal digits.
pub(crate) fn tag(key: &str) -> Option<Tag> {
    if let Some(entry) = StandardDataDictionary.by_name(key) {
        return Some(entry.tag());
    }
    let hexadecimal = key.len() == 8 && key.bytes().all(|b| b.is_ascii_hexdigit());
    let number = hexadecimal.then(|| u32::from_str_radix(key, 16).ok())??;
    let (group, element) = (number >> 16, number & 0xFFFF);
    Some(Tag(u16::try_from(group).ok()?, u16::try_from(element).ok()?))
}

/// The keyword of a standard tag.
pub(crate) fn keyword(tag: Tag) -> Option<&'static str> {
    standard(tag).map(|(keyword, _)| keyword)
}

/// The VR of a standard tag, which may depend on other attributes.
pub(crate) fn vr(tag: Tag) -> Option<VirtualVr> {
    standard(tag).map(|(_, vr)| vr)
}

/// The VR of a standard tag, where it depends on nothing else.
pub(crate) fn exact_vr(tag: Tag) -> Option<VR> {
    vr(tag)?.exact()
}

/// Whether the dictionary allows the tag more than one value.
pub(crate) fn is_multi_valued(tag: Tag) -> bool {
    let number = u32::from(tag.group()) << 16 | u32::from(tag.element());
    MULTI_VALUED.binary_search(&number).is_ok()
}

/// Whether the dictionary allows the attribute of this keyword more than one value (`PS3.6 §6`).
#[must_use]
pub fn allows_several_values(keyword: &str) -> bool {
    tag(keyword).is_some_and(is_multi_valued)
}

/// Whether a tag is private (`PS3.5 §7.8`).
pub(crate) fn is_private(tag: Tag) -> bool {
    tag.group() % 2 == 1
}

/// Whether no element of a data set may have a tag: those of commands, files, group lengths, items and delimiters, and those
/// that private elements must not have (`PS3.5 §7.1, §7.2, §7.5, §7.8`).
pub(crate) fn is_reserved(tag: Tag) -> bool {
    let (group, element) = (tag.group(), tag.element());
    matches!(group, 0x0000..=0x0003 | 0x0005 | 0x0007 | 0x7FE0 | 0xFFFE..=0xFFFF)
        || element == 0
        || (is_private(tag) && matches!(element, 0x0001..=0x000F | 0x0100..=0x0FFF))
}

/// Whether a tag reserves a block of private elements.
pub(crate) fn is_private_creator(tag: Tag) -> bool {
    is_private(tag) && (0x0010..=0x00FF).contains(&tag.element())
}

/// Whether values of a VR may be several, joined by `\` (`PS3.5 §6.2`).
pub(crate) fn splits_at_backslash(vr: VR) -> bool {
    matches!(
        vr,
        VR::AE
            | VR::AS
            | VR::CS
            | VR::DA
            | VR::DS
            | VR::DT
            | VR::IS
            | VR::LO
            | VR::PN
            | VR::SH
            | VR::TM
            | VR::UC
            | VR::UI
    )
}

/// Whether a VR is a string of bytes, which the document shows as base64.
pub(crate) fn is_bytes(vr: VR) -> bool {
    matches!(vr, VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN)
}

/// Whether a VR is a binary number.
pub(crate) fn is_number(vr: VR) -> bool {
    matches!(vr, VR::FD | VR::FL | VR::SL | VR::SS | VR::SV | VR::UL | VR::US | VR::UV)
}

fn standard(tag: Tag) -> Option<(&'static str, VirtualVr)> {
    if is_private(tag) {
        return None;
    }
    let entry = StandardDataDictionary.by_tag(tag)?;
    let own = match entry.tag_range() {
        TagRange::Single(known) | TagRange::Group100(known) | TagRange::Element100(known) => {
            known == tag
        }
        _ => false,
    };
    own.then_some((entry.alias, entry.vr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_items_files_and_group_lengths_are_reserved() {
        for key in [
            "00000002", "00010010", "00020010", "00030010", "00050010", "00070010", "00080000",
            "00090000", "00090001", "0009000F", "00090100", "00090FFF", "7FE00001", "FFFEE000",
            "FFFEE00D", "FFFEE0DD", "FFFF0010",
        ] {
            assert!(is_reserved(tag(key).unwrap()), "{key}");
        }
        for key in
            ["00040010", "00080005", "00090010", "000900FF", "00091000", "0009FFFF", "00100010"]
        {
            assert!(!is_reserved(tag(key).unwrap()), "{key}");
        }
    }

    #[test]
    fn keys_lead_back_to_their_tags() {
        for number in (0..=0xFFFF_u32).flat_map(|group| (0..0x60).map(move |e| group << 16 | e)) {
            let asked = Tag((number >> 16) as u16, (number & 0xFFFF) as u16);
            assert_eq!(tag(&key(asked)), Some(asked), "{asked}");
        }
    }

    #[test]
    fn repeating_groups_keep_apart() {
        assert_eq!(key(Tag(0x6000, 0x0010)), "OverlayRows");
        assert_eq!(key(Tag(0x6002, 0x0010)), "60020010");
        assert_eq!(key(Tag(0x0009, 0x0010)), "00090010");
        assert_eq!(key(Tag(0x0010, 0x0000)), "00100000");
        assert_eq!(key(Tag(0x0002, 0x0000)), "FileMetaInformationGroupLength");
    }

    #[test]
    fn multiplicity_is_the_dictionary_s() {
        assert!(is_multi_valued(Tag(0x0008, 0x0008)));
        assert!(is_multi_valued(Tag(0x0028, 0x1050)));
        assert!(is_multi_valued(Tag(0x6000, 0x0050)));
        assert!(!is_multi_valued(Tag(0x0010, 0x0010)));
        assert!(!is_multi_valued(Tag(0x0028, 0x1053)));
    }
}
