//! Which instances an image set holds, read without holding its document in memory.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use healthimaging::model::{GetImageSetMetadataRequest, GetImageSetMetadataResponse};
use healthimaging::{DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, Result};

/// Longest document that is fetched, in bytes as it travels, compressed.
const LONGEST: u64 = 256 << 20;
/// Longest document that is read, in bytes of JSON.
const LONGEST_UNPACKED: u64 = 16 << 30;

/// The instances of an image set, in its latest version. UIDs are as the document has them: anything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Study Instance UID (0020,000D).
    pub(crate) study_instance_uid: String,
    /// Series Instance UID (0020,000E), and the SOP Instance UIDs (0008,0018) of its instances.
    pub(crate) series: Vec<(String, Vec<String>)>,
}

/// Reads what an image set holds.
pub(crate) async fn read(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
) -> Result<Content> {
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let GetImageSetMetadataResponse { image_set_metadata, content_encoding, .. } =
        service.get_image_set_metadata(request).await?;
    let packed = image_set_metadata.collect(LONGEST).await?;
    let is_packed = content_encoding == "gzip";
    tokio::task::spawn_blocking(move || {
        if is_packed { parse(GzDecoder::new(&packed[..])) } else { parse(&packed[..]) }
    })
    .await
    .map_err(|error| Error::internal("reading the metadata failed", error))?
    .map(Content::from)
}

fn parse(text: impl Read) -> Result<Document> {
    let text = BufReader::new(text.take(LONGEST_UNPACKED));
    serde_json::from_reader(text).map_err(|error| {
        Error::new(ErrorKind::Service, "the metadata of the image set is not a whole document")
            .with_source(error)
    })
}

/// What is wanted of the document; the parser passes over the rest.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "Study", default)]
    study: Study,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Study {
    #[serde(rename = "DICOM")]
    attributes: StudyAttributes,
    #[serde(rename = "Series")]
    series: BTreeMap<String, Series>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StudyAttributes {
    #[serde(rename = "StudyInstanceUID")]
    study_instance_uid: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Series {
    #[serde(rename = "Instances")]
    #[expect(clippy::zero_sized_map_values, reason = "in JSON it is a map")]
    instances: BTreeMap<String, IgnoredAny>,
}

impl From<Document> for Content {
    fn from(document: Document) -> Self {
        let uid = document.study.attributes.study_instance_uid;
        let series = document.study.series.into_iter();
        Self {
            study_instance_uid: uid.as_str().unwrap_or_default().to_owned(),
            series: series
                .map(|(uid, series)| (uid, series.instances.into_keys().collect()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_read_and_the_rest_is_passed_over() {
        let document = br#"{"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientID": "1"}},
            "Study": {"DICOM": {"StudyInstanceUID": "1.2", "StudyID": null}, "Series": {
              "1.2.3": {"DICOM": {"Modality": "CT"}, "Instances": {
                "1.2.3.4": {"DICOM": {}, "ImageFrames": [{"ID": "0"}]}, "1.2.3.5": {}}},
              "../1": {}}}}"#;
        let content = Content::from(parse(&document[..]).unwrap());
        assert_eq!(content.study_instance_uid, "1.2");
        let held = [
            ("../1".to_owned(), Vec::new()),
            ("1.2.3".to_owned(), vec!["1.2.3.4".to_owned(), "1.2.3.5".to_owned()]),
        ];
        assert_eq!(content.series, held);
    }

    #[test]
    fn a_document_that_is_cut_is_refused() {
        let cut = parse(&br#"{"Study": {"Series": {"1.2"#[..]);
        assert_eq!(cut.map(drop).unwrap_err().kind(), ErrorKind::Service);
    }
}
