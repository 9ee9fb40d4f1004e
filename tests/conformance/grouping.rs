//! Grouping of instances into image sets, primary and not.

use healthimaging::model::{DeleteImageSetRequest, ImageSetState, ImageSetWorkflowStatus};
use healthimaging::{DatastoreId, ImageSetId};
use healthimaging_phantoms::{Phantom, VR, tags};
use serde_json::{Value, json};

use crate::versions::versions;
use healthimaging_testing::rig::Rig;
use healthimaging_testing::rig::image_sets::{frame_id, instances, only_series};
use healthimaging_testing::rig::import::line_of;

fn slice(number: u32) -> Phantom {
    Phantom::ct().size(16, 16).sop_uid(&format!("2.25.100.{number}")).instance_number(number)
}

async fn is_primary(rig: &Rig, store: &DatastoreId, set: &ImageSetId) -> bool {
    rig.image_set(store, set).await.properties.is_primary.unwrap()
}

pub(crate) async fn one_series_becomes_one_primary_image_set(rig: &Rig) {
    let store = rig.datastore().await;
    let files = [("3", slice(3).build()), ("1", slice(1).build()), ("2", slice(2).build())];
    let set = rig.import(&store, files).await.only_set();
    let found = rig.image_set(&store, &set).await;
    assert_eq!(found.datastore_id, store);
    assert_eq!(found.properties.image_set_id, set);
    assert_eq!(found.properties.version_id.as_str(), "1");
    assert_eq!(found.properties.image_set_state, ImageSetState::Active);
    assert_eq!(found.properties.image_set_workflow_status, Some(ImageSetWorkflowStatus::Created));
    assert_eq!(found.properties.is_primary, Some(true));
    assert_eq!(found.properties.deleted_at, None);
    assert_eq!(found.properties.message, None);
    assert_eq!(instances(&rig.document(&store, &set).await).len(), 3);
}

pub(crate) async fn each_series_of_a_study_is_an_image_set(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig
        .import(
            &store,
            [
                ("a", slice(1).series_uid("2.25.1").build()),
                ("b", slice(2).series_uid("2.25.2").series_number(2).build()),
            ],
        )
        .await;
    assert_eq!(outcome.sets().len(), 2);
    for set in outcome.sets() {
        assert!(is_primary(rig, &store, &set).await);
    }
}

pub(crate) async fn a_later_job_extends_the_primary_image_set(rig: &Rig) {
    let store = rig.datastore().await;
    let first = rig.put(&store, slice(1)).await;
    let outcome = rig.import(&store, [("b", slice(2).build())]).await;
    assert_eq!(outcome.only_set(), first);
    assert_eq!(outcome.summary["imageSetsSummary"][0]["imageSetVersion"], 2);
    let found = rig.image_set(&store, &first).await.properties;
    assert_eq!(found.version_id.as_str(), "2");
    assert_eq!(found.image_set_state, ImageSetState::Active);
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Imported));
    let after = rig.document(&store, &first).await;
    assert_eq!(instances(&after).len(), 2);
    let before = rig.try_document(&store, &first, Some(1.into())).await.unwrap();
    assert_eq!(instances(&before).len(), 1);
}

pub(crate) async fn an_instance_imported_again_is_replaced_in_a_new_version(rig: &Rig) {
    let store = rig.datastore().await;
    let set = rig.put(&store, slice(1).with(tags::KVP, VR::DS, "120")).await;
    let before = rig.only_instance(&store, &set).await;
    let again = rig.put(&store, slice(1).with(tags::KVP, VR::DS, "80")).await;
    assert_eq!(again, set);
    let found = rig.image_set(&store, &set).await.properties;
    assert_eq!(found.version_id.as_str(), "2");
    let after = rig.only_instance(&store, &set).await;
    assert_eq!(before["DICOM"]["KVP"], "120 ");
    assert_eq!(after["DICOM"]["KVP"], "80");
}

pub(crate) async fn the_same_files_again_cost_a_version_each_time(rig: &Rig) {
    let store = rig.datastore().await;
    let files = || [("1", slice(1).build()), ("2", slice(2).build())];
    let set = rig.import(&store, files()).await.only_set();
    for version in ["2", "3"] {
        assert_eq!(rig.import(&store, files()).await.only_set(), set);
        let found = rig.image_set(&store, &set).await.properties;
        assert_eq!(found.version_id.as_str(), version);
    }
    assert_eq!(instances(&rig.document(&store, &set).await).len(), 2);
    assert_eq!(rig.found(&store, json!({})).await, [set]);
}

/// Imports a slice, then another one of the same series that differs as given.
async fn disagreeing(rig: &Rig, change: fn(Phantom) -> Phantom) {
    let store = rig.datastore().await;
    let first = rig.put(&store, slice(1)).await;
    let outcome = rig.import(&store, [("b", change(slice(2)).build())]).await;
    let second = outcome.only_set();
    assert_ne!(second, first);
    assert_eq!(line_of(&outcome.success, "b")["importResponse"]["isPrimary"], false);
    assert_eq!(outcome.summary["imageSetsSummary"][0]["isPrimary"], false);
    let found = rig.image_set(&store, &second).await.properties;
    assert_eq!(found.is_primary, Some(false));
    assert_eq!(found.version_id.as_str(), "1");
    let kept = rig.image_set(&store, &first).await.properties;
    assert_eq!(kept.is_primary, Some(true));
    assert_eq!(kept.version_id.as_str(), "1");
}

pub(crate) async fn another_study_date_is_not_primary(rig: &Rig) {
    disagreeing(rig, |p| p.study_date("19991231")).await;
}

pub(crate) async fn another_accession_number_is_not_primary(rig: &Rig) {
    disagreeing(rig, |p| p.accession_number("OTHER")).await;
}

pub(crate) async fn another_patient_id_is_not_primary(rig: &Rig) {
    disagreeing(rig, |p| p.patient("PHANTOM^SYNTHETIC", "OTHER")).await;
}

pub(crate) async fn another_study_id_is_not_primary(rig: &Rig) {
    disagreeing(rig, |p| p.with(tags::STUDY_ID, VR::SH, "OTHER")).await;
}

pub(crate) async fn another_series_number_is_not_primary(rig: &Rig) {
    disagreeing(rig, |p| p.series_number(77)).await;
}

pub(crate) async fn another_study_uid_is_another_primary_image_set(rig: &Rig) {
    let store = rig.datastore().await;
    let first = rig.put(&store, slice(1)).await;
    let other = slice(2).study_uid("2.25.8").series_uid("2.25.8.1");
    let second = rig.put(&store, other).await;
    assert_ne!(first, second);
    assert!(is_primary(rig, &store, &second).await);
}

pub(crate) async fn two_patients_in_one_study_cannot_both_be_primary(rig: &Rig) {
    let store = rig.datastore().await;
    let first = rig.put(&store, slice(1).series_uid("2.25.1")).await;
    let stranger = slice(2).series_uid("2.25.2").patient("OTHER^PERSON", "OTHER");
    let second = rig.put(&store, stranger).await;
    assert!(is_primary(rig, &store, &first).await);
    assert!(!is_primary(rig, &store, &second).await);
}

pub(crate) async fn the_first_in_key_order_is_primary_within_one_job(rig: &Rig) {
    let store = rig.datastore().await;
    let majority = |number| slice(number).accession_number("MAJORITY").build();
    let outcome = rig
        .import(
            &store,
            [
                ("b1", majority(1)),
                ("b2", majority(2)),
                ("a", slice(3).accession_number("FIRST").build()),
            ],
        )
        .await;
    assert_eq!(outcome.sets().len(), 2);
    assert!(is_primary(rig, &store, &outcome.set_of("a")).await);
    assert!(!is_primary(rig, &store, &outcome.set_of("b1")).await);
    assert_eq!(outcome.set_of("b1"), outcome.set_of("b2"));
}

pub(crate) async fn a_conflicting_copy_is_a_new_image_set_every_time(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let again = rig.put(&store, slice(1).accession_number("DEVIANT")).await;
    assert_ne!(again, set);
    assert!(!is_primary(rig, &store, &again).await);
    assert_eq!(rig.found(&store, json!({})).await.len(), 3);
}

pub(crate) async fn other_attributes_do_not_part_a_series_and_the_first_value_stays(rig: &Rig) {
    let store = rig.datastore().await;
    let set =
        rig.put(&store, slice(1).patient("FIRST^NAME", "P1").study_description("First")).await;
    let other = slice(2)
        .patient("SECOND^NAME", "P1")
        .study_description("Second")
        .series_description("Second");
    assert_eq!(rig.import(&store, [("other", other.build())]).await.only_set(), set);
    let document = rig.document(&store, &set).await;
    assert_eq!(instances(&document).len(), 2);
    assert_eq!(
        document["Patient"]["DICOM"]["PatientName"].as_str().unwrap().trim_end(),
        "FIRST^NAME"
    );
    assert_eq!(
        document["Study"]["DICOM"]["StudyDescription"].as_str().unwrap().trim_end(),
        "First"
    );
}

pub(crate) async fn pad_spaces_do_not_part_a_series(rig: &Rig) {
    let store = rig.datastore().await;
    let set = rig.put(&store, slice(1).accession_number("ACC00")).await;
    assert_eq!(rig.put(&store, slice(2).accession_number("ACC00   ")).await, set);
}

pub(crate) async fn of_two_files_with_one_sop_uid_the_later_key_stays(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig
        .import(
            &store,
            [
                ("a", slice(1).with(tags::KVP, VR::DS, "80").build()),
                ("b", slice(1).with(tags::KVP, VR::DS, "90").build()),
            ],
        )
        .await;
    assert_eq!(outcome.success.len(), 2);
    let instance = rig.only_instance(&store, &outcome.only_set()).await;
    assert_eq!(instance["DICOM"]["KVP"], "90");
}

/// Each line of a list but its file and the ID of its image set, by the name of its file.
fn responses(lines: &[Value], names: &[&str]) -> Vec<Value> {
    let response = |name: &&str| {
        let mut response = line_of(lines, name)["importResponse"].clone();
        response.as_object_mut().unwrap().remove("imageSetId");
        response
    };
    names.iter().map(response).collect()
}

/// Each version's instances: their KVP and Laterality, and those of the series.
async fn shown(rig: &Rig, store: &DatastoreId, set: &ImageSetId) -> Vec<Value> {
    let mut shown = Vec::new();
    for listed in versions(rig, store, set, None).await.iter().rev() {
        let version = Some(listed.version_id.clone());
        let document = rig.try_document(store, set, version).await.unwrap();
        let own =
            |instance: &Value| json!([instance["DICOM"]["KVP"], instance["DICOM"]["Laterality"]]);
        let instances = instances(&document).iter();
        let instances: Vec<_> = instances.map(|(uid, one)| json!([uid, own(one)])).collect();
        shown.push(json!([only_series(&document)["DICOM"]["Laterality"], instances]));
    }
    shown
}

pub(crate) async fn an_instance_twice_in_one_job_is_stored_as_by_two_jobs(rig: &Rig) {
    let file = |number: u32, kvp: &str, laterality: &str| {
        let file = slice(number).with(tags::KVP, VR::DS, kvp);
        file.with(tags::LATERALITY, VR::CS, laterality).build()
    };
    // The second job replaces two of three instances, one of them by one that differs.
    let first =
        || [("a1", file(1, "80", "L")), ("b1", file(2, "80", "L")), ("c", file(3, "80", "L"))];
    let second = || [("a2", file(1, "90", "R")), ("b2", file(2, "90", "L"))];

    let apart = rig.datastore().await;
    let before = rig.import(&apart, first()).await;
    let after = rig.import(&apart, second()).await;
    let expected = shown(rig, &apart, &before.only_set()).await;
    assert_eq!(expected.len(), 2);
    assert_eq!(responses(&after.warning, &["a2"])[0]["warnings"][0]["warning_reason_code"], 45056);

    let together = rig.datastore().await;
    let both = rig.import(&together, first().into_iter().chain(second())).await;
    assert_eq!((both.success.len(), both.failure.len(), both.warning.len()), (5, 0, 1));
    for (files, apart) in [(&["a1", "b1", "c"][..], &before), (&["a2", "b2"], &after)] {
        assert_eq!(responses(&both.success, files), responses(&apart.success, files));
    }
    assert_eq!(responses(&both.warning, &["a2"]), responses(&after.warning, &["a2"]));
    assert_eq!(shown(rig, &together, &both.only_set()).await, expected);
    assert_eq!(both.summary["numberOfGeneratedImageSets"], 1);
    assert_eq!(both.summary["imageSetsSummary"][0]["imageSetVersion"], 2);
    assert_eq!(both.summary["imageSetsSummary"][0]["numberOfMatchedSOPInstances"], 5);
}

pub(crate) async fn a_conflicting_instance_twice_in_one_job_is_two_image_sets(rig: &Rig) {
    let store = rig.datastore().await;
    let first = rig.put(&store, slice(1)).await;
    let other = |number, kvp: &str| {
        slice(number).accession_number("DEVIANT").with(tags::KVP, VR::DS, kvp).build()
    };
    let files = [("a", other(1, "80")), ("b", other(1, "90")), ("c", other(2, "80"))];
    let outcome = rig.import(&store, files).await;
    assert_eq!(outcome.set_of("a"), outcome.set_of("c"));
    assert_ne!(outcome.set_of("a"), outcome.set_of("b"));
    assert_eq!(rig.found(&store, json!({})).await.len(), 3);
    for (name, count) in [("a", 2), ("b", 1)] {
        let set = outcome.set_of(name);
        assert!(set != first && !is_primary(rig, &store, &set).await);
        let document = rig.document(&store, &set).await;
        assert_eq!(instances(&document).len(), count);
        assert_eq!(line_of(&outcome.success, name)["importResponse"]["imageSetVersion"], 1);
        for instance in instances(&document).values() {
            rig.frame(&store, &set, frame_id(instance, 0)).await;
        }
    }
    assert_eq!(rig.only_instance(&store, &outcome.set_of("b")).await["DICOM"]["KVP"], "90");
}

pub(crate) async fn an_object_without_pixels_is_an_image_set_without_frames(rig: &Rig) {
    let (store, set) = rig.holding(Phantom::report()).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(instance["ImageFrames"], json!([]));
}

pub(crate) async fn after_deletion_the_series_starts_anew(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    rig.service.delete_image_set(request).await.unwrap();
    rig.wait_active(&store, &set).await;
    let anew = rig.put(&store, slice(1)).await;
    assert_ne!(anew, set);
    let found = rig.image_set(&store, &anew).await.properties;
    assert_eq!(found.version_id.as_str(), "1");
    assert_eq!(found.is_primary, Some(true));
}
