//! `--redact-phi`: nothing that identifies a patient leaves, tools work by tokens, and guesses find nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use chrono::NaiveDate;
use healthimaging_phantoms::{Phantom, PhantomFile};
use healthimaging_redact::Redactor;
use healthimaging_tools::{Consent, Effect, Server, error_document};
use healthimaging_workflows::deidentify::data_folder_key;
use serde_json::{Value, json};

use crate::bad::in_order;
use crate::conversations::{filled, patient};
use crate::erase::{all, tag};
use crate::rig::{Rig, uri};

/// A server with redaction, and what must not leave it.
pub(crate) struct Veil<'a> {
    rig: &'a Rig,
    pub(crate) server: Server,
    redactor: Arc<Redactor>,
    secrets: BTreeSet<String>,
    /// Tools that were called.
    pub(crate) called: Mutex<BTreeSet<String>>,
}

impl<'a> Veil<'a> {
    pub(crate) fn new(
        rig: &'a Rig,
        is_strict: bool,
        secrets: impl IntoIterator<Item = String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = data_folder_key(folder.path()).unwrap();
        let redactor = Arc::new(Redactor::new(&key, is_strict).unwrap());
        let server = rig.redacting(Arc::clone(&redactor));
        let secrets = secrets.into_iter().collect();
        Self { rig, server, redactor, secrets, called: Mutex::default() }
    }

    pub(crate) fn token(&self, attribute: &str, value: &str) -> String {
        self.redactor.token(attribute, value).unwrap()
    }

    pub(crate) fn uid(&self, uid: &str) -> String {
        self.token("StudyInstanceUID", uid)
    }

    /// Fails if a text holds a secret.
    fn check(&self, about: &str, text: &str) {
        if let Some(secret) = self.found(text) {
            panic!("{about} shows {secret}: {text}");
        }
    }

    /// The first secret that a text holds as a word; UIDs and dates count anywhere.
    pub(crate) fn found(&self, text: &str) -> Option<&str> {
        let lower = text.to_lowercase();
        let is_in = |secret: &&String| {
            let is_date = secret.len() == 8 && secret.bytes().all(|byte| byte.is_ascii_digit());
            let is_anywhere = is_date || secret.matches('.').count() > 1;
            let wanted = secret.to_lowercase();
            lower.match_indices(&wanted).any(|(at, _)| {
                let before = lower[..at].chars().next_back();
                let after = lower[at + wanted.len()..].chars().next();
                let is_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
                is_anywhere || !is_word(before) && !is_word(after)
            })
        };
        self.secrets.iter().find(is_in).map(String::as_str)
    }

    /// Calls a tool, and looks through all of the answer or of the error.
    pub(crate) async fn try_call(&self, tool: &str, arguments: &Value) -> Result<Value, Value> {
        let Value::Object(given) = arguments.clone() else { panic!("not an object") };
        self.called.lock().unwrap().insert(tool.to_owned());
        match self.server.call(tool, given, Consent::Unavailable).await {
            Ok(answer) => {
                let links: Vec<_> = answer.links.iter().map(|link| &link.uri).collect();
                self.check(tool, &format!("{links:?}"));
                // A picture may have texts beside its pixels.
                for image in &answer.images {
                    self.check(tool, &String::from_utf8_lossy(&image.data));
                }
                let structured = Value::Object(answer.structured);
                self.check(tool, &structured.to_string());
                Ok(structured)
            }
            Err(error) => {
                let error = Value::Object(error_document(&error));
                self.check(tool, &error.to_string());
                Err(error)
            }
        }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.try_call(tool, &arguments).await;
        answer.unwrap_or_else(|error| panic!("{tool} {arguments}: {error}"))
    }

    async fn refusal(&self, tool: &str, arguments: Value) -> String {
        match self.try_call(tool, &arguments).await {
            Ok(answer) => panic!("{tool} did it: {arguments} {answer}"),
            Err(error) => {
                assert_eq!(error["type"], "validation_error", "{tool}: {error}");
                error["message"].as_str().unwrap().to_owned()
            }
        }
    }

    /// A call that is planned, and confirmed with the token.
    async fn confirmed(&self, tool: &str, mut arguments: Value) -> Value {
        let planned = self.call(tool, arguments.clone()).await;
        arguments["confirmation_token"] = planned["confirmation_token"].clone();
        self.call(tool, arguments).await
    }
}

/// What identifies the patients of [`filled`].
fn of_conversations() -> Vec<String> {
    let mut secrets: Vec<String> = [
        "DOE^JANE", "ROE^MARY", "POE^RITA", "DOE", "JANE", "ROE", "MARY", "POE", "RITA", "MRN-1",
        "MRN-2", "MRN-20", "MRN-4", "A0", "A1", "B1", "C1", "C2", "2.25.100", "2.25.101",
        "2.25.200", "2.25.201", "2.25.400", "2.25.91", "2.25.92", "2.25.93",
    ]
    .map(str::to_owned)
    .into();
    for day in ["19700101", "19550505", "19600202", "20240301", "20220301", "20250110", "20250401"]
    {
        secrets.push(day.to_owned());
        secrets.push(format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]));
    }
    secrets
}

pub(crate) async fn conversations_by_tokens_show_nothing_and_do_their_work(rig: Rig) {
    let rig = rig.confirming();
    let datastore = filled(&rig).await;
    let veil = Veil::new(&rig, false, of_conversations());
    // Without redaction, what is looked for is there.
    let plain = rig.call("search_image_sets", json!({})).await;
    assert!(veil.found(&plain.to_string()).is_some());
    let of_patient = |id: &str| patient(&veil.token("PatientID", id));

    let chest =
        json!({ "search_criteria": of_patient("MRN-1"), "modality": "CT", "text": "chest" });
    let found = veil.call("search_image_sets", chest).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap().clone();
    assert_eq!(sets.len(), 3, "{found}");
    let set = sets.iter().find(|set| tag(set, "DICOMSeriesInstanceUID") == veil.uid("2.25.100.1"));
    let set = set.unwrap()["image_set_id"].clone();
    let asked = json!({ "image_set_id": set, "slice": "middle", "format": "jpeg" });
    let frame = veil.call("get_image_frame", asked).await;
    assert_eq!(frame["picture"]["sop_instance_uid"], veil.uid("2.25.100.1.2").as_str(), "{frame}");

    let study = veil.uid("2.25.100");
    let asked = json!({ "study_instance_uid": study, "text": "motion" });
    let found = veil.call("get_study_series", asked).await;
    assert_eq!(found["series"][0]["series_instance_uid"], veil.uid("2.25.100.2").as_str());

    let asked = json!({
        "modality": "SR", "attributes": ["PatientID"], "content": ["113838"], "group_by": ["PatientID"]
    });
    let found = veil.call("tabulate_attributes", asked).await;
    assert_eq!(found["rows"][0][3], 150.75, "{found}");

    let asked = json!({ "by_study": true, "lacks_modality": "SR" });
    let found = veil.call("search_image_sets", asked).await;
    assert_eq!(found["studies"].as_array().unwrap().len(), 5, "{found}");
    let found = veil.call("summarize_datastore", json!({})).await;
    assert!(found.to_string().contains(&veil.token("PatientID", "MRN-1")), "{found}");

    let found =
        veil.call("search_image_sets", json!({ "search_criteria": of_patient("MRN-4") })).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    let by_primary = |wanted: bool| {
        sets.iter().find(|set| set["is_primary"] == wanted).unwrap()["image_set_id"].clone()
    };
    let asked = json!({ "image_set_id": by_primary(false) });
    let found = veil.call("compare_image_sets", asked).await;
    assert_eq!(found["not_primary"]["conflicts"][0]["attribute"], "AccessionNumber", "{found}");
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "SKULL" } } });
    let change = json!({
        "datastore_id": datastore, "image_set_id": by_primary(true), "latest_version_id": "1",
        "wait_seconds": 60,
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": document } }
    });
    veil.call("update_image_set_metadata", change).await;
    let asked = json!({ "image_set_id": by_primary(true), "version_id": "1" });
    let found = veil.call("compare_image_sets", asked).await;
    let row = &found["attributes"][0];
    assert_eq!((&row["old"], &row["new"]), (&json!("HEAD"), &json!("SKULL")), "{found}");

    moving(&veil, &datastore).await;
    changing(&veil, &datastore).await;
}

async fn moving(veil: &Veil<'_>, datastore: &str) {
    let rig = veil.rig;
    for deidentify in [Some(json!({ "profile": "basic" })), None] {
        let mut asked = json!({
            "output_s3_uri": uri(&rig.allowed().join(if deidentify.is_some() { "a" } else { "b" })),
            "study_instance_uid": veil.uid("2.25.100"), "wait_seconds": 120
        });
        if let Some(deidentify) = deidentify {
            asked["deidentify"] = deidentify;
        }
        let job = veil.call("start_dicom_export_job", asked).await;
        assert_eq!(
            (&job["job_status"], &job["files_done"]),
            (&json!("COMPLETED"), &json!(7)),
            "{job}"
        );
        for tool in ["get_dicom_export_job", "get_job"] {
            veil.call(tool, json!({ "job_id": job["job_id"] })).await;
        }
    }
    // Files are named by the UIDs of the store, and not by tokens.
    assert!(rig.allowed().join("b/2.25.100").is_dir());

    let folder = rig.allowed().join("incoming");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("DOE JANE.txt"), "not DICOM").unwrap();
    let outcome = tempfile::tempdir_in(rig.allowed()).unwrap();
    let asked = json!({
        "datastore_id": datastore, "input_s3_uri": uri(&folder), "output_s3_uri": uri(outcome.path()),
        "wait_seconds": 120, "data_access_role_arn": "arn:aws:iam::000000000000:role/import"
    });
    let job = veil.call("start_dicom_import_job", asked).await;
    assert_eq!(job["outcome"]["files_failed"], 1, "{job}");
    let job = json!({ "datastore_id": datastore, "job_id": job["job_id"] });
    let found = veil.call("get_dicom_import_job", job).await;
    // The token of a folder is an argument as the folder is.
    let input = found["job_properties"]["input_s3_uri"].as_str().unwrap().to_owned();
    assert!(input.starts_with("phi-path-"), "{found}");
    let again = json!({
        "datastore_id": datastore, "input_s3_uri": input, "output_s3_uri": uri(outcome.path()),
        "wait_seconds": 120, "data_access_role_arn": "arn:aws:iam::000000000000:role/import"
    });
    let job = veil.call("start_dicom_import_job", again).await;
    assert_eq!(job["outcome"]["files_failed"], 1, "{job}");

    let other = json!({ "datastore_name": "research", "wait_seconds": 60 });
    let other = rig.call("create_datastore", other).await["datastore_id"].clone();
    let asked = json!({
        "from_datastore": datastore, "to_datastore": other, "wait_seconds": 120,
        "criteria": { "patient_id": veil.token("PatientID", "MRN-20") }
    });
    let job = veil.call("transfer_studies", asked).await;
    assert_eq!(job["report"]["instances_transferred"], 3, "{job}");
    let found = rig.call("search_image_sets", json!({ "datastore_id": other })).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert!(sets.iter().all(|set| tag(set, "DICOMPatientId") == "MRN-20"), "{found}");
}

async fn changing(veil: &Veil<'_>, datastore: &str) {
    let id = |id: &str| veil.token("PatientID", id);
    let rig = veil.rig;
    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": veil.uid("2.25.101"),
        "to_patient_id": id("MRN-2"), "wait_seconds": 60
    });
    veil.confirmed("reassign_study", asked).await;
    let asked = json!({
        "datastore_id": datastore, "patient_id": id("MRN-20"), "all_studies": true,
        "to_patient_id": id("MRN-2"), "wait_seconds": 60
    });
    veil.confirmed("reassign_study", asked).await;
    let asked = json!({ "datastore_id": datastore, "patient_id": id("MRN-2") });
    let found = veil.call("get_patient_studies", asked).await;
    assert_eq!(found["studies"].as_array().unwrap().len(), 3, "{found}");
    // What is stored are values: no token, no shifted date.
    let asked = json!({ "datastore_id": datastore, "search_criteria": patient("MRN-2") });
    let found = rig.call("search_image_sets", asked).await;
    for set in found["image_sets_metadata_summaries"].as_array().unwrap() {
        assert_eq!(tag(set, "DICOMPatientName"), "ROE^MARY", "{set}");
        assert_eq!(tag(set, "DICOMPatientBirthDate"), "19600202", "{set}");
    }

    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": veil.uid("2.25.100"), "wait_seconds": 60,
        "study_updates": { "AccessionNumber": veil.token("AccessionNumber", "A9") }
    });
    veil.confirmed("update_patient_study_metadata", asked).await;
    let study = json!({ "datastore_id": datastore, "study_instance_uid": "2.25.100" });
    let found = rig.call("search_by_study_uid", study).await;
    let set = &found["image_sets_metadata_summaries"][0];
    assert_eq!(tag(set, "DICOMAccessionNumber"), "A9", "{set}");

    let asked = json!({
        "datastore_id": datastore, "patient_id": id("MRN-4"), "erase_older_versions": true,
        "wait_seconds": 60
    });
    veil.confirmed("delete_patient_studies", asked).await;
    let asked = json!({ "datastore_id": datastore, "search_criteria": patient("MRN-4") });
    let found = rig.call("search_image_sets", asked).await;
    assert_eq!(found["image_sets_metadata_summaries"], json!([]), "{found}");
}

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

pub(crate) async fn guesses_find_nothing(rig: Rig) {
    let datastore = filled(&rig).await;
    let described = Phantom::ct()
        .size(32, 32)
        .patient("DOE^JANE", "MRN-1")
        .study_uid("2.25.102")
        .study_description("CHEST OF JANE DOE, MRN-1, 20240301")
        .series_description("LUNG JANE 2.25.102.1")
        .build();
    let described = PhantomFile { relative_path: "102.dcm".into(), bytes: described };
    rig.import(&datastore, [described]).await;
    let veil = Veil::new(&rig, false, Vec::new());
    // IDs, one that exists and one that does not; prefixes and wildcards; names.
    for guess in [
        "MRN-1",
        "MRN-999",
        "MRN*",
        "MRN-?",
        "*",
        "phi-00100020-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let mut messages = BTreeSet::new();
        for tool in [
            "search_by_patient_id",
            "get_patient_studies",
            "get_patient_dicomweb_studies",
            "delete_patient_studies",
        ] {
            let asked = json!({ "datastore_id": datastore, "patient_id": guess });
            let message = veil.refusal(tool, asked).await;
            assert!(
                message.contains("redact-token PatientID") && !message.contains(guess),
                "{message}"
            );
            messages.insert(message);
        }
        assert_eq!(messages.len(), 1, "{messages:?}");
        veil.refusal("search_image_sets", json!({ "search_criteria": patient(guess) })).await;
        let criteria = json!({ "patient_id": guess });
        let asked = json!({ "datastore_id": datastore, "criteria": criteria });
        veil.refusal("bulk_delete_by_criteria", asked).await;
    }
    for uid in ["2.25.100", "2.25.999"] {
        for tool in ["search_by_study_uid", "get_study_series", "delete_study"] {
            veil.refusal(tool, json!({ "datastore_id": datastore, "study_instance_uid": uid }))
                .await;
        }
    }
    for criteria in [
        json!({ "patient_name": "DOE^JANE" }),
        json!({ "accession_number": "A1" }),
        json!({ "study_id": "1" }),
        json!({ "study_date_from": "20240101" }),
        json!({ "study_date_and_time": { "from": "20240101" } }),
    ] {
        let asked = json!({ "datastore_id": datastore, "criteria": criteria });
        veil.refusal("bulk_delete_by_criteria", asked).await;
        let asked = json!({ "from_datastore": datastore, "to_datastore": datastore, "criteria": criteria, "dry_run": true });
        veil.refusal("transfer_studies", asked).await;
    }
    // Dates of all patients, by bisection and by order.
    let span = json!([
        { "DICOMStudyDateAndTime": { "DICOMStudyDate": "20240101" } },
        { "DICOMStudyDateAndTime": { "DICOMStudyDate": "20241231" } }
    ]);
    let criteria = json!({ "filters": [{ "values": span, "operator": "BETWEEN" }] });
    veil.refusal("search_image_sets", json!({ "search_criteria": criteria })).await;
    let sort = json!({ "sort": { "sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC" } });
    veil.refusal("search_image_sets", json!({ "search_criteria": sort })).await;
    // A filter of this server compares with what is shown, which the caller has already.
    let shown = |found: &Value| -> Vec<(String, String)> {
        let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
        let facts =
            |set: &Value| (set["image_set_id"].to_string(), tag(set, "DICOMStudyDate").to_owned());
        sets.iter()
            .filter(|set| set["dicom_tags"]["DICOMStudyDate"].is_string())
            .map(facts)
            .collect()
    };
    let everything = shown(&veil.call("search_image_sets", json!({})).await);
    for from in ["20140101", "20180101", "20200101", "20220301", "20240301", "20240302"] {
        let asked = json!({ "study_date_from": from });
        let found: BTreeSet<_> = match veil.try_call("search_image_sets", &asked).await {
            Ok(found) => shown(&found).into_iter().collect(),
            Err(_) => continue,
        };
        let expected = everything.iter().filter(|(_, date)| date.as_str() >= from).cloned();
        assert_eq!(found, expected.collect(), "{from}");
    }
    // Descriptions are searched as they are shown.
    for text in ["DOE", "JANE", "MRN-1", "2.25", "20240301"] {
        let found = veil.call("search_image_sets", json!({ "text": text })).await;
        assert_eq!(found["image_sets_metadata_summaries"], json!([]), "{text}: {found}");
    }
}

pub(crate) async fn tokens_open_as_their_attribute_only(rig: Rig) {
    let datastore = filled(&rig).await;
    let veil = Veil::new(&rig, false, ["DOE", "JANE", "MRN-1"].map(str::to_owned));
    let name = veil.token("PatientName", "DOE^JANE");
    let asked = json!({ "datastore_id": datastore, "patient_id": name });
    veil.refusal("search_by_patient_id", asked).await;
    let stranger = Veil::new(&rig, false, Vec::new()).token("PatientID", "MRN-1");
    let asked = json!({ "datastore_id": datastore, "patient_id": stranger });
    veil.refusal("search_by_patient_id", asked).await;

    // The token of a name in an attribute that is shown stays the token.
    let study = veil.uid("2.25.100");
    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": study, "wait_seconds": 60,
        "study_updates": { "StudyDescription": name }
    });
    veil.call("update_patient_study_metadata", asked).await;
    let found = rig.call("search_by_study_uid", json!({ "study_instance_uid": "2.25.100" })).await;
    let set = &found["image_sets_metadata_summaries"][0];
    assert_eq!(tag(set, "DICOMStudyDescription"), name, "{set}");
    veil.call("search_by_study_uid", json!({ "study_instance_uid": study })).await;

    // Values and masked texts are not written.
    for updates in [
        json!({ "AccessionNumber": "A7" }),
        json!({ "StudyDate": "20240101" }),
        json!({ "StudyDescription": "CT of ***" }),
    ] {
        let asked = json!({
            "datastore_id": datastore, "study_instance_uid": study, "study_updates": updates
        });
        veil.refusal("update_patient_study_metadata", asked).await;
    }
}

pub(crate) async fn dates_keep_their_intervals(rig: Rig) {
    filled(&rig).await;
    let veil = Veil::new(&rig, false, of_conversations());
    let asked =
        json!({ "search_criteria": patient(&veil.token("PatientID", "MRN-1")), "modality": "CT" });
    let found = veil.call("search_image_sets", asked).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    let day = |study: &str| {
        let of_study = |set: &&Value| tag(set, "DICOMStudyInstanceUID") == veil.uid(study);
        let set = sets.iter().find(of_study).unwrap();
        NaiveDate::parse_from_str(tag(set, "DICOMStudyDate"), "%Y%m%d").unwrap()
    };
    // From 2022-03-01 to 2024-03-01, with a leap day.
    assert_eq!((day("2.25.100") - day("2.25.101")).num_days(), 731);
    let real = NaiveDate::from_ymd_opt(2024, 3, 1).unwrap();
    assert_ne!(day("2.25.100"), real);
    // The token of a page holds what the results are sorted by: encrypted.
    let asked = json!({
        "search_criteria": {
            "filters": patient(&veil.token("PatientID", "MRN-1"))["filters"],
            "sort": { "sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC" }
        },
        "max_results": 1
    });
    let first = veil.call("search_image_sets", asked.clone()).await;
    let token = first["next_token"].as_str().unwrap();
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).unwrap();
    let token: Value = serde_json::from_slice(&token).unwrap();
    assert!(token["after"].as_str().unwrap().starts_with("phi-page-"), "{token}");
    let mut next = asked;
    next["next_token"] = first["next_token"].clone();
    let second = veil.call("search_image_sets", next).await;
    let id = |found: &Value| found["image_sets_metadata_summaries"][0]["image_set_id"].clone();
    assert_ne!(id(&first), id(&second));
    // Beside the token of a patient, a date is compared with what is shown.
    let later = day("2.25.101") + chrono::Days::new(1);
    let values = |date: NaiveDate| json!({ "DICOMStudyDateAndTime": { "DICOMStudyDate": date.format("%Y%m%d").to_string() } });
    let mut criteria = patient(&veil.token("PatientID", "MRN-1"));
    // A day without a time is its midnight.
    let end = day("2.25.100") + chrono::Days::new(1);
    let span = json!({ "values": [values(later), values(end)], "operator": "BETWEEN" });
    criteria["filters"].as_array_mut().unwrap().push(span);
    let found = veil
        .call("search_image_sets", json!({ "search_criteria": criteria, "modality": "CT" }))
        .await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    let studies: BTreeSet<_> =
        sets.iter().map(|set| tag(set, "DICOMStudyInstanceUID").to_owned()).collect();
    assert_eq!(studies, BTreeSet::from([veil.uid("2.25.100")]), "{found}");
}
