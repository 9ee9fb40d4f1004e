//! Bad input: every tool refuses it with the right error, and nothing has changed afterwards.

use std::collections::BTreeSet;
use std::path::Path;

use healthimaging_tools::{Effect, ToolEntry};
use serde_json::{Map, Value, json};

use crate::erase::{all, tag};
use crate::rig::{Rig, uri};

/// Ids of the right form that nothing has.
const UNUSED_ID: &str = "00000000000000000000000000000000";

/// Longer than anything that is accepted.
const ENDLESS: usize = 1_000_000;

/// Longest message of an error.
const BRIEF: usize = 700;

/// What a data store holds and what was written beside it, to be compared with later.
async fn everything(rig: &Rig, datastore: &str) -> Value {
    let mut sets = all(rig, datastore).await;
    for set in &mut sets {
        set.as_object_mut().unwrap().remove("last_accessed_at");
    }
    let found = rig.call("get_datastore", json!({ "datastore_id": datastore })).await;
    let arn = found["datastore_properties"]["datastore_arn"].clone();
    json!({
        "sets": sets,
        "stores": rig.call("list_datastores", json!({})).await,
        "tags": rig.call("list_tags_for_resource", json!({ "resource_arn": arn })).await,
        "imports": rig.call("list_dicom_import_jobs", json!({ "datastore_id": datastore })).await,
        "jobs": rig.call("list_jobs", json!({})).await,
        "files": files(&rig.allowed()),
    })
}

fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.insert(path.display().to_string());
    }
    found
}

/// What there is in a data store, by the arguments that name it.
async fn facts(rig: &Rig, datastore: &str) -> Value {
    let set = all(rig, datastore).await[0].clone();
    let series = tag(&set, "DICOMSeriesInstanceUID");
    let read = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
    let read = rig.call("get_image_set_metadata", read).await;
    let instances = &read["metadata"]["Study"]["Series"][series]["Instances"];
    let (instance, of_instance) = instances.as_object().unwrap().iter().next().unwrap();
    let one = json!({ "datastore_id": datastore });
    let found = rig.call("get_datastore", one.clone()).await;
    let imports = rig.call("list_dicom_import_jobs", one).await;
    let exported = json!({
        "datastore_id": datastore, "output_s3_uri": uri(&rig.allowed().join("before")),
        "series_instance_uid": series, "wait_seconds": 60
    });
    let exported = rig.call("start_dicom_export_job", exported).await;
    let another = json!({ "datastore_name": "another", "wait_seconds": 60 });
    let another = rig.call("create_datastore", another).await;
    let scans = rig.allowed().join("scans");
    std::fs::create_dir_all(&scans).unwrap();
    std::fs::write(scans.join("no.dcm"), "no DICOM").unwrap();
    let version = set["version"].to_string();
    json!({
        "datastore_id": datastore,
        "image_set_id": set["image_set_id"],
        "source_image_set_id": set["image_set_id"],
        "patient_id": tag(&set, "DICOMPatientId"),
        "study_instance_uid": tag(&set, "DICOMStudyInstanceUID"),
        "series_instance_uid": series,
        "sop_instance_uid": instance,
        "image_frame_information": { "imageFrameId": of_instance["ImageFrames"][0]["ID"] },
        "resource_arn": found["datastore_properties"]["datastore_arn"],
        "job_id": exported["job_id"],
        "import_job_id": imports["job_summaries"][0]["job_id"],
        "input_s3_uri": uri(&scans),
        "output_s3_uri": uri(&rig.allowed().join("after")),
        "data_access_role_arn": "arn:aws:iam::000000000000:role/import",
        "paths": [scans],
        "latest_version_id": version,
        "version_id": version,
        "attributes": ["Modality"],
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": {
            "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "X" } }
        } } },
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": version } },
        "metadata_updates": { "PatientName": "X" },
        "study_updates": { "StudyDescription": "X" },
        "series_updates": { "SeriesDescription": "X" },
        "patient": { "PatientName": "X" },
        "to_patient_id": "ANOTHER",
        "criteria": { "modality": "CT" },
        "tags": { "Team": "x" },
        "tag_keys": ["Team"],
        "from_datastore": datastore,
        "to_datastore": another["datastore_id"]
    })
}

/// A call of each tool that is in order: what it cannot do without, and its data store.
pub(crate) async fn in_order(
    rig: &Rig,
    datastore: &str,
) -> Vec<(&'static ToolEntry, Map<String, Value>)> {
    let facts = facts(rig, datastore).await;
    let arguments = |tool: &ToolEntry| {
        let schema = tool.definition().input_schema;
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        let mut names: BTreeSet<&str> = required.collect();
        names.extend(match tool.name {
            "get_image_frame" => ["image_frame_information"].as_slice(),
            "update_patient_study_metadata" => &["study_updates"],
            "reassign_study" => &["study_instance_uid", "patient"],
            "tabulate_attributes" => &["attributes"],
            "get_report" => &["study_instance_uid"],
            "compare_image_sets" => &["image_set_id", "version_id"],
            "start_dicom_import_job" => &["output_s3_uri", "data_access_role_arn"],
            _ => &[],
        });
        if tool.name != "list_jobs" && schema["properties"].get("datastore_id").is_some() {
            names.insert("datastore_id");
        }
        names
            .into_iter()
            .map(|name| {
                let fact = match (tool.name, name) {
                    ("get_dicom_import_job", "job_id") => "import_job_id",
                    ("update_series_metadata", "metadata_updates") => "series_updates",
                    _ => name,
                };
                (name.to_owned(), facts[fact].clone())
            })
            .collect()
    };
    rig.server.tools().map(|tool| (tool, arguments(tool))).collect()
}

/// Whether a value means something where its type is another: see `lenient.rs` of the tools.
fn is_lenient(name: &str, value: &Value) -> bool {
    const EMPTY_IS_ABSENT: [&str; 5] =
        ["client_token", "format", "job_name", "next_token", "wait_seconds"];
    (value == "" && EMPTY_IS_ABSENT.contains(&name))
        || (value.is_number() && name.ends_with("version_id"))
}

/// Values that an argument of this schema never accepts.
fn wrong(name: &str, schema: &Value) -> Vec<Value> {
    let mut values = if schema.get("enum").is_some() {
        vec![json!("NO_SUCH_WORD"), json!(""), json!(7), json!([])]
    } else {
        match schema["type"].as_str().unwrap() {
            "string" if name == "confirmation_token" => vec![json!(7), json!([])],
            "string" => vec![
                json!(7),
                json!(true),
                json!([]),
                json!({}),
                json!(""),
                json!("x".repeat(ENDLESS)),
            ],
            "integer" => {
                let mut values =
                    vec![json!("x"), json!(1.5), json!([]), json!(-1), json!(1_u64 << 40)];
                let most = schema["maximum"].as_i64();
                values.extend(most.map(|most| json!(most + 1)));
                values
            }
            "number" => vec![json!("x"), json!([]), json!({})],
            "boolean" => vec![json!("yes"), json!(1), json!([])],
            "array" => vec![json!({}), json!("x"), json!([7]), json!(["x".repeat(ENDLESS)])],
            "object" => vec![json!([]), json!("x"), json!(7), json!({ "noSuchKey": 1 })],
            other => panic!("{name}: {other}"),
        }
    };
    values.extend(match name {
        "max_results" | "max_size" | "max_deletions" | "frame_number" => vec![json!(0)],
        "study_date_from" | "study_date_to" => {
            vec![json!("20250230"), json!("2025-02-03"), json!("99999999"), json!("20251")]
        }
        "submitted_before" | "submitted_after" => {
            vec![json!("2025-02-30T00:00:00Z"), json!("20250203"), json!("yesterday")]
        }
        _ if name.ends_with("_uid") => vec![json!(".."), json!("1.2\n3"), json!(" ")],
        _ if name.ends_with("datastore_id") || name.ends_with("image_set_id") => {
            vec![json!("short"), json!(UNUSED_ID.to_uppercase() + "A"), json!("Z".repeat(32))]
        }
        _ => Vec::new(),
    });
    values.retain(|value| !is_lenient(name, value));
    values
}

/// Checks the form of an error, its length, and that it does not repeat what was sent.
fn check(tool: &str, error: &Value, kinds: &[&str], sent: &Value) {
    assert_eq!(error["error"], true, "{tool}: {error}");
    let kind = error["type"].as_str().unwrap();
    assert!(kinds.contains(&kind), "{tool}: {error}");
    let message = error["message"].as_str().unwrap();
    assert!((10..BRIEF).contains(&message.len()), "{tool}: {message}");
    if let Some(text) = sent.as_str().filter(|text| text.len() > 8) {
        assert!(!message.contains(text), "{tool} repeats what was sent: {message}");
    }
}

async fn refusal(rig: &Rig, tool: &str, arguments: &Map<String, Value>) -> Value {
    match rig.answer(tool, Value::Object(arguments.clone())).await {
        Err(error) => error,
        Ok(answer) => {
            let mut sent = json!(arguments).to_string();
            sent.truncate(500);
            panic!("{tool} accepted {sent}: {}", json!(answer.structured));
        }
    }
}

pub(crate) async fn one_wrong_argument_is_refused_by_every_tool(rig: Rig) {
    let datastore = rig.filled().await;
    let calls = in_order(&rig, &datastore).await;
    let before = everything(&rig, &datastore).await;
    for (tool, arguments) in &calls {
        let schema = tool.definition().input_schema;
        let mut unknown = arguments.clone();
        unknown.insert("no_such_argument".to_owned(), json!(1));
        let error = refusal(&rig, tool.name, &unknown).await;
        check(tool.name, &error, &["validation_error"], &json!(1));
        // Its name may be patient data.
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("unknown member") && !message.contains("no_such"), "{message}");
        let mut endless = arguments.clone();
        endless.insert("x".repeat(ENDLESS), json!(1));
        let error = refusal(&rig, tool.name, &endless).await;
        check(tool.name, &error, &["validation_error"], &json!(1));
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let mut without = arguments.clone();
            without.shift_remove(required.as_str().unwrap());
            let error = refusal(&rig, tool.name, &without).await;
            check(tool.name, &error, &["validation_error"], &Value::Null);
        }
        for (name, property) in schema["properties"].as_object().unwrap() {
            for value in wrong(name, property) {
                let mut changed = arguments.clone();
                changed.insert(name.clone(), value.clone());
                let error = refusal(&rig, tool.name, &changed).await;
                check(tool.name, &error, &["validation_error"], &value);
                let message = error["message"].as_str().unwrap();
                assert!(message.contains(name.as_str()), "{}: {name}: {message}", tool.name);
                // Keys of tags hold no patient data by AWS's terms, and every key is allowed.
                let may_name_key = name == "tags" || !message.contains("noSuchKey");
                assert!(may_name_key, "{}: {name}: {message}", tool.name);
            }
        }
    }
    assert_eq!(everything(&rig, &datastore).await, before);
    // And it was the one argument that was refused.
    for (tool, mut arguments) in calls {
        let schema = tool.definition().input_schema;
        for (name, value) in [("dry_run", json!(true)), ("wait_seconds", json!(60))] {
            if schema["properties"].get(name).is_some() {
                arguments.insert(name.to_owned(), value);
            }
        }
        // What is there to cancel has ended, what is there to delete holds image sets, and there is no report.
        if !["cancel_job", "delete_datastore", "get_report"].contains(&tool.name) {
            rig.call(tool.name, Value::Object(arguments)).await;
        }
    }
}

pub(crate) async fn ids_that_nothing_has_are_not_found(rig: Rig) {
    let datastore = rig.filled().await;
    let calls = in_order(&rig, &datastore).await;
    let before = everything(&rig, &datastore).await;
    for (tool, arguments) in calls {
        let name = tool.name;
        for (key, unknown) in [
            ("datastore_id", UNUSED_ID),
            ("image_set_id", UNUSED_ID),
            ("source_image_set_id", UNUSED_ID),
            ("job_id", UNUSED_ID),
            ("patient_id", "UNKNOWN"),
            ("study_instance_uid", "1.2.3.4.5"),
            ("series_instance_uid", "1.2.3.4.5"),
            ("sop_instance_uid", "1.2.3.4.5"),
        ] {
            // A search that finds nothing has found nothing, and jobs outlive their data store.
            let finds_nothing = name.starts_with("search_by") && key != "datastore_id";
            if !arguments.contains_key(key) || finds_nothing {
                continue;
            }
            let mut changed = arguments.clone();
            changed.insert(key.to_owned(), json!(unknown));
            let error = refusal(&rig, name, &changed).await;
            check(name, &error, &["not_found"], &json!(unknown));
        }
    }
    assert_eq!(everything(&rig, &datastore).await, before);
}

pub(crate) async fn tokens_of_another_listing_are_refused(rig: Rig) {
    let datastore = rig.filled().await;
    let calls = in_order(&rig, &datastore).await;
    let asked = json!({ "datastore_id": datastore, "max_results": 1 });
    let page = rig.call("search_image_sets", asked).await;
    let foreign = page["next_token"].as_str().unwrap();
    for (tool, arguments) in calls {
        let schema = tool.definition().input_schema;
        if schema["properties"].get("next_token").is_none() || tool.name == "search_image_sets" {
            continue;
        }
        for token in ["rubbish", "AAAAAAAAAAAAAAAAAAAAAAAA", foreign] {
            let mut changed = arguments.clone();
            changed.insert("next_token".to_owned(), json!(token));
            let error = refusal(&rig, tool.name, &changed).await;
            check(tool.name, &error, &["validation_error"], &json!(token));
        }
    }
}

pub(crate) async fn a_confirmation_is_good_for_one_plan(rig: Rig) {
    let rig = rig.confirming();
    let datastore = rig.filled().await;
    let calls = in_order(&rig, &datastore).await;
    let before = everything(&rig, &datastore).await;
    let planned = |tool: &ToolEntry| {
        let schema = tool.definition().input_schema;
        // One that holds image sets is not even planned, and these calls of others act at once.
        let others =
            ["delete_datastore", "update_image_set_metadata", "update_patient_study_metadata"];
        schema["properties"].get("confirmation_token").is_some() && !others.contains(&tool.name)
    };
    let mut foreign = String::new();
    let mut seen = 0;
    for (tool, arguments) in calls.into_iter().filter(|(tool, _)| planned(tool)) {
        seen += usize::from(tool.effect == Effect::Destroys);
        let plan = rig.call(tool.name, Value::Object(arguments.clone())).await;
        let token = plan["confirmation_token"].as_str().unwrap().to_owned();
        for bad in ["rubbish".to_owned(), format!("{token}A"), foreign] {
            let mut changed = arguments.clone();
            changed.insert("confirmation_token".to_owned(), json!(bad));
            let error = refusal(&rig, tool.name, &changed).await;
            check(tool.name, &error, &["validation_error"], &json!(bad));
        }
        // The same tool, and an argument that is another; `wait_seconds` may differ.
        if tool.name == "bulk_delete_by_criteria" {
            let mut changed = arguments.clone();
            changed.insert("confirmation_token".to_owned(), json!(token));
            changed.insert("max_deletions".to_owned(), json!(99));
            let error = refusal(&rig, tool.name, &changed).await;
            check(tool.name, &error, &["validation_error"], &json!(token));
        }
        foreign = token;
    }
    assert_eq!(seen, 9, "tools that destroy");
    assert_eq!(everything(&rig, &datastore).await, before);
}

pub(crate) async fn a_plan_that_no_longer_holds_is_refused(rig: Rig) {
    let rig = rig.confirming();
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let mut asked = json!({ "datastore_id": datastore, "study_instance_uid": tag(&set, "DICOMStudyInstanceUID") });
    let plan = rig.call("delete_study", asked.clone()).await;
    let update = json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"], "latest_version_id": "1",
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": {
            "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "X" } }
        } } },
        "wait_seconds": 60
    });
    rig.call("update_image_set_metadata", update).await;
    let before = everything(&rig, &datastore).await;
    asked["confirmation_token"] = plan["confirmation_token"].clone();
    let message = rig.refusal("delete_study", asked, "service_error").await;
    assert!(message.contains("Call again for a new plan"), "{message}");
    assert_eq!(everything(&rig, &datastore).await, before);
}

pub(crate) async fn criteria_are_read_to_the_last_key(rig: Rig) {
    let datastore = rig.filled().await;
    let before = everything(&rig, &datastore).await;
    let date = |date: &str| {
        json!({ "filters": [{ "operator": "EQUAL", "values": [
            { "DICOMStudyDateAndTime": { "DICOMStudyDate": date, "DICOMStudyTime": "000000" } }
        ] }] })
    };
    for criteria in [
        date("20250230"),
        date("2025-02-03"),
        json!({ "filter": [] }),
        json!({ "filters": [{ "values": [{ "DICOMPatientId": "X" }], "operator": "LIKE" }] }),
        json!({ "filters": [{ "values": [{ "DICOMPatientName": "X" }], "operator": "EQUAL" }] }),
        json!({ "filters": [{ "values": [], "operator": "EQUAL" }] }),
        json!({ "filters": [{ "values": [{ "createdAt": "2025-02-30T00:00:00Z" }, { "createdAt": "2025-03-01T00:00:00Z" }], "operator": "BETWEEN" }] }),
        json!({ "sort": { "sortField": "name", "sortOrder": "ASC" } }),
    ] {
        let asked = json!({ "datastore_id": datastore, "search_criteria": criteria });
        rig.refusal("search_image_sets", asked, "validation_error").await;
    }
    for criteria in [
        json!({}),
        json!({ "modalitty": "CT" }),
        json!({ "modality": null }),
        json!({ "modality": "" }),
        json!({ "patient_id": "x".repeat(ENDLESS) }),
        json!({ "study_date_to": "20250230" }),
        json!({ "study_date_from": "20250302", "study_date_to": "20250301" }),
        json!({ "study_instance_uid": "1.2\n3" }),
        json!({ "created_at": {} }),
        json!({ "created_at": { "from": "2025-02-30T00:00:00Z" } }),
    ] {
        let asked = json!({ "datastore_id": datastore, "criteria": criteria });
        rig.refusal("bulk_delete_by_criteria", asked, "validation_error").await;
    }
    assert_eq!(everything(&rig, &datastore).await, before);
}
