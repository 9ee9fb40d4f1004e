//! The ledger of long work.

use serde_json::json;

use crate::erase::{all, tag};
use crate::rig::Rig;

pub(crate) async fn a_job_is_found_listed_and_cannot_be_cancelled_after_its_end(rig: Rig) {
    let datastore = rig.filled().await;
    let study = tag(&all(&rig, &datastore).await[0], "DICOMStudyInstanceUID").to_owned();
    let asked =
        json!({ "datastore_id": datastore, "study_instance_uid": study, "wait_seconds": 120 });
    let done = rig.call("delete_study", asked).await;
    let id = done["job_id"].as_str().unwrap();
    let found = rig.call("get_job", json!({ "job_id": id, "max_results": 1 })).await;
    assert_eq!(found["job"]["job_status"], "COMPLETED");
    assert_eq!(found["job"]["tool"], "delete_study");
    assert_eq!(found["outcomes"].as_array().unwrap().len(), 1);
    let next = json!({ "job_id": id, "next_token": found["next_token"] });
    let rest = rig.call("get_job", next).await;
    assert_eq!(rest["outcomes"].as_array().unwrap().len(), 1);
    assert!(rest.get("next_token").is_none());
    let listed = rig.call("list_jobs", json!({ "job_status": "COMPLETED" })).await;
    assert_eq!(listed["jobs"][0]["job_id"], id);
    let none = rig.call("list_jobs", json!({ "job_status": "FAILED" })).await;
    assert_eq!(none["jobs"], json!([]));
    rig.refusal("cancel_job", json!({ "job_id": id }), "service_error").await;
    let unknown = json!({ "job_id": "0123456789abcdef0123456789abcdef" });
    rig.refusal("get_job", unknown.clone(), "not_found").await;
    rig.refusal("cancel_job", unknown, "not_found").await;
}
