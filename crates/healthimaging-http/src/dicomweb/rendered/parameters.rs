//! Query parameters of rendered resources (`PS3.18 §8.3.5`).

use std::str::FromStr;

use healthimaging::{Error, Result};
use healthimaging_render::{
    Contrast, Labels, PictureFormat, RenderOptions, Viewport, Window, WindowFunction,
};

use crate::dicomweb::{IMAGE_SET_ID, is_common, unknown_parameter};

/// Greatest width and height of a viewport in pixels.
const LONGEST_SIDE: u32 = 8192;

/// Greatest width and height of a thumbnail without a viewport, in pixels.
const THUMBNAIL: u32 = 128;

/// Quality of JPEG pictures if the request names none.
const QUALITY: u8 = 92;

/// How pictures are to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Parameters {
    window: Option<Contrast>,
    viewport: Option<Viewport>,
    quality: Option<u8>,
    labels: Option<Labels>,
}

/// Parameters of pictures.
const KNOWN: &[&str] = &["window", "viewport", "quality", "annotation", IMAGE_SET_ID];

impl Parameters {
    /// Parses the parameters of a query. Those that the resource does not have are rejected, so that a misspelled one never
    /// selects another picture.
    pub(super) fn parse<'a>(query: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut parsed = Self::default();
        for (name, value) in query {
            match name {
                "window" => once(name, &mut parsed.window, window(value)?)?,
                "viewport" => once(name, &mut parsed.viewport, viewport(value)?)?,
                "annotation" => once(name, &mut parsed.labels, labels(value)?)?,
                "quality" => once(name, &mut parsed.quality, quality(value)?)?,
                _ if name == IMAGE_SET_ID || is_common(name) => {}
                _ => return Err(unknown_parameter(KNOWN)),
            }
        }
        Ok(parsed)
    }

    /// Parses the parameters of a thumbnail, whose viewport is a size alone (`PS3.18 §10.4.1.1.4`).
    pub(super) fn of_thumbnail<'a>(
        query: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let parsed = Self::parse(query)?;
        let is_size =
            |viewport: Viewport| viewport == Viewport::whole(viewport.columns, viewport.rows);
        if !parsed.viewport.is_none_or(is_size) {
            return Err(Error::validation(
                "the viewport of a thumbnail is WIDTH,HEIGHT; retrieve a rendered resource for a \
                 region of the image",
            ));
        }
        Ok(parsed)
    }

    /// Returns the options of a picture.
    pub(super) fn options(&self, format: PictureFormat) -> RenderOptions {
        RenderOptions {
            format,
            contrast: self.window.unwrap_or(Contrast::File),
            viewport: self.viewport,
            labels: self.labels.unwrap_or(Labels::NONE),
            quality: self.quality.unwrap_or(QUALITY),
            ..RenderOptions::default()
        }
    }

    /// Returns the options of a thumbnail.
    pub(super) fn thumbnail_options(&self, format: PictureFormat) -> RenderOptions {
        let most = self.viewport.map_or(THUMBNAIL, |_| u32::MAX);
        RenderOptions {
            max_rows: most,
            max_columns: most,
            may_use_lower_resolution: true,
            ..self.options(format)
        }
    }
}

/// Sets a parameter that may be given once.
fn once<T>(name: &str, parameter: &mut Option<T>, value: T) -> Result<()> {
    if parameter.replace(value).is_some() {
        return Err(Error::validation(format!("{name} is given more than once")));
    }
    Ok(())
}

/// Parses `center,width,function`, of which the function may be left out, as in the tools.
fn window(text: &str) -> Result<Contrast> {
    let wrong = || {
        Error::validation(
            "window must be CENTER,WIDTH,FUNCTION with two numbers and the function linear, \
             linear-exact or sigmoid, such as window=40,400,linear",
        )
    };
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let (center, width, function) = match fields[..] {
        [center, width] => (center, width, None),
        [center, width, function] => (center, width, Some(function)),
        _ => return Err(wrong()),
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let function = function.map(|term| term.to_ascii_lowercase().replace('_', "-"));
    let function = match function.as_deref() {
        None => None,
        Some("linear") => Some(WindowFunction::Linear),
        Some("linear-exact") => Some(WindowFunction::LinearExact),
        Some("sigmoid") => Some(WindowFunction::Sigmoid),
        Some(_) => return Err(wrong()),
    };
    let (center, width) = number(center).zip(number(width)).ok_or_else(wrong)?;
    let contrast = match function {
        Some(function) => Contrast::Window(Window { center, width, function }),
        None => Contrast::Named { center, width },
    };
    if !contrast.is_usable() {
        return Err(Error::validation(
            "the WIDTH of window must be at least 1 with linear, and more than 0 otherwise",
        ));
    }
    Ok(contrast)
}

/// Parses `vw,vh` or `vw,vh,sx,sy,sw,sh`, of which the last four may be empty or left out.
fn viewport(text: &str) -> Result<Viewport> {
    let wrong = || {
        Error::validation(format!(
            "viewport must be WIDTH,HEIGHT from 1 to {LONGEST_SIDE}, and optionally the region of the \
             image LEFT,TOP,WIDTH,HEIGHT, such as viewport=512,512 or \
             viewport=512,512,0,0,256,256"
        ))
    };
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    if !(2..=6).contains(&fields.len()) {
        return Err(wrong());
    }
    let field = |index: usize| fields.get(index).copied().filter(|text| !text.is_empty());
    let side = |index| {
        let side: u32 = field(index)?.parse().ok()?;
        (1..=LONGEST_SIDE).contains(&side).then_some(side)
    };
    let number = |index| {
        let number = field(index).map(f64::from_str).transpose().map_err(|_| wrong())?;
        if number.is_some_and(|number| !number.is_finite()) { Err(wrong()) } else { Ok(number) }
    };
    let (columns, rows) = side(0).zip(side(1)).ok_or_else(wrong)?;
    let [left, top, width, height] = [number(2)?, number(3)?, number(4)?, number(5)?];
    if [left, top].into_iter().flatten().any(f64::is_sign_negative) {
        return Err(Error::validation("LEFT and TOP of the region in viewport must be 0 or more"));
    }
    if [width, height].into_iter().flatten().any(|length| length == 0.0) {
        return Err(Error::validation(
            "WIDTH and HEIGHT of the region in viewport must not be 0; negative ones mirror the image",
        ));
    }
    let (left, top) = (left.unwrap_or(0.0), top.unwrap_or(0.0));
    Ok(Viewport { columns, rows, left, top, width, height })
}

/// Parses `patient`, `technique` or both.
fn labels(text: &str) -> Result<Labels> {
    let mut labels = Labels::NONE;
    for keyword in text.split(',').map(str::trim) {
        match keyword {
            "patient" => labels.patient = true,
            "technique" => labels.technique = true,
            _ => {
                return Err(Error::validation(
                    "annotation must be patient, technique or patient,technique",
                ));
            }
        }
    }
    Ok(labels)
}

/// Parses a quality of JPEG pictures.
fn quality(text: &str) -> Result<u8> {
    let quality = text.parse().ok().filter(|quality| (1..=100).contains(quality));
    quality.ok_or_else(|| Error::validation("quality must be a number from 1 to 100"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthimaging::ErrorKind;

    fn parse(query: &[(&'static str, &'static str)]) -> Result<Parameters> {
        Parameters::parse(query.iter().copied())
    }

    #[test]
    fn windows_have_two_numbers_and_a_function() {
        for (text, center, width, function) in [
            ("40,400,linear", 40.0, 400.0, WindowFunction::Linear),
            ("-600.5,1500,LINEAR_EXACT", -600.5, 1500.0, WindowFunction::LinearExact),
            ("0.5,0.5,linear-exact", 0.5, 0.5, WindowFunction::LinearExact),
            ("40, 400 ,sigmoid", 40.0, 400.0, WindowFunction::Sigmoid),
        ] {
            let window = parse(&[("window", text)]).unwrap().window;
            let expected = Contrast::Window(Window { center, width, function });
            assert_eq!(window, Some(expected), "{text}");
        }
        for (text, center, width) in [("40,400", 40.0, 400.0), ("0.3,0.2", 0.3, 0.2)] {
            let window = parse(&[("window", text)]).unwrap().window;
            assert_eq!(window, Some(Contrast::Named { center, width }), "{text}");
        }
        for wrong in [
            "",
            "40",
            "40,400,linear,1",
            "a,400,linear",
            "40,b,linear",
            "40,400,cubic",
            "40,400,",
            "40,0,linear",
            "40,0",
            "40,-1,sigmoid",
            "40,0.5,linear",
            "nan,400,linear",
            "40,inf,linear",
            "1e999,1,linear",
            ",,",
        ] {
            let refused = parse(&[("window", wrong)]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Validation, "{wrong}");
            assert!(refused.message().contains("window"), "{refused}");
        }
    }

    #[test]
    fn viewports_have_a_size_and_perhaps_a_region() {
        let whole = Viewport::whole(512, 256);
        let region =
            Viewport { left: 1.5, top: 2.0, width: Some(-3.0), height: Some(4.0), ..whole };
        for (text, expected) in [
            ("512,256", whole),
            ("512,256,1.5,2,-3,4", region),
            ("512,256,,,100", Viewport { width: Some(100.0), ..whole }),
            ("512,256,,,,100", Viewport { height: Some(100.0), ..whole }),
            ("512,256,5", Viewport { left: 5.0, ..whole }),
        ] {
            assert_eq!(parse(&[("viewport", text)]).unwrap().viewport, Some(expected), "{text}");
        }
        for wrong in [
            "",
            "512",
            "512,",
            "0,512",
            "512,0",
            "-1,5",
            "8193,1",
            "1.5,2",
            "a,b",
            "1,2,3,4,5,6,7",
            "1,2,x",
            "1,2,-1,0",
            "1,2,0,-1",
            "1,2,0,0,0,5",
            "1,2,0,0,5,0",
            "1,2,nan",
            "1,2,0,0,inf",
        ] {
            let refused = parse(&[("viewport", wrong)]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Validation, "{wrong}");
            assert!(refused.message().contains("viewport"), "{refused}");
        }
        let thumbnail = |text| Parameters::of_thumbnail([("viewport", text)].into_iter());
        assert!(thumbnail("100,100").is_ok());
        assert!(thumbnail("100,100,0,0,5,5").is_err());
    }

    #[test]
    fn a_parameter_is_given_once_and_others_are_named() {
        assert_eq!(parse(&[("quality", "1")]).unwrap().quality, Some(1));
        for wrong in ["", "0", "101", "-1", "1.5", "high"] {
            assert!(parse(&[("quality", wrong)]).is_err(), "{wrong}");
        }
        let labels = |text| parse(&[("annotation", text)]).map(|parsed| parsed.labels);
        assert_eq!(labels("patient").unwrap(), Some(Labels { patient: true, technique: false }));
        let both = Labels { patient: true, technique: true };
        assert_eq!(labels("technique,patient").unwrap(), Some(both));
        for wrong in ["", "patients", "patient,", "Patient,all"] {
            assert!(labels(wrong).is_err(), "{wrong}");
        }
        let twice = parse(&[("quality", "50"), ("quality", "60")]).unwrap_err();
        assert_eq!(twice.message(), "quality is given more than once");
        let common =
            [("accept", "image/png"), ("_", "1"), ("charset", "utf-8"), ("imageSetId", "0")];
        assert_eq!(parse(&common).unwrap(), Parameters::default());
        let unknown = parse(&[("windw", "40,400")]).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Validation);
        assert!(unknown.message().contains("window, viewport, quality"), "{unknown}");
    }
}
