//! Options: what is refused, what is stated, what stays.

use healthimaging::ErrorKind;
use healthimaging_deidentify::{Profile, ProfileOption};
use healthimaging_dicom::{Element, Value};
use healthimaging_phantoms::{Tag, VR, tags};

use super::{data_set, instance, items, run, text};

#[test]
fn unknown_and_contradicting_options_are_refused() {
    let refused = |profile, options: &[&str]| Profile::parse(profile, options).unwrap_err();
    for error in [
        refused("full", &[]),
        refused("basic", &["Jane Doe"]),
        refused("basic", &["clean-pixel-data", ""]),
        refused("basic", &["retain-full-dates", "retain-modified-dates"]),
    ] {
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(!error.to_string().contains("Jane"));
    }
    let error = refused("basic", &["clean-visual-features"]);
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert!(error.to_string().contains("faces"), "{error}");
    for option in ProfileOption::ALL {
        assert!(Profile::parse("basic", [option.name()]).unwrap().has(option));
    }
}

/// Codes of CID 7050 as PS3.16 has them.
#[test]
fn the_method_is_stated_in_codes() {
    let codes = [
        ("113101", "clean-pixel-data"),
        ("113103", "clean-graphics"),
        ("113104", "clean-structured-content"),
        ("113105", "clean-descriptors"),
        ("113106", "retain-full-dates"),
        ("113107", "retain-modified-dates"),
        ("113108", "retain-patient-characteristics"),
        ("113109", "retain-device-identity"),
        ("113110", "retain-uids"),
        ("113111", "retain-safe-private"),
        ("113112", "retain-institution-identity"),
    ];
    for (code, option) in codes {
        let done = run(instance([]), &[option]).data_set;
        let Some(Value::Items(items)) = done.value(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
        else {
            panic!("the codes are present")
        };
        let found: Vec<_> = items.iter().map(|item| item.text(tags::CODE_VALUE)).collect();
        assert_eq!(found, [Some("113100"), Some(code)]);
        assert!(items.iter().all(|item| item.text(tags::CODING_SCHEME_DESIGNATOR) == Some("DCM")));
        assert_eq!(done.text(tags::PATIENT_IDENTITY_REMOVED), Some("YES"));
        let method = done.text(tags::DEIDENTIFICATION_METHOD).unwrap();
        assert!(method.split('\\').all(|value| value.len() <= 64));
    }
}

#[test]
fn a_second_pass_adds_to_the_statements_of_the_first() {
    let first = run(instance([]), &["retain-uids"]).data_set;
    let second = run(first.clone(), &["clean-descriptors"]).data_set;
    let codes = format!("{:?}", second.value(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE));
    for code in ["113100", "113110", "113105"] {
        assert_eq!(codes.matches(code).count(), 1, "{code}");
    }
    assert_eq!(
        first.value(tags::DEIDENTIFICATION_METHOD),
        second.value(tags::DEIDENTIFICATION_METHOD)
    );
}

#[test]
fn safe_private_elements_stay_with_their_creators() {
    let made = instance([
        (Tag(0x0019, 0x0010), text(VR::LO, "SIEMENS MR HEADER")),
        (Tag(0x0019, 0x100C), text(VR::IS, "1000")),
        // Not in the list.
        (Tag(0x0019, 0x1008), text(VR::CS, "IMAGE NUM 4")),
        // The element is in the list, the block is another's.
        (Tag(0x0019, 0x0011), text(VR::LO, "SOMEBODY ELSE")),
        (Tag(0x0019, 0x110C), text(VR::IS, "1000")),
        (Tag(0x0019, 0x120C), text(VR::IS, "1000")),
        (Tag(0x0043, 0x0010), text(VR::LO, "GEMS_PARM_01")),
        // Not of the form that the list says.
        (Tag(0x0043, 0x1027), text(VR::SH, "Planted Person")),
        (Tag(0x0043, 0x1039), text(VR::IS, "Planted")),
        (Tag(0x7053, 0x0010), text(VR::LO, "Philips PET Private Group")),
        // As it comes out of implicit VR.
        (Tag(0x7053, 0x1000), Element { vr: VR::UN, value: Value::Bytes(b"0.000551".to_vec()) }),
    ]);
    let private = |options: &[&str]| {
        let done = run(made.clone(), options).data_set;
        let private = done.elements.into_iter().filter(|(tag, _)| tag.group() % 2 == 1);
        private.map(|(tag, element)| (tag, element.vr)).collect::<Vec<_>>()
    };
    assert_eq!(private(&[]), []);
    assert_eq!(
        private(&["retain-safe-private"]),
        [
            (Tag(0x0019, 0x0010), VR::LO),
            (Tag(0x0019, 0x100C), VR::IS),
            (Tag(0x7053, 0x0010), VR::LO),
            (Tag(0x7053, 0x1000), VR::DS),
        ]
    );
}

#[test]
fn clean_graphics_keeps_graphics_without_text() {
    let made = instance([
        (Tag(0x6000, 0x0040), text(VR::CS, "R")),
        (Tag(0x6000, 0x1500), text(VR::LO, "ROI of Planted")),
        (Tag(0x6000, 0x3000), Element { vr: VR::OW, value: Value::Bytes(vec![1, 0]) }),
        (Tag(0x6002, 0x0040), text(VR::CS, "G")),
        (Tag(0x6002, 0x3000), Element { vr: VR::OW, value: Value::Bytes(vec![1, 0]) }),
        (Tag(0x5000, 0x0020), text(VR::CS, "ROI")),
        (Tag(0x5000, 0x2500), text(VR::LO, "curve of Planted")),
        (Tag(0x5000, 0x200C), Element { vr: VR::OW, value: Value::Bytes(vec![1, 0]) }),
        (
            tags::GRAPHIC_ANNOTATION_SEQUENCE,
            items(vec![data_set([
                (tags::GRAPHIC_LAYER, text(VR::CS, "LAYER")),
                (
                    tags::TEXT_OBJECT_SEQUENCE,
                    items(vec![data_set([(
                        tags::UNFORMATTED_TEXT_VALUE,
                        text(VR::ST, "Mass, Planted"),
                    )])]),
                ),
            ])]),
        ),
    ]);
    let basic = run(made.clone(), &[]).data_set;
    assert!(basic.elements.keys().all(|tag| !matches!(tag.group(), 0x5000..=0x60FF)));
    let annotation = format!("{:?}", basic.value(tags::GRAPHIC_ANNOTATION_SEQUENCE));
    assert!(annotation.contains("LAYER") && annotation.contains("POINT"));
    assert!(!annotation.contains("Mass"));
    let cleaned = run(made, &["clean-graphics"]).data_set;
    let groups: Vec<_> =
        cleaned.elements.keys().filter(|tag| tag.group() >= 0x5000).copied().collect();
    assert_eq!(
        groups,
        [
            Tag(0x5000, 0x0020),
            Tag(0x5000, 0x2500),
            Tag(0x6000, 0x0040),
            Tag(0x6000, 0x1500),
            Tag(0x6000, 0x3000)
        ]
    );
    assert_eq!(cleaned.text(Tag(0x6000, 0x1500)), Some("ROI of ***"));
    let annotation = format!("{:?}", cleaned.value(tags::GRAPHIC_ANNOTATION_SEQUENCE));
    assert!(annotation.contains("Mass, ***"));
}
