//! A part of an image set: a series or an instance, and what is left without it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use healthimaging::Uid;

use super::Object;
use super::parts::Instances;
use crate::document::Contents;
use crate::plan::PlannedPart;

/// A part of an image set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A series, with all its instances.
    Series(Uid),
    /// An instance, of this series or of any.
    Instance {
        /// Series Instance UID (0020,000E).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        series_instance_uid: Option<Uid>,
        /// SOP Instance UID (0008,0018).
        sop_instance_uid: Uid,
    },
}

/// What an image set is without the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Without {
    /// It does not hold the part.
    Same,
    /// It holds nothing else.
    Nothing,
    /// The rest.
    Rest {
        /// The document that removes the part (`removableAttributes`).
        removal: Value,
        /// The document that names every other instance (`copiableAttributes`).
        rest: Value,
        /// Number of series that no instance is left of.
        series: usize,
        /// Number of instances of the part.
        instances: usize,
    },
}

impl Part {
    /// What an image set would be without the part.
    pub(super) fn taken_from(&self, contents: &Contents) -> Without {
        let (mut removed, mut rest) = (Object::new(), Object::new());
        let (mut whole_series, mut instances) = (0, 0);
        for (series_uid, series) in &contents.series {
            let (mut out, mut left) = (Object::new(), Object::new());
            for sop_uid in series.instances.keys() {
                let side = if self.holds(series_uid, sop_uid) { &mut out } else { &mut left };
                side.insert(sop_uid.clone(), json!({}));
            }
            whole_series += usize::from(left.is_empty() && !out.is_empty());
            instances += out.len();
            // `{}` is the whole series.
            if !out.is_empty() {
                let named = match self {
                    Self::Series(_) => json!({}),
                    Self::Instance { .. } => json!({ "Instances": out }),
                };
                removed.insert(series_uid.clone(), named);
            }
            if !left.is_empty() {
                rest.insert(series_uid.clone(), json!({ "Instances": left }));
            }
        }
        if removed.is_empty() {
            Without::Same
        } else if rest.is_empty() {
            Without::Nothing
        } else {
            let (removal, rest) = (naming(&removed), naming(&rest));
            Without::Rest { removal, rest, series: whole_series, instances }
        }
    }

    fn holds(&self, series_uid: &str, sop_uid: &str) -> bool {
        match self {
            Self::Series(series) => series.as_str() == series_uid,
            Self::Instance { series_instance_uid, sop_instance_uid } => {
                sop_instance_uid.as_str() == sop_uid
                    && series_instance_uid
                        .as_ref()
                        .is_none_or(|series| series.as_str() == series_uid)
            }
        }
    }

    /// The part as a plan shows it; `contents` hold it.
    pub(super) fn planned(&self, contents: &Contents) -> PlannedPart {
        let (named, sop_instance_uid) = match self {
            Self::Series(series) => (Some(series), None),
            Self::Instance { series_instance_uid, sop_instance_uid } => {
                (series_instance_uid.as_ref(), Some(sop_instance_uid.to_string()))
            }
        };
        let holder = contents.series.iter().find(|(uid, series)| {
            let holds = |sop_uid: &String| self.holds(uid, sop_uid);
            series.instances.keys().any(holds)
        });
        let text = |keyword| Some(holder?.1.text(keyword)?.to_owned());
        PlannedPart {
            series_instance_uid: holder
                .map(|(uid, _)| uid.clone())
                .or(named.map(ToString::to_string)),
            sop_instance_uid,
            modality: text("Modality"),
            series_description: text("SeriesDescription"),
        }
    }

    /// What it is, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Series(_) => "series",
            Self::Instance { .. } => "instance",
        }
    }
}

/// The document that names every instance, in the form of `copiableAttributes`.
pub(super) fn everything(contents: &Contents) -> Value {
    let mut named = Object::new();
    for (series_uid, series) in &contents.series {
        let each = series.instances.keys().map(|uid| (uid.clone(), json!({})));
        let each: Object = each.collect();
        named.insert(series_uid.clone(), json!({ "Instances": each }));
    }
    naming(&named)
}

/// The instances that a document in that form names.
pub(super) fn named(document: &Value) -> Instances<'_> {
    let series = document["Study"]["Series"].as_object().into_iter().flatten();
    series
        .flat_map(|(uid, series)| {
            let instances = series["Instances"].as_object().into_iter().flatten();
            instances.map(move |(sop_uid, _)| (uid.as_str(), sop_uid.as_str()))
        })
        .collect()
}

/// The instances, each in its series.
pub(super) fn instances_of(contents: &Contents) -> Instances<'_> {
    let series = contents.series.iter();
    series
        .flat_map(|(uid, series)| {
            let instances = series.instances.keys();
            instances.map(move |sop_uid| (uid.as_str(), sop_uid.as_str()))
        })
        .collect()
}

/// The document that names these series.
pub(super) fn naming(series: &Object) -> Value {
    json!({ "SchemaVersion": "1.1", "Study": { "Series": series } })
}
