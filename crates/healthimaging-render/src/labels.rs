//! Texts about the patient and the technique in a picture (PS3.18 §8.3.5.1.1).

use crate::attributes::Attributes;
use crate::picture::Picture;
use crate::text;
use crate::window::Window;

/// Pictures with shorter sides than this have the smallest texts, in pixels.
const SIDE: u32 = 512;

/// Which texts are drawn into a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Labels {
    /// Name, ID, birth date and sex of the patient, at the top.
    pub patient: bool,
    /// Modality, study date, series, instance and settings, at the bottom.
    pub technique: bool,
}

impl Labels {
    /// No texts.
    pub const NONE: Self = Self { patient: false, technique: false };

    /// Draws the texts. Characters other than ASCII are blank.
    pub(crate) fn draw(
        self,
        picture: &mut Picture,
        attributes: &Attributes,
        window: Option<Window>,
    ) {
        let scale = (picture.rows.min(picture.columns) / SIDE).clamp(1, 8);
        let line = (text::SIZE + 2) * scale;
        if self.patient {
            for (number, words) in (0..).zip(patient(attributes)) {
                text::draw(picture, &words, (scale + number * line, scale), scale);
            }
        }
        if self.technique {
            let lines = technique(attributes, window);
            for (number, words) in (1..).zip(lines.iter().rev()) {
                let top = picture.rows.saturating_sub(number * line);
                text::draw(picture, words, (top, scale), scale);
            }
        }
    }
}

fn patient(attributes: &Attributes) -> Vec<String> {
    let text = |keyword| attributes.first_text(keyword).filter(|text| !text.is_empty());
    let born = text("PatientBirthDate").map(date);
    let sex = text("PatientSex").map(str::to_owned);
    let last: Vec<String> = born.into_iter().chain(sex).collect();
    let first = [text("PatientName"), text("PatientID")].into_iter().flatten().map(str::to_owned);
    first.chain([last.join(" ")]).filter(|line| !line.is_empty()).collect()
}

fn technique(attributes: &Attributes, window: Option<Window>) -> Vec<String> {
    let text = |keyword: &str| {
        let value = attributes.get(keyword)?;
        let first = value.as_array().map_or(Some(value), |values| values.first())?;
        let text = first.as_str().map_or_else(|| first.to_string(), |text| text.trim().to_owned());
        (!text.is_empty()).then_some(text)
    };
    let labelled =
        |label: &str, keyword: &str, unit: &str| Some(format!("{label} {}{unit}", text(keyword)?));
    let joined = |parts: &[Option<String>]| {
        parts.iter().flatten().map(String::as_str).collect::<Vec<_>>().join("  ")
    };
    let lines = [
        joined(&[text("Modality"), text("StudyDate").map(|day| date(&day))]),
        joined(&[
            labelled("Series", "SeriesNumber", ""),
            labelled("Image", "InstanceNumber", ""),
            labelled("Loc", "SliceLocation", " mm"),
        ]),
        joined(&[
            labelled("Thk", "SliceThickness", " mm"),
            labelled("KVP", "KVP", ""),
            labelled("TR", "RepetitionTime", ""),
            labelled("TE", "EchoTime", ""),
        ]),
        window.map_or_else(String::new, |window| format!("C {} W {}", window.center, window.width)),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// A date of eight digits with hyphens; other texts as they are.
fn date(text: &str) -> String {
    match (text.get(..4), text.get(4..6), text.get(6..8)) {
        (Some(year), Some(month), Some(day)) if text.len() == 8 => format!("{year}-{month}-{day}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::InstanceAttributes;

    #[test]
    fn lines_have_what_the_instance_has() {
        let json = br#"[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"DOE^JANE"}]},
            "00100020":{"vr":"LO","Value":["MRN-1"]},"00100030":{"vr":"DA","Value":["19700102"]},
            "00100040":{"vr":"CS","Value":["F"]},"00080060":{"vr":"CS","Value":["CT"]},
            "00080020":{"vr":"DA","Value":["20230105"]},"00200013":{"vr":"IS","Value":[7]},
            "00180050":{"vr":"DS","Value":[2.5]},"00180060":{"vr":"DS"}}]"#;
        let read = InstanceAttributes::from_dicom_json(json).unwrap();
        assert_eq!(patient(read.attributes()), ["DOE^JANE", "MRN-1", "1970-01-02 F"]);
        let lines = technique(read.attributes(), None);
        assert_eq!(lines, ["CT  2023-01-05", "Image 7", "Thk 2.5 mm"]);
        let none = InstanceAttributes::from_dicom_json(b"[{}]").unwrap();
        assert!(patient(none.attributes()).is_empty());
        assert!(technique(none.attributes(), None).is_empty());
    }
}
