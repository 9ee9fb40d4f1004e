//! The `Accept` header (RFC 9110 §12.5.1, `PS3.18 §8.7`).
//!
//! Viewers send `type=application/dicom` without the quotes that RFC 9110 requires, and one such range must not invalidate the
//! others. The crates mime, mediatype and headers-accept reject it, so the header is parsed here.

use healthimaging::model::TransferSyntaxChoice;
use healthimaging::{Error, ErrorKind, Result, Uid};
use http::header::{ACCEPT, HeaderMap};

/// Explicit VR Little Endian, in which all lossless images are available.
pub(super) const DEFAULT: &str = "1.2.840.10008.1.2.1";

/// Beginning of the transfer syntaxes of compressed frames.
const COMPRESSED: &str = "1.2.840.10008.1.2.4";

/// Media types of compressed frames, with their transfer syntaxes (`PS3.18` Table 8.7.3-5).
const IMAGES: &[(&str, &[&str])] = &[
    ("image/jpeg", &[".50", ".51", ".57", ".70"]),
    ("image/jls", &[".80", ".81"]),
    ("image/jp2", &[".90", ".91"]),
    ("image/j2c", &[".90", ".91"]),
    ("image/jph", &[".202", ".201", ".203"]),
    ("image/jphc", &[".202", ".201", ".203"]),
    ("image/jxl", &[".112", ".110", ".111"]),
    ("video/mpeg", &[".100", ".101"]),
    ("video/mp4", &[".102", ".103", ".104", ".105", ".106"]),
    ("video/h265", &[".107", ".108"]),
];

/// A media range of the header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// `multipart/related`, `application/dicom`, `*/*` …
    pub(super) media: String,
    /// The parameter `type` of a multipart.
    pub(super) part: Option<String>,
    transfer_syntax: Option<String>,
    weight: f32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = split_outside_quotes(text, ';');
        // An unencoded plus in a query is decoded as a space.
        let media = fields.next()?.trim().to_ascii_lowercase().replace(' ', "+");
        let mut range = Self { media, part: None, transfer_syntax: None, weight: 1.0 };
        for field in fields {
            let Some((name, value)) = field.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "type" => range.part = Some(value.to_ascii_lowercase()),
                "transfer-syntax" if !value.is_empty() => {
                    range.transfer_syntax = Some(value.to_owned());
                }
                "q" => range.weight = value.parse().ok()?,
                _ => {}
            }
        }
        (range.media.contains('/') && range.weight > 0.0).then_some(range)
    }

    /// Returns whether this range contains a media type.
    pub(super) fn covers(&self, media: &str) -> bool {
        covers(&self.media, media)
    }

    /// Returns whether this range contains a multipart with parts of a media type.
    pub(super) fn is_multipart_of(&self, media: &str) -> bool {
        self.covers("multipart/related")
            && self.part.as_deref().is_none_or(|part| covers(part, media))
    }

    /// Returns the acceptable transfer syntaxes, best first. By default these are Explicit VR Little Endian and, for instances
    /// that are not available in it, the stored one.
    pub(super) fn syntaxes(&self) -> Result<Vec<TransferSyntaxChoice>> {
        let named = |uid: &str| Uid::try_from(uid).map(TransferSyntaxChoice::Uid);
        match self.transfer_syntax.as_deref() {
            Some("*") => Ok(vec![TransferSyntaxChoice::Stored]),
            Some(uid) => Ok(vec![named(uid)?]),
            None => match self.image_syntaxes() {
                Some(short) => {
                    short.iter().map(|end| named(&format!("{COMPRESSED}{end}"))).collect()
                }
                None => Ok(vec![named(DEFAULT)?, TransferSyntaxChoice::Stored]),
            },
        }
    }

    fn image_syntaxes(&self) -> Option<&'static [&'static str]> {
        let part = self.part.as_deref()?;
        let found = IMAGES.iter().find(|(media, _)| *media == part);
        found.map(|(_, syntaxes)| *syntaxes)
    }

    /// Returns the media type of frames in this range: one of [`IMAGES`], or plain bytes.
    pub(super) fn frame_media(&self) -> Option<&str> {
        const BYTES: &str = "application/octet-stream";
        if self.is_multipart_of(BYTES) {
            return Some(BYTES);
        }
        let part = self.part.as_deref().filter(|_| self.covers("multipart/related"))?;
        IMAGES.iter().any(|(media, _)| *media == part).then_some(part)
    }
}

/// Returns whether frames of a transfer syntax are of a media type: plain bytes are any.
pub(super) fn is_of_media(media: &str, transfer_syntax: &str) -> bool {
    IMAGES.iter().find(|(image, _)| *image == media).is_none_or(|(_, ends)| {
        let end = transfer_syntax.strip_prefix(COMPRESSED);
        end.is_some_and(|end| ends.contains(&end))
    })
}

/// Returns whether the header lists transfer syntaxes among what it prefers, and none of HTJ2K: a client that also accepts any, as
/// the microscopy viewer in OHIF does, still decodes only those and uncompressed frames.
pub(super) fn lists_other_than_htj2k(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers);
    let best = ranges.first().map_or(1.0, |range| range.weight);
    let best = ranges.iter().take_while(|range| range.weight >= best);
    let mut listed =
        best.filter_map(|range| range.transfer_syntax.as_deref()).filter(|uid| *uid != "*");
    let first = listed.next();
    first.is_some_and(|first| !is_htj2k(first) && !listed.any(is_htj2k))
}

/// Returns whether a transfer syntax is HTJ2K, lossless or not.
pub(super) fn is_htj2k(transfer_syntax: &str) -> bool {
    is_of_media("image/jphc", transfer_syntax)
}

/// Returns whether the header excludes a media type by its name, with a weight of 0 (RFC 9110 §12.4.2), although a wider range
/// may contain it.
pub(super) fn excludes(headers: &HeaderMap, media: &str) -> bool {
    let written = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    written.flat_map(|text| split_outside_quotes(text, ',')).any(|range| {
        let name = range.split(';').next().unwrap_or_default();
        let weight = parameter(range, "q").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(media) && weight.is_some_and(|weight| weight <= 0.0)
    })
}

/// Returns whether a range such as `image/*` contains a media type.
fn covers(range: &str, media: &str) -> bool {
    range == "*/*"
        || range == media
        || range
            .strip_suffix('*')
            .is_some_and(|kind| kind.ends_with('/') && media.starts_with(kind))
}

/// Returns the ranges of the header, best first; without one, any media type is acceptable.
pub(super) fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let written = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let texts: Vec<&str> = written.flat_map(|text| split_outside_quotes(text, ',')).collect();
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Range::parse("*/*").into_iter().collect();
    }
    let mut ranges: Vec<Range> = texts.into_iter().filter_map(Range::parse).collect();
    ranges.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    ranges
}

/// Rejects a request for none of these media types, of which the first is the one of the response.
pub(super) fn any(headers: &HeaderMap, media: &[&str]) -> Result<()> {
    let is_acceptable = |range: &Range| media.iter().any(|media| range.covers(media));
    if ranges(headers).iter().any(is_acceptable) {
        return Ok(());
    }
    Err(not_acceptable(media.first().copied().unwrap_or_default()))
}

/// Error of a request whose `Accept` contains no available media type.
pub(super) fn not_acceptable(available: &str) -> Error {
    Error::new(
        ErrorKind::NotAcceptable,
        format!("not acceptable; available media types: {available}"),
    )
}

/// Returns a parameter of a media type, such as `boundary`.
pub(super) fn parameter(media: &str, wanted: &str) -> Option<String> {
    let mut fields = split_outside_quotes(media, ';').skip(1);
    fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        let found = name.trim().eq_ignore_ascii_case(wanted);
        found.then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn split_outside_quotes(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Range> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, text.parse().unwrap());
        ranges(&headers)
    }

    fn uid(text: &str) -> TransferSyntaxChoice {
        TransferSyntaxChoice::Uid(text.parse().unwrap())
    }

    #[test]
    fn ranges_are_sorted_and_quoted_values_may_contain_commas() {
        let found = of(
            "application/dicom;q=0.5, multipart/related; type=\"application/dicom\"; x=\"a,b\", text/html;q=0",
        );
        assert_eq!(found.len(), 2);
        assert!(found[0].is_multipart_of("application/dicom"));
        assert_eq!(found[1].media, "application/dicom");
    }

    #[test]
    fn transfer_syntaxes_are_named_implied_or_default() {
        let first = |text: &str| of(text)[0].syntaxes().unwrap();
        assert_eq!(first("application/dicom; transfer-syntax=*"), [TransferSyntaxChoice::Stored]);
        assert_eq!(first("application/dicom; transfer-syntax=1.2.3"), [uid("1.2.3")]);
        assert_eq!(first("*/*"), [uid(DEFAULT), TransferSyntaxChoice::Stored]);
        assert_eq!(first("application/dicom; transfer-syntax=")[0], uid(DEFAULT));
        assert_eq!(first("multipart/related; type=image/jphc")[0], uid("1.2.840.10008.1.2.4.202"));
    }

    #[test]
    fn frames_are_bytes_or_a_known_image() {
        let media = |text: &str| of(text)[0].frame_media().map(str::to_owned);
        assert_eq!(media("*/*").as_deref(), Some("application/octet-stream"));
        assert_eq!(media("multipart/related; type=\"image/jp2\"").as_deref(), Some("image/jp2"));
        assert_eq!(media("multipart/related; type=\"text/html\""), None);
        assert_eq!(media("image/jpeg"), None);
    }
}
