//! What to find, and how a summary is compared with it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use healthimaging::model::{
    DicomTags, ImageSetsMetadataSummary, Operator, SearchFilter, SearchValue, StudyDateAndTime,
};
use healthimaging::{Error, Result, Timestamp, Uid};

use super::is_primary;
use super::value::{Moment, Span, StudyDate, StudyMoment, Text};

/// What to find: every condition that is given must hold; everything matches when none is.
///
/// Values are compared exactly, but for the spaces that pad them; modality and body part also
/// whatever their case. Each key is also known by the name that the API has for it. A condition that is
/// `null` is refused, since leaving it out would find more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Criteria {
    /// Patient ID (0010,0020).
    #[serde(
        alias = "DICOMPatientId",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub patient_id: Option<Text>,
    /// Patient's Name (0010,0010), as DICOM writes it: `DOE^JANE`.
    #[serde(
        alias = "DICOMPatientName",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub patient_name: Option<Text>,
    /// Accession Number (0008,0050).
    #[serde(
        alias = "DICOMAccessionNumber",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub accession_number: Option<Text>,
    /// Study ID (0020,0010).
    #[serde(
        alias = "DICOMStudyId",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub study_id: Option<Text>,
    /// Study Instance UID (0020,000D).
    #[serde(
        alias = "DICOMStudyInstanceUID",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub study_instance_uid: Option<Uid>,
    /// Series Instance UID (0020,000E).
    #[serde(
        alias = "DICOMSeriesInstanceUID",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub series_instance_uid: Option<Uid>,
    /// Study Description (0008,1030).
    #[serde(
        alias = "DICOMStudyDescription",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub study_description: Option<Text>,
    /// Modality (0008,0060), such as `CT`; any of several, as `CT,MR`.
    #[serde(
        alias = "DICOMSeriesModality",
        alias = "DICOMModality",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub modality: Option<Text>,
    /// Body Part Examined (0018,0015), such as `CHEST`.
    #[serde(
        alias = "DICOMSeriesBodyPart",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub body_part: Option<Text>,
    /// First Study Date (0008,0020).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub study_date_from: Option<StudyDate>,
    /// Last Study Date (0008,0020).
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub study_date_to: Option<StudyDate>,
    /// Study Date and Time; midnight, where a study has no time.
    #[serde(
        alias = "DICOMStudyDateAndTime",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub study_date_and_time: Option<Span<StudyMoment>>,
    /// When the image set was made.
    #[serde(
        alias = "createdAt",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<Span<Moment>>,
    /// When the image set last changed.
    #[serde(
        alias = "updatedAt",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub updated_at: Option<Span<Moment>>,
    /// Whether the image set belongs to the primary hierarchy.
    #[serde(
        alias = "isPrimary",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub is_primary: Option<bool>,
}

impl Criteria {
    /// The image sets of a patient.
    pub fn patient(patient_id: Text) -> Self {
        Self { patient_id: Some(patient_id), ..Self::default() }
    }

    /// The image sets of a study.
    pub fn study(study_instance_uid: Uid) -> Self {
        Self { study_instance_uid: Some(study_instance_uid), ..Self::default() }
    }

    /// The image sets of a series.
    pub fn series(series_instance_uid: Uid) -> Self {
        Self { series_instance_uid: Some(series_instance_uid), ..Self::default() }
    }

    /// Whether nothing is asked for, so that everything matches.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses spans that are empty or end before they begin.
    pub fn check(&self) -> Result<()> {
        if let (Some(from), Some(to)) = (&self.study_date_from, &self.study_date_to)
            && from > to
        {
            return Err(Error::validation("study_date_to is before study_date_from"));
        }
        if self.modality.as_ref().is_some_and(|all| modalities_of(all).any(str::is_empty)) {
            return Err(Error::validation(
                "modality: name one such as CT, or several with commas between them, such as CT,MR",
            ));
        }
        let spans = [("created_at", &self.created_at), ("updated_at", &self.updated_at)];
        for (name, span) in spans {
            span.as_ref().map_or(Ok(()), |span| span.check(name))?;
        }
        let span = self.study_date_and_time.as_ref();
        span.map_or(Ok(()), |span| span.check("study_date_and_time"))
    }

    /// What the service compares: one attribute and one span, a pair that its documentation shows.
    ///
    /// It may find more than matches, and never less.
    pub fn filters(&self) -> Vec<SearchFilter> {
        let equal = self
            .equal()
            .map(|value| SearchFilter { values: vec![value], operator: Operator::Equal });
        let between = self.between().map(|(low, high)| SearchFilter {
            values: vec![low, high],
            operator: Operator::Between,
        });
        equal.into_iter().chain(between).collect()
    }

    /// The attribute that fewest image sets share.
    fn equal(&self) -> Option<SearchValue> {
        let text = |value: Option<&Text>| value.cloned().map(String::from);
        let uid = |value: Option<&Uid>| value.cloned().map(String::from);
        let series = uid(self.series_instance_uid.as_ref()).map(SearchValue::SeriesInstanceUid);
        let study = uid(self.study_instance_uid.as_ref()).map(SearchValue::StudyInstanceUid);
        let order = text(self.accession_number.as_ref()).map(SearchValue::AccessionNumber);
        let patient = text(self.patient_id.as_ref()).map(SearchValue::PatientId);
        let study_id = text(self.study_id.as_ref()).map(SearchValue::StudyId);
        let primary = self.is_primary.map(SearchValue::IsPrimary);
        series.or(study).or(order).or(patient).or(study_id).or(primary)
    }

    /// The span that is likely to hold fewest.
    fn between(&self) -> Option<(SearchValue, SearchValue)> {
        self.between_studies()
            .map(|(low, high)| {
                (SearchValue::StudyDateAndTime(low), SearchValue::StudyDateAndTime(high))
            })
            .or_else(|| ends(self.created_at.as_ref(), SearchValue::CreatedAt))
            .or_else(|| ends(self.updated_at.as_ref(), SearchValue::UpdatedAt))
    }

    fn between_studies(&self) -> Option<(StudyDateAndTime, StudyDateAndTime)> {
        // The service wants both ends. Nothing was examined before the one or will be after the other.
        const EARLIEST: &str = "10000101";
        const LATEST: &str = "99991231";
        let moment = |date: &str, time: Option<&str>| StudyDateAndTime {
            study_date: date.to_owned(),
            study_time: time.map(str::to_owned),
        };
        if self.study_date_from.is_some() || self.study_date_to.is_some() {
            let from = self.study_date_from.as_ref();
            // Whatever a file has for a time, it is of that day: up to the next one, then.
            let to = self.study_date_to.as_ref().map(StudyDate::next);
            return Some((
                moment(from.map_or(EARLIEST, StudyDate::as_str), None),
                moment(to.as_ref().map_or(LATEST, StudyDate::as_str), None),
            ));
        }
        let span = self.study_date_and_time.as_ref()?;
        let end = |end: Option<&StudyMoment>, open: &str| match end {
            Some(end) => moment(end.date(), Some(end.time())),
            None => moment(open, None),
        };
        Some((end(span.from.as_ref(), EARLIEST), end(span.to.as_ref(), LATEST)))
    }

    /// Whether an image set that the service found is one of those asked for.
    ///
    /// A series is left to the service: a set of several series shows only one in its summary.
    pub fn matches(&self, summary: &ImageSetsMetadataSummary) -> bool {
        let nothing = DicomTags::default();
        let tags = summary.dicom_tags.as_ref().unwrap_or(&nothing);
        self.matches_texts(tags)
            && self.matches_study_dates(tags)
            && within(self.created_at.as_ref(), summary.created_at)
            && within(self.updated_at.as_ref(), summary.updated_at)
            && self.is_primary.is_none_or(|wanted| wanted == is_primary(summary))
    }

    /// Returns the attribute for whose absence alone an image set does not match.
    pub fn lacking(&self, summary: &ImageSetsMetadataSummary) -> Option<Lacking> {
        let tags = summary.dicom_tags.as_ref();
        let lacks = |value: Option<&String>| value.is_none_or(|value| value.trim().is_empty());
        let otherwise = |criteria: Self| criteria.matches(summary);
        if self.body_part.is_some()
            && lacks(tags.and_then(|tags| tags.series_body_part.as_ref()))
            && otherwise(Self { body_part: None, ..self.clone() })
        {
            return Some(Lacking::BodyPart);
        }
        let lacks_modality = self.modality.is_some()
            && lacks(tags.and_then(|tags| tags.series_modality.as_ref()))
            && otherwise(Self { modality: None, ..self.clone() });
        lacks_modality.then_some(Lacking::Modality)
    }

    fn matches_texts(&self, tags: &DicomTags) -> bool {
        fn text(value: Option<&Text>) -> Option<&str> {
            value.map(Text::as_str)
        }
        let study = self.study_instance_uid.as_ref().map(Uid::as_str);
        let exact = [
            (text(self.patient_id.as_ref()), &tags.patient_id),
            (text(self.patient_name.as_ref()), &tags.patient_name),
            (text(self.accession_number.as_ref()), &tags.accession_number),
            (text(self.study_id.as_ref()), &tags.study_id),
            (study, &tags.study_instance_uid),
            (text(self.study_description.as_ref()), &tags.study_description),
        ];
        let exact =
            exact.into_iter().all(|(wanted, found)| same(wanted, found.as_deref(), |a, b| a == b));
        let body_part = text(self.body_part.as_ref());
        let modalities = self.modality.as_ref();
        exact
            && same(body_part, tags.series_body_part.as_deref(), str::eq_ignore_ascii_case)
            && modalities.is_none_or(|wanted| {
                let found = tags.series_modality.as_deref();
                modalities_of(wanted).any(|one| same(Some(one), found, str::eq_ignore_ascii_case))
            })
    }

    fn matches_study_dates(&self, tags: &DicomTags) -> bool {
        let dates = Span {
            from: self.study_date_from.as_ref().map(StudyDate::as_str),
            to: self.study_date_to.as_ref().map(StudyDate::as_str),
        };
        let date = digits(tags.study_date.as_deref());
        let in_dates = dates == Span { from: None, to: None }
            || !date.is_empty() && dates.holds(&date.as_str());
        let Some(span) = &self.study_date_and_time else {
            return in_dates;
        };
        let time = tags.study_time.as_deref().unwrap_or_default();
        let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
        let (whole, fraction) = (digits(Some(whole)), digits(Some(fraction)));
        let moment = format!("{date}{whole:0<6.6}.{fraction:0<6.6}");
        let span = Span {
            from: span.from.as_ref().map(StudyMoment::as_str),
            to: span.to.as_ref().map(StudyMoment::as_str),
        };
        in_dates && !date.is_empty() && span.holds(&moment.as_str())
    }
}

/// An attribute that an image set lacks and otherwise might match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Body Part Examined (0018,0015).
    BodyPart,
    /// Modality (0008,0060).
    Modality,
}

/// The modalities that are meant: several come with commas, or backslashes as in DICOM, between them.
pub(super) fn modalities_of(all: &Text) -> impl Iterator<Item = &str> {
    all.as_str().split([',', '\\']).map(str::trim)
}

/// A condition that is there is not `null`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Both ends of a span, as the service wants them.
fn ends(
    span: Option<&Span<Moment>>,
    value: fn(Timestamp) -> SearchValue,
) -> Option<(SearchValue, SearchValue)> {
    // 2999-12-31T00:00:00Z.
    const LATEST: i64 = 32_503_593_600;
    let span = span?;
    let end = |end: Option<Moment>, open: i64| match end {
        Some(Moment(at)) => Some(at),
        None => Timestamp::from_timestamp(open, 0),
    };
    Some((value(end(span.from, 0)?), value(end(span.to, LATEST)?)))
}

fn within(span: Option<&Span<Moment>>, found: Option<Timestamp>) -> bool {
    span.is_none_or(|span| found.is_some_and(|found| span.holds(&Moment(found))))
}

fn same(wanted: Option<&str>, found: Option<&str>, equal: fn(&str, &str) -> bool) -> bool {
    wanted.is_none_or(|wanted| found.is_some_and(|found| equal(found.trim(), wanted)))
}

fn digits(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    text.chars().filter(char::is_ascii_digit).collect()
}
