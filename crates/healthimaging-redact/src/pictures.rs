//! Which frames may show text.

use dicom_core::{Tag, VR};
use healthimaging::Result;
use healthimaging_dicom::{DataSet, Element, Value as DicomValue};
use serde_json::{Map, Value};

use crate::attributes;
use crate::document::read;

/// Whether a frame may show text that identifies the patient; one that is not found may.
pub(crate) fn may_show_text(packed: &[u8], is_gzip: bool, frame: &str) -> Result<bool> {
    let document = read(packed, is_gzip)?;
    let levels = ["Patient", "Study"].map(|level| document.get(level).and_then(dicom_of));
    let series = document.get("Study").and_then(|study| study.get("Series")?.as_object());
    let found = series.into_iter().flat_map(Map::values).find_map(|series| {
        let instances = series.get("Instances")?.as_object()?;
        let instance = instances.values().find(|instance| has_frame(instance, frame))?;
        Some((series, instance))
    });
    let Some((series, instance)) = found else { return Ok(true) };
    let mut data_set = DataSet::default();
    let levels = levels.into_iter().chain([dicom_of(series), dicom_of(instance)]).flatten();
    for (name, value) in levels.flatten() {
        if let Some((tag, element)) = element(name, value) {
            data_set.elements.insert(tag, element);
        }
    }
    Ok(healthimaging_deidentify::may_show_text(&data_set))
}

fn dicom_of(level: &Value) -> Option<&Map<String, Value>> {
    level.get("DICOM")?.as_object()
}

fn has_frame(instance: &Value, frame: &str) -> bool {
    let frames = instance.get("ImageFrames").and_then(Value::as_array);
    frames.is_some_and(|frames| {
        frames.iter().any(|one| one.get("ID").and_then(Value::as_str) == Some(frame))
    })
}

/// The texts and numbers by which the kind of an image is judged.
fn element(name: &str, value: &Value) -> Option<(Tag, Element)> {
    let tag = attributes::tag(name)?;
    let vr = attributes::vr(tag);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let value = match value {
        Value::Array(items) if vr != VR::SQ => {
            DicomValue::Text(items.iter().filter_map(text).collect::<Vec<_>>().join("\\"))
        }
        Value::Number(number) if matches!(vr, VR::US | VR::UL) => {
            DicomValue::Unsigned(vec![number.as_u64()?])
        }
        other => DicomValue::Text(text(other)?),
    };
    Some((tag, Element { vr, value }))
}
