//! File meta information of Part 10 files (`PS3.10 §7.1`).

/// UIDs of the file meta information.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Meta {
    /// Media Storage SOP Class UID (0002,0002).
    pub(super) sop_class_uid: Option<String>,
    /// Media Storage SOP Instance UID (0002,0003).
    pub(super) sop_instance_uid: Option<String>,
    /// Transfer Syntax UID (0002,0010).
    pub(super) transfer_syntax_uid: Option<String>,
}

/// Bytes that contain the file meta information of any real file.
pub(super) const HEAD: usize = 16 * 1024;

/// Reads the UIDs that are present.
pub(super) fn meta(file: &[u8]) -> Meta {
    let mut meta = Meta::default();
    let Some(mut rest) = file.get(132..).filter(|_| &file[128..132] == b"DICM") else {
        return meta;
    };
    while let Some((element, value, after)) = element(rest) {
        let uid = || {
            let text = value.trim_ascii_end();
            let text = text.strip_suffix(b"\0").unwrap_or(text);
            String::from_utf8(text.to_vec()).ok()
        };
        match element {
            0x0002 => meta.sop_class_uid = uid(),
            0x0003 => meta.sop_instance_uid = uid(),
            0x0010 => meta.transfer_syntax_uid = uid(),
            _ => {}
        }
        rest = after;
    }
    meta
}

/// Reads an element of group 0002, in Explicit VR Little Endian. Returns its number, its value and the rest.
fn element(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let number = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if number(0)? != 0x0002 {
        return None;
    }
    let long = matches!(bytes.get(4..6)?, b"OB" | b"OW" | b"SQ" | b"UN" | b"UT");
    let (from, length): (usize, usize) = if long {
        let length = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
        (12, usize::try_from(length).ok()?)
    } else {
        (8, usize::from(number(6)?))
    };
    let end = from.checked_add(length)?;
    Some((number(2)?, bytes.get(from..end)?, bytes.get(end..)?))
}
