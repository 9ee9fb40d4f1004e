//! Documents that are read in part: an instance is parsed on demand, or only counted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use bytes::Bytes;
use healthimaging::{Error, ErrorKind, Result};
use memchr::memmem;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Attributes, Document, Level, Series, index};

/// The text of a document, and where in it each instance is.
#[derive(Debug)]
pub struct DocumentText {
    text: Bytes,
    identity: Attributes,
    levels: Document<InstanceText>,
}

impl DocumentText {
    /// Finds the instances in a text.
    ///
    /// # Errors
    /// `Service` if the text is not a metadata document.
    pub fn read(text: Bytes) -> Result<Self> {
        let mut read: DocumentIn<&RawValue> = serde_json::from_slice(&text).map_err(malformed)?;
        let identity = std::mem::take(&mut read.identity);
        let part = |raw: &RawValue| InstanceText(text.slice_ref(raw.get().as_bytes()));
        let levels = read.levels().map(part);
        Ok(Self { text, identity, levels })
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &Bytes {
        &self.text
    }

    /// Members beside the patient and the study: the version of the schema, and IDs of the service.
    #[must_use]
    pub const fn identity(&self) -> &Attributes {
        &self.identity
    }

    /// The levels, with the text of each instance.
    #[must_use]
    pub const fn levels(&self) -> &Document<InstanceText> {
        &self.levels
    }
}

/// The text of an instance in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceText(Bytes);

impl InstanceText {
    /// Parses the instance, or the part of it that `T` has.
    ///
    /// # Errors
    /// `Service` if the text does not have that form.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(malformed)
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &Bytes {
        &self.0
    }

    /// Whether it holds these words somewhere.
    #[must_use]
    pub fn holds(&self, words: &str) -> bool {
        memmem::find(&self.0, words.as_bytes()).is_some()
    }

    /// Ids of the stored frames, in their order; none of a frame without id.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn frame_ids(&self) -> Result<Vec<Option<String>>> {
        #[derive(Deserialize)]
        struct Frame {
            #[serde(rename = "ID")]
            id: Option<String>,
        }
        #[derive(Deserialize)]
        struct Frames {
            #[serde(rename = "ImageFrames", default)]
            frames: Vec<Frame>,
        }
        let found: Frames = self.parse()?;
        Ok(found.frames.into_iter().map(|frame| frame.id).collect())
    }
}

/// An instance in brief.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct InstanceSummary {
    #[serde(rename = "DICOM")]
    own: OwnValues,
    #[serde(rename = "ImageFrames")]
    frames: Option<Vec<IgnoredAny>>,
}

impl InstanceSummary {
    /// Its value of an attribute of the patient, study or series level, where it differs from its image set.
    #[must_use]
    pub fn own(&self, keyword: &str) -> Option<&Value> {
        self.own.0.get(keyword)
    }

    /// The attributes of these levels that it has a value of its own of.
    pub fn own_keywords(&self) -> impl Iterator<Item = &str> {
        self.own.0.keys().map(String::as_str)
    }

    /// Number of its frames.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        self.frames.as_ref().map_or(0, Vec::len)
    }
}

/// Attributes of the levels above among those of an instance.
#[derive(Debug, Clone, Default)]
struct OwnValues(Attributes);

impl<'de> Deserialize<'de> for OwnValues {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Attributes;
        impl<'de> Visitor<'de> for Attributes {
            type Value = OwnValues;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the attributes of an instance")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OwnValues, A::Error> {
                let mut own = OwnValues::default();
                while let Some(Key(key)) = map.next_key()? {
                    if Level::of_key(&key) == Level::Instance {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        own.0.insert(key.into_owned(), map.next_value()?);
                    }
                }
                Ok(own)
            }
        }
        source.deserialize_map(Attributes)
    }
}

impl<I> Document<I> {
    /// The same levels, with what `of` makes of each instance.
    fn map<J>(self, of: impl Fn(I) -> J) -> Document<J> {
        let Self { patient, study, series } = self;
        let series = series.into_iter().map(|(uid, Series { attributes, instances })| {
            let instances = instances.into_iter().map(|(uid, instance)| (uid, of(instance)));
            (uid, Series { attributes, instances: instances.collect() })
        });
        Document { patient, study, series: series.collect() }
    }

    /// Patient ID (0010,0020).
    #[must_use]
    pub fn patient_id(&self) -> Option<&str> {
        index::text(&self.patient, "PatientID")
    }

    /// Study Instance UID (0020,000D).
    #[must_use]
    pub fn study_instance_uid(&self) -> Option<&str> {
        index::text(&self.study, "StudyInstanceUID")
    }

    /// All instances, series by series.
    pub fn instances(&self) -> impl Iterator<Item = &I> {
        self.series.values().flat_map(|series| series.instances.values())
    }
}

impl<I: DeserializeOwned> Document<I> {
    /// As [`Self::read`], from memory.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).map_err(malformed)
    }

    /// Reads a document of the service.
    ///
    /// # Errors
    /// `Service` if it is not a whole metadata document.
    pub fn read(text: impl Read) -> Result<Self> {
        serde_json::from_reader(text).map_err(malformed)
    }
}

impl<I> Series<I> {
    /// The first text of an attribute of the series.
    #[must_use]
    pub fn text(&self, keyword: &str) -> Option<&str> {
        index::text(&self.attributes, keyword)
    }
}

impl<I> Default for Document<I> {
    fn default() -> Self {
        Self { patient: Attributes::new(), study: Attributes::new(), series: BTreeMap::new() }
    }
}

impl<I> Default for Series<I> {
    fn default() -> Self {
        Self { attributes: Attributes::new(), instances: BTreeMap::new() }
    }
}

impl<'de, I: Deserialize<'de>> Deserialize<'de> for Document<I> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        DocumentIn::deserialize(source).map(DocumentIn::levels)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "I: Deserialize<'de>")]
struct DocumentIn<I> {
    #[serde(default)]
    patient: PatientIn,
    #[serde(default)]
    study: StudyIn<I>,
    #[serde(flatten)]
    identity: Attributes,
}

#[derive(Deserialize, Default)]
struct PatientIn {
    #[serde(rename = "DICOM", default)]
    dicom: Attributes,
}

#[derive(Deserialize)]
#[serde(bound = "I: Deserialize<'de>")]
struct StudyIn<I> {
    #[serde(rename = "DICOM", default)]
    dicom: Attributes,
    #[serde(rename = "Series", default)]
    series: BTreeMap<String, Series<I>>,
}

impl<I> Default for StudyIn<I> {
    fn default() -> Self {
        Self { dicom: Attributes::new(), series: BTreeMap::new() }
    }
}

impl<I> DocumentIn<I> {
    fn levels(self) -> Document<I> {
        let StudyIn { dicom: study, series } = self.study;
        Document { patient: self.patient.dicom, study, series }
    }
}

fn malformed(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Service, "the metadata of the image set is not a whole document")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientID": "1 "}},
        "Study": {"DICOM": {"StudyInstanceUID": "1.2", "StudyID": null}, "Series": {
          "1.2.3": {"DICOM": {"Modality": "CT"}, "Instances": {
            "1.2.3.4": {"DICOM": {"Rows": 2, "PatientID": "2", "Modality": "MR"}, "ImageFrames": [{"ID": "a"}, {}]},
            "1.2.3.5": {}}},
          "../1": {}}}, "ImageSetID": "x"}"#;

    #[test]
    fn an_instance_is_found_by_its_uid() {
        let document = DocumentText::read(Bytes::from_static(TEXT.as_bytes())).unwrap();
        let levels = document.levels();
        assert_eq!((levels.patient_id(), levels.study_instance_uid()), (Some("1"), Some("1.2")));
        assert_eq!(levels.series.keys().collect::<Vec<_>>(), ["../1", "1.2.3"]);
        let series = &levels.series["1.2.3"];
        assert_eq!(series.text("Modality"), Some("CT"));
        let instance = &series.instances["1.2.3.4"];
        let parsed: Value = instance.parse().unwrap();
        assert_eq!(parsed["DICOM"]["Rows"], 2);
        assert_eq!(instance.frame_ids().unwrap(), [Some("a".to_owned()), None]);
        assert_eq!(series.instances["1.2.3.5"].text(), "{}");
        let identity: Vec<_> = document.identity().keys().collect();
        assert_eq!(identity, ["SchemaVersion", "ImageSetID"]);
    }

    #[test]
    fn of_an_instance_in_brief_its_own_values_are_kept() {
        let document: Document<InstanceSummary> = Document::read(TEXT.as_bytes()).unwrap();
        let instances: Vec<_> = document.instances().collect();
        assert_eq!(instances[0].own("PatientID"), Some(&Value::from("2")));
        assert_eq!(instances[0].own("Rows"), None);
        assert_eq!(instances[0].own_keywords().collect::<Vec<_>>(), ["PatientID", "Modality"]);
        assert_eq!([instances[0].frame_count(), instances[1].frame_count()], [2, 0]);
    }

    #[test]
    fn a_document_that_is_cut_is_refused() {
        for text in [r#"{"Study": {"Series": {"1.2"#, "[]", r#"{"Study": 1}"#, ""] {
            let read = Document::<IgnoredAny>::read(text.as_bytes());
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Service, "{text}");
            let read = DocumentText::read(Bytes::from_static(text.as_bytes()));
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Service, "{text}");
        }
    }
}
