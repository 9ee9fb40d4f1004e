//! A part of an image set: a series or an instance, and where a document has it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use healthimaging::Uid;

use super::Object;

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

/// What a document is without the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Without {
    /// The document does not hold the part.
    Same,
    /// The document holds nothing else.
    Nothing,
    /// The rest.
    Rest {
        /// The document that removes the part (`removableAttributes`).
        removal: Value,
        /// The document that names every other instance (`copiableAttributes`).
        rest: Value,
    },
}

impl Part {
    /// What a document would be without the part.
    pub(super) fn taken_from(&self, document: &Object) -> Without {
        let (mut removed, mut rest) = (Object::new(), Object::new());
        for (series_uid, series) in all_series(document) {
            let (mut out, mut left) = (Object::new(), Object::new());
            for sop_uid in instances(series) {
                let side = if self.holds(series_uid, sop_uid) {
                    &mut out
                } else {
                    &mut left
                };
                side.insert(sop_uid.to_owned(), json!({}));
            }
            // `{}` is the whole series.
            if !out.is_empty() {
                let named = match self {
                    Self::Series(_) => json!({}),
                    Self::Instance { .. } => json!({ "Instances": out }),
                };
                removed.insert(series_uid.to_owned(), named);
            }
            if !left.is_empty() {
                rest.insert(series_uid.to_owned(), json!({ "Instances": left }));
            }
        }
        if removed.is_empty() {
            Without::Same
        } else if rest.is_empty() {
            Without::Nothing
        } else {
            Without::Rest {
                removal: naming(removed),
                rest: naming(rest),
            }
        }
    }

    fn holds(&self, series_uid: &str, sop_uid: &str) -> bool {
        match self {
            Self::Series(series) => series.as_str() == series_uid,
            Self::Instance {
                series_instance_uid,
                sop_instance_uid,
            } => {
                sop_instance_uid.as_str() == sop_uid
                    && series_instance_uid
                        .as_ref()
                        .is_none_or(|series| series.as_str() == series_uid)
            }
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
pub(super) fn everything(document: &Object) -> Value {
    let mut named = Object::new();
    for (series_uid, series) in all_series(document) {
        let each = instances(series).map(|uid| (uid.to_owned(), json!({})));
        let each: Object = each.collect();
        named.insert(series_uid.to_owned(), json!({ "Instances": each }));
    }
    naming(named)
}

/// The instances of a document, each in its series.
pub(super) fn instances_of(document: &Object) -> BTreeSet<(&str, &str)> {
    all_series(document)
        .flat_map(|(uid, series)| instances(series).map(move |sop_uid| (uid, sop_uid)))
        .collect()
}

fn naming(series: Object) -> Value {
    json!({ "SchemaVersion": "1.1", "Study": { "Series": series } })
}

fn all_series(document: &Object) -> impl Iterator<Item = (&str, &Value)> {
    let series = document.get("Study").and_then(|study| study.get("Series"));
    let series = series.and_then(Value::as_object).into_iter().flatten();
    series.map(|(uid, one)| (uid.as_str(), one))
}

fn instances(series: &Value) -> impl Iterator<Item = &str> {
    let instances = series.get("Instances").and_then(Value::as_object);
    instances.into_iter().flatten().map(|(uid, _)| uid.as_str())
}
