//! Exports that are de-identified: what they hold and name, and what they hold back.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use healthimaging_phantoms::{Phantom, PhantomFile, Tag, VR};
use serde_json::{Value, json};

use crate::export::{file, slice};
use crate::rig::{Rig, files_below, uri};

/// Part of every planted value.
const SECRET: &str = "SECRET";

/// A finished export.
struct Exported {
    job: Value,
    root: PathBuf,
}

impl Exported {
    /// Files and objects by path below the output, in order.
    fn objects(&self) -> Vec<(String, DefaultDicomObject)> {
        let mut files = files_below(&self.root);
        files.sort();
        let files =
            files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "dcm"));
        files
            .map(|path| {
                let name = path.strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned();
                (name, dicom_object::open_file(&path).unwrap())
            })
            .collect()
    }

    fn outcome(&self) -> PathBuf {
        let folder = format!(
            "{}-DicomExport-{}",
            self.job["datastore_id"].as_str().unwrap(),
            self.job["job_id"].as_str().unwrap()
        );
        self.root.join(folder)
    }

    fn report(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.outcome().join("DEIDENTIFICATION/report.ndjson"));
        text.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn summary(&self) -> String {
        std::fs::read_to_string(self.outcome().join("DEIDENTIFICATION/summary.md")).unwrap()
    }

    /// Fails if a text is in a file or a name.
    fn holds_nowhere(&self, text: &str) {
        for path in files_below(&self.root) {
            let below = path.strip_prefix(&self.root).unwrap().to_str().unwrap();
            assert!(!below.contains(text), "{text} is in the name of a file");
            let content = std::fs::read(&path).unwrap();
            let found = content.windows(text.len()).any(|some| some == text.as_bytes());
            assert!(!found, "{text} is in {}", Path::new(below).display());
        }
    }
}

async fn export(rig: &Rig, datastore: &str, asked: Value) -> Exported {
    let root = tempfile::tempdir_in(rig.allowed()).unwrap().keep();
    let mut arguments = json!({
        "datastore_id": datastore, "output_s3_uri": uri(&root), "wait_seconds": 120,
    });
    arguments.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    let job = rig.call("start_dicom_export_job", arguments).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    Exported { job, root }
}

fn basic(options: &[&str]) -> Value {
    json!({ "deidentify": { "profile": "basic", "options": options } })
}

fn item(tag: Tag, vr: VR, value: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    item.put_str(tag, vr, value);
    item
}

fn secret(what: &str) -> String {
    format!("{SECRET}{what}")
}

/// Values that identify a patient, in places where a simple program does not look.
fn planted() -> Vec<PhantomFile> {
    let identified = |phantom: Phantom| {
        phantom
            .patient(&secret("NAME^JANE"), &secret("-MRN-1"))
            .accession_number(&secret("ACC1"))
            .study_description("STUDY of SECRETNAME")
            .with(tags::INSTITUTION_NAME, VR::LO, secret("HOSPITAL").as_str())
            .private(0x0009, "SECRETCREATOR", 0x10, VR::LO, secret("PRIVATE").as_str())
    };
    let nested = || {
        let mut request = item(tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, "PROC of SECRETNAME");
        let requester = item(tags::PERSON_NAME, VR::PN, &secret("REQUESTER"));
        request.put_element(dicom_core::DataElement::new(
            tags::REQUESTING_PHYSICIAN_IDENTIFICATION_SEQUENCE,
            VR::SQ,
            dicom_core::value::DataSetSequence::from(vec![requester]),
        ));
        request
    };
    let mut icon = item(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    icon.put_element(dicom_core::DataElement::new(
        tags::PIXEL_DATA,
        VR::OB,
        dicom_core::PrimitiveValue::from(secret("ICON").into_bytes()),
    ));
    let image = identified(slice(1))
        .with_sequence(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![nested()])
        .with_sequence(tags::ICON_IMAGE_SEQUENCE, vec![icon])
        .with(Tag(0x6000, 0x0022), VR::LO, secret("OVERLAY").as_str())
        .with(
            Tag(0x6000, 0x3000),
            VR::OB,
            dicom_core::PrimitiveValue::from(secret("BITMAP").into_bytes()),
        );
    let mut text = item(tags::VALUE_TYPE, VR::CS, "TEXT");
    text.put_str(tags::TEXT_VALUE, VR::UT, "FINDING of SECRETNAME");
    let report = identified(Phantom::report().seed(2)).study_uid("2.25.1");
    let report = report.with_sequence(tags::CONTENT_SEQUENCE, vec![text]);
    let pdf = identified(Phantom::report().seed(3))
        .study_uid("2.25.1")
        .with(tags::SOP_CLASS_UID, VR::UI, uids::ENCAPSULATED_PDF_STORAGE)
        .with(
            tags::ENCAPSULATED_DOCUMENT,
            VR::OB,
            dicom_core::PrimitiveValue::from(secret("PDF!").into_bytes()),
        );
    vec![file("1.dcm", image), file("2.dcm", report), file("3.dcm", pdf)]
}

pub(crate) async fn nothing_planted_is_in_a_deidentified_export(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, planted()).await;
    for options in [
        &[][..],
        &["clean-descriptors", "clean-structured-content", "clean-graphics", "retain-safe-private"],
    ] {
        let exported = export(&rig, &datastore, basic(options)).await;
        assert_eq!(exported.job["files_held_back"], 1, "the PDF: {}", exported.job);
        assert_eq!(exported.objects().len(), 2);
        exported.holds_nowhere(SECRET);
        for uid in ["2.25.1.1.1", "2.25.1.1"] {
            exported.holds_nowhere(uid);
        }
    }
    // What the test plants is what a plain export holds.
    let plain = export(&rig, &datastore, json!({})).await;
    let contents: Vec<_> =
        files_below(&plain.root).into_iter().map(|path| std::fs::read(path).unwrap()).collect();
    for text in [
        "SECRETNAME^JANE",
        "SECRET-MRN-1",
        "SECRETPRIVATE",
        "PROC of SECRETNAME",
        "SECRETREQUESTER",
        "SECRETICON",
        "SECRETOVERLAY",
        "SECRETBITMAP",
        "FINDING of SECRETNAME",
        "SECRETPDF!",
    ] {
        let holds =
            |content: &Vec<u8>| content.windows(text.len()).any(|some| some == text.as_bytes());
        assert!(contents.iter().any(holds), "{text} was never there");
    }
}

pub(crate) async fn new_uids_are_the_same_in_every_export_and_pixels_stay(rig: Rig) {
    let datastore = rig.datastore().await;
    let slices = (1..=3).map(|number| file(&format!("{number}.dcm"), slice(number)));
    rig.import(&datastore, slices).await;
    let explicit = |options: &[&str]| {
        let mut asked = basic(options);
        asked["transfer_syntax_uid"] = json!(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        asked
    };
    let first = export(&rig, &datastore, explicit(&["clean-pixel-data"])).await;
    let again = export(&rig, &datastore, explicit(&["retain-modified-dates"])).await;
    let names = |exported: &Exported| {
        exported.objects().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), names(&again));
    let plain = json!({ "transfer_syntax_uid": uids::EXPLICIT_VR_LITTLE_ENDIAN });
    let plain = export(&rig, &datastore, plain).await.objects();
    let mut pixels = Vec::new();
    for (name, object) in first.objects() {
        let text = |tag| object.element(tag).unwrap().to_str().unwrap().trim().to_owned();
        let [study, series, sop] =
            [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID].map(text);
        assert_eq!(name, format!("{study}/{series}/{sop}.dcm"));
        assert_eq!(object.meta().media_storage_sop_instance_uid(), sop);
        assert_eq!(text(tags::PATIENT_IDENTITY_REMOVED), "YES");
        assert_eq!(text(tags::BURNED_IN_ANNOTATION), "NO");
        let number = text(tags::INSTANCE_NUMBER);
        pixels.push((
            number,
            object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned(),
        ));
    }
    pixels.sort();
    let mut expected: Vec<_> = plain
        .iter()
        .map(|(_, object)| {
            let number =
                object.element(tags::INSTANCE_NUMBER).unwrap().to_str().unwrap().trim().to_owned();
            (number, object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned())
        })
        .collect();
    expected.sort();
    assert_eq!(pixels, expected);

    let report = first.report();
    assert_eq!(report.len(), 3);
    for line in &report {
        assert_eq!(line["result"], "written");
        assert_eq!(line["pixels"], "unchanged");
        let new_uids = line["attributes"]["new_uid"].as_array().unwrap();
        assert!(new_uids.contains(&json!("SOPInstanceUID")), "{line}");
    }
    let summary = first.summary();
    for stated in [
        "clean-pixel-data",
        "2025-01-28",
        "| written, pixels unchanged | 3 |",
        "| held back: not written | 0 |",
        "| PatientName | ",
    ] {
        assert!(summary.contains(stated), "{stated} is not in {summary}");
    }
    let said = first.job["summary"].as_str().unwrap();
    assert!(said.ends_with("Files written: 3; failed: 0; held back: 0."), "{said}");
    assert_eq!(first.job["deidentify"]["profile"], "basic");
}

fn number(vr: VR, value: u32) -> dicom_core::PrimitiveValue {
    match vr {
        VR::UL => dicom_core::PrimitiveValue::from(value),
        _ => dicom_core::PrimitiveValue::from(u16::try_from(value).unwrap()),
    }
}

/// A loop of 20 rows of 30 with one region: columns 5 to 14, rows 4 to 9.
pub(crate) fn echo() -> Phantom {
    let mut region = InMemDicomObject::new_empty();
    for (tag, value) in [
        (tags::REGION_LOCATION_MIN_X0, 5),
        (tags::REGION_LOCATION_MIN_Y0, 4),
        (tags::REGION_LOCATION_MAX_X1, 14),
        (tags::REGION_LOCATION_MAX_Y1, 9),
    ] {
        region.put_element(dicom_core::DataElement::new(tag, VR::UL, number(VR::UL, value)));
    }
    let pixels: Vec<u8> =
        (0..2 * 20 * 30 * 3_u32).map(|at| u8::try_from(at % 250 + 1).unwrap()).collect();
    Phantom::ultrasound()
        .size(20, 30)
        .frames(2)
        .pixels(pixels)
        .with_sequence(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, vec![region])
}

pub(crate) async fn ultrasound_is_black_outside_of_its_regions(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [file("1.dcm", echo())]).await;
    let held = export(&rig, &datastore, basic(&[])).await;
    assert_eq!(held.job["files_held_back"], 1, "clean-pixel-data is not in force");
    assert_eq!(held.objects().len(), 0);
    assert_eq!(held.report()[0]["reason"], "not_blanked");
    let exported = export(&rig, &datastore, basic(&["clean-pixel-data"])).await;
    let objects = exported.objects();
    let [(_, object)] = objects.as_slice() else { panic!("not one file: {}", exported.job) };
    assert_eq!(object.meta().transfer_syntax(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let text = |tag| object.element(tag).unwrap().to_str().unwrap().trim().to_owned();
    assert_eq!(text(tags::BURNED_IN_ANNOTATION), "NO");
    assert!(text(tags::IMAGE_TYPE).starts_with("DERIVED\\"));
    assert_eq!(text(tags::PHOTOMETRIC_INTERPRETATION), "RGB");
    let pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    assert_eq!(pixels.len(), 2 * 20 * 30 * 3);
    for (at, sample) in pixels.iter().enumerate() {
        let (column, row) = (at / 3 % 30, at / 90 % 20);
        let is_inside = (5..=14).contains(&column) && (4..=9).contains(&row);
        let expected = if is_inside { at % 250 + 1 } else { 0 };
        assert_eq!(usize::from(*sample), expected, "column {column}, row {row}");
    }
    assert_eq!(exported.report()[0]["pixels"], "blanked");
    assert!(exported.summary().contains("stored without compression | 1 |"));
}

pub(crate) async fn what_may_show_text_is_held_back_and_listed(rig: Rig) {
    let datastore = rig.datastore().await;
    let capture = slice(2).with(tags::MODALITY, VR::CS, "OT").series_uid("2.25.1.2");
    let stated = slice(3).with(tags::BURNED_IN_ANNOTATION, VR::CS, "YES").series_uid("2.25.1.3");
    rig.import(
        &datastore,
        [file("1.dcm", slice(1)), file("2.dcm", capture), file("3.dcm", stated)],
    )
    .await;
    let exported = export(&rig, &datastore, basic(&["clean-pixel-data"])).await;
    assert_eq!(exported.objects().len(), 1);
    assert_eq!(exported.job["files_held_back"], 2);
    assert_eq!(exported.job["files_failed"], 0);
    let held = exported.report().into_iter().filter(|line| line["result"] == "held_back");
    let mut reasons: Vec<_> =
        held.map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    assert_eq!(reasons, ["burned_in_annotation", "capture"]);
    assert!(exported.summary().contains("| held back: not written | 2 |"));
    let manifest = std::fs::read_to_string(exported.outcome().join("job-output-manifest.json"));
    let manifest: Value = serde_json::from_str(&manifest.unwrap()).unwrap();
    assert_eq!(manifest["jobSummary"]["numberOfFilesHeldBack"], 2);
    assert_eq!(manifest["jobSummary"]["numberOfExportedFiles"], 1);
    assert!(!manifest.to_string().contains("file://"), "a path may name a patient: {manifest}");
}

pub(crate) async fn options_that_cannot_be_in_force_are_refused(rig: Rig) {
    let datastore = rig.datastore().await;
    let refuse = async |deidentify: Value, kind: &str| {
        let asked = json!({
            "datastore_id": datastore, "output_s3_uri": uri(&rig.allowed()), "deidentify": deidentify,
        });
        rig.refusal("start_dicom_export_job", asked, kind).await
    };
    let invalid = "validation_error";
    let error = refuse(json!({ "profile": "hipaa" }), invalid).await;
    assert!(error.contains("use basic"), "{error}");
    let unknown = json!({ "profile": "basic", "options": ["clean-everything"] });
    let error = refuse(unknown, invalid).await;
    assert!(error.contains("clean-pixel-data, clean-graphics"), "{error}");
    assert!(!error.contains("clean-everything"), "{error}");
    let both =
        json!({ "profile": "basic", "options": ["retain-full-dates", "retain-modified-dates"] });
    let error = refuse(both, invalid).await;
    assert!(error.contains("exclude each other"), "{error}");
    let faces = json!({ "profile": "basic", "options": ["clean-visual-features"] });
    let error = refuse(faces, invalid).await;
    assert!(error.contains("defacing"), "{error}");
    refuse(json!({ "profile": "basic", "key": "00" }), invalid).await;
    refuse(json!({ "profile": "basic", "options": "clean pixels" }), invalid).await;
}
