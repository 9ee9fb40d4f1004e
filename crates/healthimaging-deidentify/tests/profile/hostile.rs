//! Identifying values in places where none should be.

use healthimaging::ErrorKind;
use healthimaging_deidentify::Instance;
use healthimaging_dicom::{DataSet, Element, Value};
use healthimaging_phantoms::{Phantom, PrimitiveValue, Tag, VR, tags, uids};

use super::{data_set, deidentifier, instance, items, read, run, text};

/// Every set of options that keeps more than the Basic Profile.
pub(crate) const KEEPING: [&str; 10] = [
    "clean-pixel-data",
    "clean-graphics",
    "clean-structured-content",
    "clean-descriptors",
    "retain-full-dates",
    "retain-patient-characteristics",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-uids",
    "retain-safe-private",
];

/// `Planted` is the family name of the patient.
fn gone(elements: impl IntoIterator<Item = (Tag, Element)>) {
    let made = instance(elements);
    for options in [&[][..], &KEEPING] {
        let done = run(made.clone(), options);
        let shown = format!("{:?}{:?}", done.data_set, done.meta);
        assert!(!shown.contains("Planted") && !shown.contains("PLANTED"), "{shown}");
        let report = serde_json::to_string(&done.report).unwrap();
        assert!(!report.to_uppercase().contains("PLANTED"), "{report}");
    }
}

fn bytes(bytes: &[u8]) -> Element {
    Element { vr: VR::OB, value: Value::Bytes(bytes.to_vec()) }
}

#[test]
fn private_elements_at_any_depth() {
    let private = [
        (Tag(0x0009, 0x0010), text(VR::LO, "Planted")),
        (Tag(0x0009, 0x1001), text(VR::PN, "Planted^Person")),
        (Tag(0x0009, 0x1002), items(vec![data_set([(tags::MODALITY, text(VR::CS, "PLANTED"))])])),
        (Tag(0x7FE1, 0x1010), bytes(b"Planted")),
    ];
    gone(private.clone());
    gone([(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, items(vec![data_set(private)]))]);
}

#[test]
fn elements_of_no_known_kind_or_of_another_kind() {
    gone([(Tag(0x0008, 0x0FFE), text(VR::LO, "Planted"))]);
    gone([(Tag(0x0666, 0x0002), text(VR::LO, "Planted"))]);
    gone([(Tag(0x0000, 0x0002), text(VR::UI, "Planted"))]);
    gone([(Tag(0x0004, 0x1500), text(VR::CS, "PLANTED"))]);
    gone([(tags::ROWS, text(VR::LO, "Planted"))]);
    gone([(tags::PIXEL_SPACING, text(VR::DS, "Planted"))]);
    gone([(tags::BODY_PART_EXAMINED, text(VR::CS, "PLANTED"))]);
    gone([(
        tags::BODY_PART_EXAMINED,
        Element { vr: VR::UN, value: Value::Bytes(b"Planted".to_vec()) },
    )]);
    gone([(tags::SOP_CLASS_UID, text(VR::UI, "Planted"))]);
    gone([(tags::STUDY_DATE, text(VR::UN, "Planted"))]);
    gone([(tags::PATIENT_SEX, text(VR::LO, "Planted"))]);
    // A code string by the dictionary, and a date by the file.
    gone([(Tag(0x0018, 0x7000), text(VR::DA, "Planted"))]);
    gone([(
        tags::PATIENT_NAME,
        items(vec![data_set([(tags::PATIENT_NAME, text(VR::PN, "Planted"))])]),
    )]);
}

#[test]
fn text_without_an_action() {
    gone([(tags::SEQUENCE_NAME, text(VR::SH, "t1 planted".replace("pl", "Pl").as_str()))]);
    gone([(tags::SEGMENT_LABEL, text(VR::LO, "Liver of Planted"))]);
    gone([(
        tags::ANATOMIC_REGION_SEQUENCE,
        items(vec![data_set([(tags::CODE_MEANING, text(VR::LO, "Head of Planted"))])]),
    )]);
    gone([(tags::ICC_PROFILE, bytes(b"\0\0Planted\0"))]);
    gone([(
        Tag(0x0040, 0x0440),
        items(vec![data_set([(tags::TEXT_VALUE, text(VR::UT, "Planted"))])]),
    )]);
}

#[test]
fn overlays_curves_icons_and_nested_pixels() {
    for group in [0x6000, 0x6002, 0x601E, 0x60FE] {
        gone([
            (Tag(group, 0x0040), text(VR::CS, "R")),
            (Tag(group, 0x0022), text(VR::LO, "of Planted")),
            (Tag(group, 0x4000), text(VR::LT, "Planted")),
            (Tag(group, 0x3000), bytes(b"Planted")),
        ]);
    }
    for group in [0x5000, 0x5002, 0x501E] {
        gone([
            (Tag(group, 0x0022), text(VR::LO, "Planted")),
            (Tag(group, 0x3000), bytes(b"Planted")),
            (Tag(group, 0x2000), bytes(b"Planted")),
        ]);
    }
    let pixels = data_set([(tags::PIXEL_DATA, bytes(b"Planted"))]);
    gone([(tags::ICON_IMAGE_SEQUENCE, items(vec![pixels.clone()]))]);
    let done = run(instance([(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, items(vec![pixels]))]), &[]);
    assert!(!format!("{:?}", done.data_set).contains("7FE0"), "nested pixel data is removed");
}

#[test]
fn retained_attributes_that_name_the_patient() {
    gone([
        (tags::INSTITUTION_NAME, text(VR::LO, "Planted Clinic")),
        (tags::STATION_NAME, text(VR::SH, "PLANTED")),
        (tags::SMOKING_STATUS, text(VR::CS, "PLANTED")),
        (tags::DEVICE_SERIAL_NUMBER, text(VR::LO, "Planted-1")),
    ]);
}

#[test]
fn documents() {
    let made = |mime: &str| {
        instance([
            (tags::SOP_CLASS_UID, text(VR::UI, uids::ENCAPSULATED_PDF_STORAGE)),
            (tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, text(VR::LO, mime)),
            (tags::ENCAPSULATED_DOCUMENT, bytes(b"%PDF-1.7 Planted")),
            (
                tags::ENCAPSULATED_DOCUMENT_LENGTH,
                Element { vr: VR::UL, value: Value::Unsigned(vec![16]) },
            ),
            (tags::DOCUMENT_TITLE, text(VR::ST, "Letter about Planted")),
        ])
    };
    gone(made("application/pdf").elements);
    let done = run(made("application/pdf"), &[]).data_set;
    let Some(Value::Bytes(document)) = done.value(tags::ENCAPSULATED_DOCUMENT) else {
        panic!("a document is present")
    };
    assert!(document.starts_with(b"%PDF-") && document.ends_with(b"%%EOF\n"));
    let length = done.integer(tags::ENCAPSULATED_DOCUMENT_LENGTH);
    assert_eq!(length, i64::try_from(document.len()).ok());
    let done = run(made("text/XML"), &[]).data_set;
    assert_eq!(done.value(tags::ENCAPSULATED_DOCUMENT), Some(&Value::Bytes(vec![0, 0])));
}

#[test]
fn values_that_stay_in_the_source() {
    let large = Value::Bulk { offset: 1000, length: 2 << 20 };
    let made = |tag, vr| instance([(tag, Element { vr, value: large.clone() })]);
    for (tag, vr) in [
        (tags::TEXT_VALUE, VR::UT),
        (tags::IMAGE_COMMENTS, VR::LT),
        (tags::SEGMENT_DESCRIPTION, VR::UT),
        (tags::ENCAPSULATED_DOCUMENT, VR::OB),
        (Tag(0x0029, 0x1010), VR::OB),
        (Tag(0x6000, 0x3000), VR::OW),
    ] {
        for options in [&[][..], &["clean-descriptors", "clean-structured-content"]] {
            let done = run(made(tag, vr), options).data_set;
            let found = done.value(tag);
            assert!(!matches!(found, Some(Value::Bulk { .. })), "{tag}");
        }
    }
    // Bulk data that the standard trusts stays where it is.
    let done = run(made(tags::WAVEFORM_DATA, VR::OW), &[]).data_set;
    assert_eq!(done.value(tags::WAVEFORM_DATA), Some(&large));
}

#[test]
fn depth_beyond_any_reader() {
    let mut inner = data_set([(tags::SEGMENT_LABEL, text(VR::LO, "deep Planted"))]);
    for _ in 0..300 {
        inner = data_set([(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, items(vec![inner]))]);
    }
    gone(inner.elements);
}

#[test]
fn file_meta_information_is_replaced() {
    let file = Phantom::ct()
        .patient("Planted^Person", "PLANTED-1")
        .size(16, 16)
        .with(tags::SERIES_DESCRIPTION, VR::LO, PrimitiveValue::from("of Planted"))
        .build();
    let mut source = read(file);
    source.meta.elements.extend([
        (tags::SOURCE_APPLICATION_ENTITY_TITLE, text(VR::AE, "PLANTED")),
        (tags::SENDING_APPLICATION_ENTITY_TITLE, text(VR::AE, "PLANTED")),
        (tags::PRIVATE_INFORMATION_CREATOR_UID, text(VR::UI, "1.2.3")),
        (tags::PRIVATE_INFORMATION, bytes(b"Planted")),
    ]);
    let sop_uid = source.data_set.text(tags::SOP_INSTANCE_UID).unwrap().to_owned();
    let done = deidentifier(&[]).deidentify(source).unwrap();
    let meta: Vec<_> = done.meta.elements.keys().copied().collect();
    assert_eq!(
        meta,
        [
            tags::MEDIA_STORAGE_SOP_CLASS_UID,
            tags::MEDIA_STORAGE_SOP_INSTANCE_UID,
            tags::TRANSFER_SYNTAX_UID
        ]
    );
    let new = done.data_set.text(tags::SOP_INSTANCE_UID).unwrap();
    assert_eq!(done.meta.text(tags::MEDIA_STORAGE_SOP_INSTANCE_UID), Some(new));
    let shown = format!("{:?}{:?}", done.data_set, done.meta);
    assert!(!shown.to_uppercase().contains("PLANTED") && !shown.contains(&sop_uid));
}

#[test]
fn directories_of_media_are_refused() {
    let records = items(vec![data_set([(tags::PATIENT_NAME, text(VR::PN, "Planted"))])]);
    let directory = data_set([(tags::DIRECTORY_RECORD_SEQUENCE, records)]);
    let class = uids::MEDIA_STORAGE_DIRECTORY_STORAGE;
    let meta = data_set([(tags::MEDIA_STORAGE_SOP_CLASS_UID, text(VR::UI, class))]);
    for instance in [
        Instance { data_set: directory, ..Instance::default() },
        Instance { meta, ..Instance::default() },
    ] {
        let error = deidentifier(&[]).deidentify(instance).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(!error.to_string().contains("Planted"));
    }
}

#[test]
fn an_empty_data_set_gets_the_statements_only() {
    let done = run(DataSet::default(), &[]);
    assert!(done.data_set.elements.keys().all(|tag| matches!(tag.group(), 0x0012 | 0x0028)));
    assert!(done.meta.elements.is_empty());
}

#[test]
fn the_report_names_attributes_and_counts() {
    let done = run(
        instance([
            (Tag(0x0009, 0x0010), text(VR::LO, "CREATOR")),
            (Tag(0x0009, 0x1001), text(VR::LO, "value")),
        ]),
        &["clean-descriptors"],
    );
    let report = serde_json::to_value(&done.report).unwrap();
    assert_eq!(report["profile"], "basic");
    assert_eq!(report["options"], serde_json::json!(["clean-descriptors"]));
    let attributes = report["attributes"].as_array().unwrap();
    let line = |tag: &str| attributes.iter().find(|line| line["tag"] == tag).unwrap();
    assert_eq!(line("(0010,0010)")["keyword"], "PatientName");
    assert_eq!(line("(0010,0010)")["outcome"], "replaced");
    assert_eq!(line("(0008,0018)")["outcome"], "new_uid");
    assert_eq!(line("(0009,xxxx)")["count"], 2);
    let mut sum = done.report.clone();
    sum.add(&done.report);
    assert_eq!(sum.instances, 2);
    let doubled = sum.attributes();
    assert!(doubled.iter().all(|line| line.count % 2 == 0));
}
