//! Specific Character Set (0008,0005) to Unicode, with code extensions (PS3.3 §C.12.1.1.2, PS3.5 §6.1).

use std::borrow::Cow;

use dicom_core::VR;
use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1254,
};

/// Text, and whether its bytes were all in the character sets declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) faithful: bool,
}

/// The character sets that text of a data set is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CharacterSets {
    /// One that cannot be extended: UTF-8, GB18030, GBK.
    Whole(&'static Encoding),
    /// One for bytes from 80 on at the start of text, and others after escape sequences.
    Extended(Upper),
}

impl Default for CharacterSets {
    fn default() -> Self {
        Self::Extended(Upper::None)
    }
}

/// What bytes from 80 on mean (G1 of ISO 2022).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upper {
    None,
    Latin1,
    SingleByte(&'static Encoding),
    /// JIS X 0201 katakana.
    Katakana,
    /// KS X 1001 or GB 2312: pairs.
    Pairs(&'static Encoding),
}

/// What bytes from 21 to 7E mean (G0 of ISO 2022).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lower {
    Ascii,
    Jis0208,
    Jis0212,
}

impl CharacterSets {
    /// Whether text is in UTF-8.
    pub(crate) fn is_utf_8(&self) -> bool {
        matches!(self, Self::Whole(encoding) if *encoding == UTF_8)
    }

    /// Reads the value of Specific Character Set; also returns whether a term was unknown.
    ///
    /// Only the first term defines how text begins; the others announce escape sequences, all of which
    /// are understood anyhow.
    pub(crate) fn parse(terms: &str) -> (Self, bool) {
        let mut unknown = false;
        let mut first = None;
        for term in terms.split('\\') {
            let parsed = Self::of_term(term);
            unknown |= parsed.is_none();
            first.get_or_insert(parsed.unwrap_or_default());
        }
        (first.unwrap_or_default(), unknown)
    }

    /// Spellings vary: `ISO-IR 100` and `ISO 2022-IR 87` are seen.
    fn of_term(term: &str) -> Option<Self> {
        let letters: String = term
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        let number = match letters.as_str() {
            "" => return Some(Self::default()),
            "GB18030" => return Some(Self::Whole(GB18030)),
            "GBK" => return Some(Self::Whole(GBK)),
            other => other.strip_prefix("ISO2022IR").or_else(|| other.strip_prefix("ISOIR"))?,
        };
        Some(Self::Extended(match number {
            "192" => return Some(Self::Whole(UTF_8)),
            // Multi-byte sets of G0 (87, 159) are always announced by an escape sequence.
            "6" | "87" | "159" => Upper::None,
            "100" => Upper::Latin1,
            "101" => Upper::SingleByte(ISO_8859_2),
            "109" => Upper::SingleByte(ISO_8859_3),
            "110" => Upper::SingleByte(ISO_8859_4),
            "144" => Upper::SingleByte(ISO_8859_5),
            "127" => Upper::SingleByte(ISO_8859_6),
            "126" => Upper::SingleByte(ISO_8859_7),
            "138" => Upper::SingleByte(ISO_8859_8),
            "148" => Upper::SingleByte(WINDOWS_1254),
            "203" => Upper::SingleByte(ISO_8859_15),
            "166" => Upper::SingleByte(WINDOWS_874),
            "13" => Upper::Katakana,
            "149" => Upper::Pairs(EUC_KR),
            "58" => Upper::Pairs(GBK),
            _ => return None,
        }))
    }

    /// Decodes text of an element with `vr`.
    ///
    /// Bytes that are not in the character set are taken for UTF-8 where the whole value is that, and
    /// else for Latin-1, so that nothing is lost.
    pub(crate) fn decode(&self, vr: VR, bytes: &[u8]) -> Decoded {
        if bytes.is_ascii() && !bytes.contains(&ESCAPE) {
            return faithful(String::from_utf8_lossy(bytes));
        }
        let set = if is_extensible(vr) { *self } else { Self::default() };
        match set {
            Self::Whole(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .map_or_else(|| guess(bytes), faithful),
            Self::Extended(Upper::None) if !bytes.contains(&ESCAPE) => guess(bytes),
            Self::Extended(initial) => {
                let decoded = Extended::new(initial, vr).decode(bytes);
                if initial == Upper::Katakana && !decoded.faithful {
                    // JIS X 0201 is a part of Shift JIS, which some writers mean by it.
                    let kanji =
                        SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes);
                    return kanji.map_or(decoded, |text| Decoded {
                        text: text.into_owned(),
                        faithful: false,
                    });
                }
                decoded
            }
        }
    }
}

/// Text VRs to which Specific Character Set applies (PS3.5 §6.1.2.2).
fn is_extensible(vr: VR) -> bool {
    matches!(vr, VR::SH | VR::LO | VR::ST | VR::LT | VR::UC | VR::UT | VR::PN)
}

fn faithful(text: Cow<'_, str>) -> Decoded {
    Decoded { text: text.into_owned(), faithful: true }
}

fn guess(bytes: &[u8]) -> Decoded {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    };
    Decoded { text, faithful: false }
}

const ESCAPE: u8 = 0x1B;

/// Decodes text with code extensions, byte by byte.
#[derive(Debug)]
struct Extended {
    initial: Upper,
    vr: VR,
    lower: Lower,
    upper: Upper,
    text: String,
    faithful: bool,
}

impl Extended {
    fn new(initial: Upper, vr: VR) -> Self {
        Self {
            initial,
            vr,
            lower: Lower::Ascii,
            upper: initial,
            text: String::new(),
            faithful: true,
        }
    }

    fn decode(mut self, mut bytes: &[u8]) -> Decoded {
        while let Some(taken) = self.take(bytes) {
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Decoded { text: self.text, faithful: self.faithful }
    }

    /// Decodes what comes first; how many bytes that took, or `None` at the end.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let taken = match (bytes, self.lower, self.upper) {
            ([], ..) => return None,
            ([ESCAPE, rest @ ..], ..) => match escape(rest) {
                Some((code, taken)) => {
                    self.shift(code);
                    taken + 1
                }
                None => self.guess(ESCAPE),
            },
            ([first @ 0x21..=0x7E, second @ 0x21..=0x7E, ..], Lower::Jis0208, _) => {
                self.several(EUC_JP, &[first | 0x80, second | 0x80])
            }
            ([first @ 0x21..=0x7E, second @ 0x21..=0x7E, ..], Lower::Jis0212, _) => {
                self.several(EUC_JP, &[0x8F, first | 0x80, second | 0x80]);
                2
            }
            ([byte @ ..0x80, ..], ..) => self.ascii(*byte),
            ([first, second @ 0xA1..=0xFF, ..], _, Upper::Pairs(encoding)) => {
                self.several(encoding, &[*first, *second])
            }
            ([byte @ 0xA1..=0xDF, ..], _, Upper::Katakana) => {
                // JIS X 0201 and the half-width forms of Unicode are in the same order.
                let code = 0xFF61 + u32::from(byte - 0xA1);
                self.text.extend(char::from_u32(code));
                1
            }
            ([byte, ..], _, Upper::Latin1) => {
                self.text.push(char::from(*byte));
                1
            }
            ([byte, ..], _, Upper::SingleByte(encoding)) => self.several(encoding, &[*byte]),
            ([byte, ..], ..) => self.guess(*byte),
        };
        Some(taken)
    }

    fn ascii(&mut self, byte: u8) -> usize {
        self.text.push(char::from(byte));
        if is_delimiter(self.vr, byte) {
            (self.lower, self.upper) = (Lower::Ascii, self.initial);
        }
        1
    }

    fn several(&mut self, encoding: &'static Encoding, bytes: &[u8]) -> usize {
        match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
            Some(text) => self.text.push_str(&text),
            None => {
                for &byte in bytes {
                    self.guess(byte);
                }
            }
        }
        bytes.len()
    }

    fn guess(&mut self, byte: u8) -> usize {
        self.text.push(char::from(byte));
        self.faithful = false;
        1
    }

    fn shift(&mut self, code: Code) {
        match code {
            Code::Lower(lower) => self.lower = lower,
            Code::Upper(upper) => self.upper = upper,
        }
    }
}

/// Where the sets are again those of the first term (PS3.5 §6.1.2.5.3).
fn is_delimiter(vr: VR, byte: u8) -> bool {
    match byte {
        b'\t' | b'\n' | 0x0C | b'\r' => true,
        b'\\' => !matches!(vr, VR::ST | VR::LT | VR::UT),
        b'^' | b'=' => vr == VR::PN,
        _ => false,
    }
}

/// What an escape sequence designates.
#[derive(Debug, Clone, Copy)]
enum Code {
    Lower(Lower),
    Upper(Upper),
}

/// The escape sequences of PS3.3 Tables C.12-3 and C.12-4, after the escape character; with how many
/// bytes they take. The romaji of JIS X 0201 (ISO-IR 14) are read as ASCII, since its yen sign is
/// where the backslash separates values.
fn escape(rest: &[u8]) -> Option<(Code, usize)> {
    let upper = |upper, taken| Some((Code::Upper(upper), taken));
    let lower = |lower, taken| Some((Code::Lower(lower), taken));
    match rest {
        [b'(', b'B' | b'J', ..] => lower(Lower::Ascii, 2),
        [b'$', b'B', ..] => lower(Lower::Jis0208, 2),
        [b'$', b'(', b'D', ..] => lower(Lower::Jis0212, 3),
        [b'$', b')', b'C', ..] => upper(Upper::Pairs(EUC_KR), 3),
        [b'$', b')', b'A', ..] => upper(Upper::Pairs(GBK), 3),
        [b')', b'I', ..] => upper(Upper::Katakana, 2),
        [b'-', set, ..] => upper(
            match set {
                b'A' => Upper::Latin1,
                b'B' => Upper::SingleByte(ISO_8859_2),
                b'C' => Upper::SingleByte(ISO_8859_3),
                b'D' => Upper::SingleByte(ISO_8859_4),
                b'L' => Upper::SingleByte(ISO_8859_5),
                b'G' => Upper::SingleByte(ISO_8859_6),
                b'F' => Upper::SingleByte(ISO_8859_7),
                b'H' => Upper::SingleByte(ISO_8859_8),
                b'M' => Upper::SingleByte(WINDOWS_1254),
                b'b' => Upper::SingleByte(ISO_8859_15),
                b'T' => Upper::SingleByte(WINDOWS_874),
                _ => return None,
            },
            2,
        ),
        _ => None,
    }
}
