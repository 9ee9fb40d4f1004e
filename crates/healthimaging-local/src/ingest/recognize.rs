//! Recognizing files that are not DICOM instances, such as those beside them on a medium.

use std::io::{self, Read, Seek, SeekFrom};

use dicom_dictionary_std::uids;
use healthimaging_dicom::ReadError;
use serde::{Deserialize, Serialize};

use super::outcome::Refusal;

/// Bytes that are looked at.
const START: u64 = 512;

/// Ends of the paths of the lists that jobs write.
const LISTS: [&str; 3] =
    ["/SUCCESS/success.ndjson", "/FAILURE/failure.ndjson", "/WARNING/warning.ndjson"];

/// How manifests and lists of import and export jobs begin, in lower case.
const MANIFESTS: [&str; 5] = [
    "{\"jobsummary\":",
    "{\"inputfile\":",
    "{\"outputfile\":",
    "{\"imagesetid\":",
    "{\"exportresponse\":",
];

/// What a file is that is not a DICOM instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FileKind {
    /// The directory of a medium.
    Dicomdir,
    /// A program or library.
    Program,
    /// ZIP and other archives.
    Archive,
    /// A document: PDF, RTF, Office.
    Document,
    /// A picture in another format, also an icon.
    Picture,
    /// Video or sound.
    Video,
    /// HTML or XML.
    Markup,
    /// A list or manifest that an import or export job wrote.
    Manifest,
    /// Text.
    Text,
    /// A database, font, shortcut or other file of a program.
    Data,
}

impl FileKind {
    const ALL: [Self; 10] = [
        Self::Dicomdir,
        Self::Program,
        Self::Archive,
        Self::Document,
        Self::Picture,
        Self::Video,
        Self::Markup,
        Self::Manifest,
        Self::Text,
        Self::Data,
    ];

    /// In words, to be counted: `program` of `3 programs`.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Dicomdir => "DICOMDIR",
            Self::Program => "program",
            Self::Archive => "archive",
            Self::Document => "document",
            Self::Picture => "picture",
            Self::Video => "video or sound file",
            Self::Markup => "HTML or XML file",
            Self::Manifest => "import manifest",
            Self::Text => "text",
            Self::Data => "program data file",
        }
    }

    /// What a file that begins with `start` is in place of a DICOM instance; `None` for one that may be an instance.
    /// 512 bytes are enough.
    #[must_use]
    pub fn recognize(start: &[u8]) -> Option<Self> {
        if !start.get(128..).is_some_and(|rest| rest.starts_with(b"DICM")) {
            return Self::of_start(start);
        }
        let class = uids::MEDIA_STORAGE_DIRECTORY_STORAGE.as_bytes();
        start.windows(class.len()).any(|uid| uid == class).then_some(Self::Dicomdir)
    }

    /// The kind of an empty file: jobs write their lists at these paths, an empty one where nothing failed.
    #[must_use]
    pub fn of_empty(key: &str) -> Option<Self> {
        LISTS.iter().any(|list| key.ends_with(list)).then_some(Self::Manifest)
    }

    /// The message of the refusal, which leads back to the kind: the output of a job has it alone.
    #[must_use]
    pub fn message(self) -> String {
        format!("not a DICOM instance: recognized as {}", self.noun())
    }

    /// The kind that a message names.
    #[must_use]
    pub fn of_message(message: &str) -> Option<Self> {
        let noun = message.strip_prefix("not a DICOM instance: recognized as ")?;
        Self::ALL.into_iter().find(|kind| kind.noun() == noun)
    }

    /// The kind that the first bytes of a file show (the magic numbers of the formats).
    fn of_start(start: &[u8]) -> Option<Self> {
        let at = |offset: usize, magic: &[u8]| {
            start.get(offset..).is_some_and(|rest| rest.starts_with(magic))
        };
        let any = |magics: &[&[u8]]| magics.iter().any(|magic| start.starts_with(magic));
        let is_icon = any(&[b"\0\0\x01\0", b"\0\0\x02\0"]) && at(5, b"\0") && !at(4, b"\0");
        let is_bitmap = at(0, b"BM") && at(6, b"\0\0\0\0");
        let is_program = at(0, b"MZ") && start.len() >= 64;
        if is_program
            || any(&[b"\x7FELF", b"\xCA\xFE\xBA\xBE", b"\xCF\xFA\xED\xFE", b"\xCE\xFA\xED\xFE"])
        {
            Some(Self::Program)
        } else if any(&[
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"\x1F\x8B\x08",
            b"7z\xBC\xAF\x27\x1C",
            b"Rar!\x1A\x07",
            b"MSCF\0\0\0\0",
            b"BZh",
            b"\xFD7zXZ\0",
            b"ISc(",
        ]) || at(257, b"ustar")
        {
            Some(Self::Archive)
        } else if any(&[b"%PDF-", b"{\\rtf", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", b"ITSF\x03"]) {
            Some(Self::Document)
        } else if is_icon
            || is_bitmap
            || any(&[
                b"\xFF\xD8\xFF",
                b"\x89PNG\r\n\x1A\n",
                b"GIF87a",
                b"GIF89a",
                b"II*\0",
                b"MM\0*",
                b"\0\0\0\x0CjP  \r\n\x87\n",
                b"icns",
            ])
            || (at(0, b"RIFF") && at(8, b"WEBP"))
        {
            Some(Self::Picture)
        } else if at(0, b"RIFF")
            || at(4, b"ftyp")
            || any(&[
                b"\0\0\x01\xBA",
                b"ID3",
                b"OggS",
                b"FWS",
                b"CWS",
                b"\x30\x26\xB2\x75\x8E\x66\xCF\x11",
            ])
        {
            Some(Self::Video)
        } else if any(&[
            b"SQLite format 3\0",
            b"L\0\0\0\x01\x14\x02\0",
            b"\0\x01\0\0\0",
            b"OTTO",
            b"wOFF",
            b"wOF2",
            b"\0\0\0\x01Bud1",
            b"bplist00",
            b"Microsoft C/C++ MSF 7.00",
        ]) {
            Some(Self::Data)
        } else {
            Self::of_text(start)
        }
    }

    fn of_text(start: &[u8]) -> Option<Self> {
        let text = match start {
            [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
            [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
            plain => plain_text(plain)?,
        };
        let is_printed =
            |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{C}' | '\u{1A}');
        if text.trim().is_empty() || !text.chars().all(is_printed) {
            return None;
        }
        let first = text.trim_start().to_ascii_lowercase();
        let is_markup = ["<!doctype", "<?xml", "<html", "<head", "<!--", "<svg"];
        let is_markup = is_markup.iter().any(|tag| first.starts_with(tag));
        let is_manifest = MANIFESTS.iter().any(|start| first.starts_with(start));
        Some(match (is_markup, is_manifest) {
            (true, _) => Self::Markup,
            (_, true) => Self::Manifest,
            _ => Self::Text,
        })
    }
}

/// Bytes as text: UTF-8, or mostly ASCII with letters of a code page.
fn plain_text(bytes: &[u8]) -> Option<String> {
    let whole = match std::str::from_utf8(bytes) {
        Ok(text) => return Some(text.to_owned()),
        // A character may be cut at the end of what is looked at.
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to())?,
        Err(_) => {
            let ascii = bytes.iter().filter(|byte| byte.is_ascii()).count();
            if ascii * 4 < bytes.len() * 3 {
                return None;
            }
            return Some(
                bytes.iter().map(|&byte| if byte < 0x80 { byte.into() } else { '?' }).collect(),
            );
        }
    };
    std::str::from_utf8(whole).ok().map(str::to_owned)
}

fn utf16(bytes: &[u8], number: fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|&pair| number(pair));
    char::decode_utf16(units).map(|unit| unit.unwrap_or('?')).collect()
}

/// The first bytes of a source, which is left at its start.
pub(super) fn start_of(source: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    source.seek(SeekFrom::Start(0))?;
    source.take(START).read_to_end(&mut start)?;
    source.seek(SeekFrom::Start(0))?;
    Ok(start)
}

/// The refusal of a file that cannot be read and begins with `start`.
pub(super) fn refusal(error: ReadError, start: &[u8]) -> Refusal {
    match error {
        ReadError::MediaDirectory => Refusal::recognized(FileKind::Dicomdir),
        ReadError::NotPart10 if start.is_empty() => Refusal::invalid("the file is empty"),
        ReadError::NotPart10 => match FileKind::of_start(start) {
            Some(kind) => Refusal::recognized(kind),
            None => error.into(),
        },
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognized_by_their_first_bytes() {
        let program = [&b"MZ\x90\0"[..], &[0; 80]].concat();
        for (start, kind) in [
            (program.as_slice(), FileKind::Program),
            (b"\x7FELF\x02\x01\x01\0", FileKind::Program),
            (b"PK\x03\x04\x14\0", FileKind::Archive),
            (b"%PDF-1.4\n%\xE2\xE3\xCF\xD3", FileKind::Document),
            (b"{\\rtf1\\ansi", FileKind::Document),
            (b"\xFF\xD8\xFF\xE0\0\x10JFIF", FileKind::Picture),
            (b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR", FileKind::Picture),
            (b"GIF89a\x01\0", FileKind::Picture),
            (b"\0\0\x01\0\x01\0\x20\x20\0\0", FileKind::Picture),
            (b"<!DOCTYPE html><html>", FileKind::Markup),
            (b"\xEF\xBB\xBF<?xml version=\"1.0\"?>", FileKind::Markup),
            (b"\xFF\xFE<\0h\0t\0m\0l\0>\0", FileKind::Markup),
            (b"[autorun]\r\nopen=viewer.exe\r\n", FileKind::Text),
            (b"Krankenhaus M\xFCnchen, Stra\xDFe 5\r\n", FileKind::Text),
            (b"{\"jobSummary\":{}}\n", FileKind::Manifest),
            (b"{\"outputFile\":\"/out/1.dcm\",\"exportResponse\":{}}\n", FileKind::Manifest),
            (b"{\"imageSetId\":\"1\",\"exception\":{}}\n", FileKind::Manifest),
        ] {
            assert_eq!(FileKind::of_start(start), Some(kind), "{start:?}");
            assert_eq!(FileKind::of_message(&kind.message()), Some(kind));
        }
    }

    #[test]
    fn only_lists_of_jobs_may_be_empty() {
        let manifest = Some(FileKind::Manifest);
        assert_eq!(FileKind::of_empty("/out/0-DicomExport-1/FAILURE/failure.ndjson"), manifest);
        assert_eq!(FileKind::of_empty("/out/failure.ndjson"), None);
        assert_eq!(FileKind::of_empty("/out/FAILURE/1.dcm"), None);
    }

    #[test]
    fn what_may_be_anything_is_not_recognized() {
        let noise: Vec<u8> = (0..512_u32).map(|n| (n * 167 + 13).to_le_bytes()[0]).collect();
        for start in
            [&b""[..], b"   \r\n", b"\0\0\0\0\0\0\0\0", b"\x08\0\x05\0CS", &noise, b"\x01text"]
        {
            assert_eq!(FileKind::of_start(start), None, "{start:?}");
        }
    }
}
