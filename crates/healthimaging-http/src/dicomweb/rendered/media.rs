//! Media types of pictures (`PS3.18` Table 8.7.4-1): JPEG is the default.

use healthimaging::{Error, Result};
use healthimaging_render::PictureFormat;
use http::HeaderMap;

use crate::dicomweb::accept::{Range, excludes, not_acceptable, ranges};

const FORMATS: [PictureFormat; 2] = [PictureFormat::Jpeg, PictureFormat::Png];

const ONE: &str = "image/jpeg, image/png, and multipart/related with parts of these types";
const SEVERAL: &str =
    "multipart/related; type=\"image/jpeg\", and multipart/related; type=\"image/png\"";

/// How pictures are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) format: PictureFormat,
    /// Whether each picture is a part of a multipart.
    pub(super) is_multipart: bool,
}

impl Media {
    /// Selects how one picture is returned.
    pub(super) fn of_one(headers: &HeaderMap) -> Result<Self> {
        Self::select(headers, ONE, |range| {
            Self::alone(headers, range).or_else(|| Self::parts(range))
        })
    }

    /// Selects how a picture is returned that is never a part of a multipart.
    pub(super) fn of_thumbnail(headers: &HeaderMap) -> Result<Self> {
        Self::select(headers, "image/jpeg, image/png", |range| Self::alone(headers, range))
    }

    /// Selects how several pictures are returned.
    pub(super) fn of_several(headers: &HeaderMap) -> Result<Self> {
        Self::select(headers, SEVERAL, Self::parts)
    }

    fn select(
        headers: &HeaderMap,
        available: &str,
        media: impl Fn(&Range) -> Option<Self>,
    ) -> Result<Self> {
        let refused = || -> Error { not_acceptable(available) };
        ranges(headers).iter().find_map(media).ok_or_else(refused)
    }

    fn alone(headers: &HeaderMap, range: &Range) -> Option<Self> {
        let is_acceptable = |media| range.covers(media) && !excludes(headers, media);
        let format = FORMATS.into_iter().find(|format| is_acceptable(format.media_type()))?;
        Some(Self { format, is_multipart: false })
    }

    fn parts(range: &Range) -> Option<Self> {
        let format = FORMATS.into_iter().find(|it| range.is_multipart_of(it.media_type()))?;
        Some(Self { format, is_multipart: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthimaging::ErrorKind;
    use http::header::ACCEPT;

    const PNG: PictureFormat = PictureFormat::Png;
    const JPEG: PictureFormat = PictureFormat::Jpeg;

    #[test]
    fn the_best_range_that_can_be_met_is_met() {
        let of = |text: &str| HeaderMap::from_iter([(ACCEPT, text.parse().unwrap())]);
        let media = |format, is_multipart| Media { format, is_multipart };
        for (text, one, several) in [
            ("*/*", Some((JPEG, false)), Some((JPEG, true))),
            ("image/*", Some((JPEG, false)), None),
            ("image/png", Some((PNG, false)), None),
            ("image/jpeg;q=0.5, image/png", Some((PNG, false)), None),
            ("image/webp, image/png;q=0.1", Some((PNG, false)), None),
            ("multipart/related; type=\"image/png\"", Some((PNG, true)), Some((PNG, true))),
            ("multipart/related; type=image/*", Some((JPEG, true)), Some((JPEG, true))),
            ("multipart/related", Some((JPEG, true)), Some((JPEG, true))),
            ("image/gif", None, None),
            ("image/jpeg;q=0, image/*", Some((PNG, false)), None),
            ("*/*, image/jpeg; q=0.0, image/png;q=0", Some((JPEG, true)), Some((JPEG, true))),
            ("video/mp4, text/html", None, None),
            ("multipart/related; type=\"application/dicom\"", None, None),
        ] {
            for (found, expected) in [
                (Media::of_one(&of(text)), one),
                (Media::of_several(&of(text)), several),
                (Media::of_thumbnail(&of(text)), one.filter(|(_, is_multipart)| !is_multipart)),
            ] {
                match (found, expected) {
                    (Ok(found), Some((format, parts))) => assert_eq!(found, media(format, parts)),
                    (Err(refused), None) => {
                        assert_eq!(refused.kind(), ErrorKind::NotAcceptable);
                        assert!(refused.message().contains("image/png"), "{refused}");
                    }
                    (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
                }
            }
        }
        assert_eq!(Media::of_one(&HeaderMap::new()).unwrap(), media(JPEG, false));
    }
}
