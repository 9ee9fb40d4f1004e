//! A document in outline: whose it is, and how much it holds.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use healthimaging::Result;
use healthimaging_dicom::DocumentText;

use super::Object;
use super::page::{LeftOut, shorten, size_of};

/// A document in outline.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Outline {
    patient: Object,
    study: Object,
    series: Vec<SeriesOutline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series_left_out: Option<usize>,
}

/// A series in outline.
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
    pub(super) fn of(document: &DocumentText) -> Result<Self> {
        let levels = document.levels();
        let mut series = Vec::with_capacity(levels.series.len());
        for (uid, one) in &levels.series {
            let mut frames = 0;
            for instance in one.instances.values() {
                frames += instance.frame_ids()?.len();
            }
            series.push(SeriesOutline {
                series_instance_uid: uid.clone(),
                modality: one.text("Modality").map(str::to_owned),
                series_description: one.text("SeriesDescription").map(str::to_owned),
                instances: one.instances.len(),
                frames,
            });
        }
        let (patient, study) = (levels.patient.clone(), levels.study.clone());
        Ok(Self { patient, study, series, series_left_out: None })
    }

    /// Leaves out what does not fit `longest`, as measured by `size`: the longest attributes, and the last
    /// series, which are counted.
    pub fn shorten(&mut self, longest: usize, size: &dyn Fn(&Value) -> usize) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        let mut levels = [("Patient", &mut self.patient), ("Study", &mut self.study)];
        let excess = levels.iter().map(|(_, level)| size_of(level, size)).sum::<usize>();
        shorten(&mut levels, excess.saturating_sub(longest / 2), size, &mut left_out);
        let mut room = longest / 2;
        let fits = |one: &&SeriesOutline| {
            let length = serde_json::to_value(one).map_or(usize::MAX, |value| size(&value) + 1);
            room = room.saturating_sub(length);
            room > 0
        };
        let fitting = self.series.iter().take_while(fits).count();
        let beyond = self.series.len() - fitting;
        self.series.truncate(fitting);
        self.series_left_out = (beyond > 0).then_some(beyond);
        left_out
    }
}
