//! The metadata document of an image set: fetched whole, then shown whole, in part, or in outline.

use std::io::Read as _;

use flate2::read::GzDecoder;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use healthimaging::model::{GetImageSetMetadataRequest, GetImageSetMetadataResponse};
use healthimaging::{Error, ErrorKind, HealthImaging, Result, Uid};

/// Longest document that is read, in bytes of JSON; a larger one is refused. In memory a document
/// is several times its length.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A JSON object.
type Object = Map<String, Value>;

/// Fetches and unpacks a document: JSON text.
pub async fn fetch(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Vec<u8>> {
    let found = service.get_image_set_metadata(request).await?;
    let GetImageSetMetadataResponse {
        image_set_metadata,
        content_encoding,
        ..
    } = found;
    let packed = image_set_metadata.collect(LONGEST).await?;
    if content_encoding != "gzip" {
        return Ok(packed.to_vec());
    }
    // Unpacking a large document would hold up other calls.
    tokio::task::spawn_blocking(move || unpack(&packed))
        .await
        .map_err(|error| Error::internal("unpacking the metadata failed", error))?
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    GzDecoder::new(packed)
        .take(LONGEST + 1)
        .read_to_end(&mut text)
        .map_err(|error| {
            Error::new(
                ErrorKind::Service,
                "the metadata is not a whole gzip stream",
            )
            .with_source(error)
        })?;
    if text.len() as u64 > LONGEST {
        return Err(Error::validation(
            "the metadata is too large to be read by a tool",
        ));
    }
    Ok(text)
}

/// Reads a document; a large one takes a while, so it is read beside the other calls.
pub async fn parse(text: Vec<u8>) -> Result<Object> {
    tokio::task::spawn_blocking(move || read(&text))
        .await
        .map_err(|error| Error::internal("reading the metadata failed", error))?
}

fn read(text: &[u8]) -> Result<Object> {
    serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::Service, "the metadata is not a JSON object").with_source(error)
    })
}

/// How deep a document is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(
    missing_docs,
    reason = "documented variants make a long schema, and the words say it"
)]
pub enum Level {
    Patient,
    Study,
    Series,
    Instance,
}

/// Which part of a document is wanted.
#[derive(Debug, Default)]
pub struct Part {
    /// Deepest level.
    pub level: Option<Level>,
    /// Attributes to keep; all, when empty.
    pub attributes: Vec<String>,
    /// The one series to keep.
    pub series_instance_uid: Option<Uid>,
    /// The one instance to keep.
    pub sop_instance_uid: Option<Uid>,
}

impl Part {
    /// Cuts a document down; a series or instance that is not there is `NotFound`.
    pub fn cut(&self, document: &mut Object) -> Result<()> {
        if let Some(wanted) = &self.series_instance_uid {
            keep_only(
                all_series(document),
                wanted,
                "the image set holds no series of that UID",
            )?;
        }
        if let Some(wanted) = &self.sop_instance_uid {
            let missing = "the image set holds no instance of that UID";
            let series = all_series(document).ok_or_else(|| Error::not_found(missing))?;
            series.retain(|_, one| {
                instances(one).is_some_and(|all| all.contains_key(wanted.as_str()))
            });
            if series.is_empty() {
                return Err(Error::not_found(missing));
            }
            for one in series.values_mut() {
                keep_only(instances(one), wanted, missing)?;
            }
        }
        self.cut_levels(document);
        if !self.attributes.is_empty() {
            self.cut_attributes(document);
        }
        Ok(())
    }

    fn cut_levels(&self, document: &mut Object) {
        let level = self.level.unwrap_or(Level::Instance);
        if level < Level::Study {
            document.remove("Study");
        } else if level < Level::Series
            && let Some(Value::Object(study)) = document.get_mut("Study")
        {
            study.remove("Series");
        } else if level < Level::Instance
            && let Some(series) = all_series(document)
        {
            for one in series.values_mut() {
                if let Value::Object(one) = one {
                    one.remove("Instances");
                }
            }
        }
    }

    fn cut_attributes(&self, document: &mut Object) {
        for (name, inner) in document.iter_mut() {
            let Value::Object(inner) = inner else {
                continue;
            };
            if name == "DICOM" {
                inner.retain(|keyword, _| self.attributes.iter().any(|wanted| wanted == keyword));
            } else {
                self.cut_attributes(inner);
            }
        }
    }
}

fn keep_only(all: Option<&mut Object>, wanted: &Uid, missing: &'static str) -> Result<()> {
    let all = all.ok_or_else(|| Error::not_found(missing))?;
    all.retain(|uid, _| uid == wanted.as_str());
    if all.is_empty() {
        Err(Error::not_found(missing))
    } else {
        Ok(())
    }
}

fn all_series(document: &mut Object) -> Option<&mut Object> {
    document
        .get_mut("Study")?
        .get_mut("Series")?
        .as_object_mut()
}

fn instances(series: &mut Value) -> Option<&mut Object> {
    series.get_mut("Instances")?.as_object_mut()
}

/// A document in brief: whose it is, and how much of what it holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Outline {
    patient: Object,
    study: Object,
    series: Vec<SeriesOutline>,
}

/// A series in brief.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct SeriesOutline {
    series_instance_uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    modality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series_description: Option<String>,
    instances: usize,
    frames: usize,
}

impl Outline {
    /// The outline of a document; what is missing in it is left out.
    pub fn of(document: &Object) -> Self {
        let level = |name: &str| {
            let attributes = document.get(name).and_then(|level| level.get("DICOM"));
            attributes
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let series = document.get("Study").and_then(|study| study.get("Series"));
        let series = series.and_then(Value::as_object).into_iter().flatten();
        Self {
            patient: level("Patient"),
            study: level("Study"),
            series: series
                .map(|(uid, one)| SeriesOutline::of(uid, one))
                .collect(),
        }
    }

    /// Patient ID (0010,0020), where there is one.
    pub fn patient_id(&self) -> Option<&str> {
        self.patient.get("PatientID")?.as_str()
    }

    /// Study Instance UID (0020,000D), where there is one.
    pub fn study_instance_uid(&self) -> Option<&str> {
        self.study.get("StudyInstanceUID")?.as_str()
    }

    /// How many instances the image set holds.
    pub fn instances(&self) -> usize {
        self.series.iter().map(|series| series.instances).sum()
    }

    /// How many series the image set holds.
    pub fn series(&self) -> usize {
        self.series.len()
    }
}

impl SeriesOutline {
    fn of(uid: &str, series: &Value) -> Self {
        let text = |keyword: &str| {
            let value = series
                .get("DICOM")
                .and_then(|attributes| attributes.get(keyword));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let instances = series.get("Instances").and_then(Value::as_object);
        let frames = |instance: &Value| {
            instance
                .get("ImageFrames")
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        };
        Self {
            series_instance_uid: uid.to_owned(),
            modality: text("Modality"),
            series_description: text("SeriesDescription"),
            instances: instances.map_or(0, Map::len),
            frames: instances
                .into_iter()
                .flat_map(Map::values)
                .map(frames)
                .sum(),
        }
    }
}
