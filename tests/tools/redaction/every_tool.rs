//! Every tool, by tokens.

use std::collections::BTreeSet;

use healthimaging_tools::Effect;
use serde_json::{Value, json};

use super::Veil;
use crate::bad::in_order;
use crate::erase::all;
use crate::rig::Rig;

/// Puts tokens in place of values of arguments that are named after attributes.
fn tokens(veil: &Veil<'_>, name: &str, value: &mut Value) {
    let attribute = match name {
        "patient_id" | "to_patient_id" => Some("PatientID"),
        "study_instance_uid" | "series_instance_uid" | "sop_instance_uid" => {
            Some("StudyInstanceUID")
        }
        "PatientName" => Some("PatientName"),
        _ => None,
    };
    match value {
        Value::String(text) => {
            if let Some(attribute) = attribute {
                *text = veil.token(attribute, text);
            }
        }
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| tokens(veil, name, value));
        }
        _ => {}
    }
}

/// Names, IDs, UIDs, accession numbers and dates in metadata documents, found by what the attributes are called.
fn identifying(value: &Value, to: &mut BTreeSet<String>) {
    let Some(members) = value.as_object() else { return };
    for (name, value) in members {
        let is_named =
            name.ends_with("Name") && !name.contains("Model") && !name.contains("Protocol")
                || name.ends_with("InstanceUID")
                || name.ends_with("ReferenceUID")
                || name.ends_with("Date")
                || ["PatientID", "StudyID", "AccessionNumber"].contains(&name.as_str());
        match value {
            Value::String(text) if is_named && text.trim().len() > 2 => {
                to.insert(text.trim().to_owned());
                if name.ends_with("Name") {
                    to.extend(
                        text.split(['^', ' ']).filter(|part| part.len() > 2).map(str::to_owned),
                    );
                }
            }
            Value::Array(items) => items.iter().for_each(|item| identifying(item, to)),
            other => identifying(other, to),
        }
    }
}

pub(crate) async fn no_tool_shows_what_identifies_a_patient(rig: Rig) {
    let datastore = rig.filled().await;
    let mut secrets = BTreeSet::new();
    for set in all(&rig, &datastore).await {
        let asked = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
        let read = rig.call("get_image_set_metadata", asked).await;
        identifying(&read["metadata"], &mut secrets);
    }
    assert!(secrets.len() > 20, "{secrets:?}");
    let calls = in_order(&rig, &datastore).await;
    for is_strict in [true, false] {
        let veil = Veil::new(&rig, is_strict, secrets.clone());
        let by_effect = [Effect::Reads, Effect::Writes, Effect::Destroys];
        let (mut tried, mut done) = (0, 0);
        for effect in by_effect.into_iter().filter(|effect| *effect == Effect::Reads || !is_strict)
        {
            for (tool, arguments) in calls.iter().filter(|(tool, _)| tool.effect == effect) {
                let mut arguments = Value::Object(arguments.clone());
                tokens(&veil, "", &mut arguments);
                let answer = veil.try_call(tool.name, &arguments).await;
                tried += 1;
                done += usize::from(answer.is_ok());
                if effect == Effect::Reads && tool.name != "get_report" {
                    assert!(answer.is_ok(), "{}: {answer:?}", tool.name);
                }
            }
        }
        // What was erased before is not found later.
        assert!(done * 3 > tried * 2, "{done} of {tried}");
    }
}
