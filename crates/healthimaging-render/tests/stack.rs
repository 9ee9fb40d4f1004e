//! The order of the frames of a series, and the letters at their edges, by PS3.3 §C.7.6.2.1.1.
#![expect(clippy::unwrap_used, reason = "a test may")]

use healthimaging::Uid;
use healthimaging_dicom::DocumentText;
use healthimaging_render::{
    FrameSelector, RenderError, Slice, SliceOrder, find_frame, slices, slices_and_geometry,
};
use serde_json::{Map, Value, json};

/// A document of one series with these instances, each with as many stored frames as it has.
fn document(instances: &[(&str, Value)]) -> DocumentText {
    let instances: Map<String, Value> = instances
        .iter()
        .map(|(uid, attributes)| {
            let frames = attributes["NumberOfFrames"].as_u64().unwrap_or(1);
            let frame = json!({ "ID": "5c0ffee05c0ffee05c0ffee05c0ffee0" });
            let frames = vec![frame; usize::try_from(frames).unwrap()];
            ((*uid).to_owned(), json!({ "DICOM": attributes, "ImageFrames": frames }))
        })
        .collect();
    let whole = json!({
        "Patient": { "DICOM": {} },
        "Study": { "DICOM": {}, "Series": { "2.25.2": { "DICOM": {}, "Instances": instances } } },
    });
    DocumentText::read(whole.to_string().into()).unwrap()
}

fn order(document: &DocumentText) -> Vec<(String, u32)> {
    let found = slices(document, None).unwrap();
    found
        .into_iter()
        .map(|Slice { sop_instance_uid: uid, frame_number }| (uid, frame_number))
        .collect()
}

fn uids(instances: &[(&str, Value)]) -> Vec<String> {
    order(&document(instances)).into_iter().map(|(uid, _)| uid).collect()
}

fn slice(number: u32, z: f64) -> Value {
    json!({
        "Rows": 2, "InstanceNumber": number.to_string(),
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "ImagePositionPatient": ["-5", "7", z.to_string()],
    })
}

#[test]
fn parallel_slices_are_ordered_by_their_position_in_the_direction_of_the_scanner() {
    let scattered =
        [("2.25.10", slice(1, 0.0)), ("2.25.11", slice(3, 2.0)), ("2.25.12", slice(2, 1.0))];
    assert_eq!(uids(&scattered), ["2.25.10", "2.25.12", "2.25.11"]);
    // From the head to the feet: numbers fall with the position.
    let falling =
        [("2.25.10", slice(3, -9.5)), ("2.25.11", slice(1, 10.0)), ("2.25.12", slice(2, 2.0))];
    assert_eq!(uids(&falling), ["2.25.11", "2.25.12", "2.25.10"]);
    // Numbers that contradict the positions do not count, but where two slices lie at one.
    let doubled =
        [("2.25.10", slice(2, 1.0)), ("2.25.11", slice(1, 1.0)), ("2.25.12", slice(9, 4.0))];
    assert_eq!(uids(&doubled), ["2.25.11", "2.25.10", "2.25.12"]);
}

#[test]
fn slices_without_position_or_that_cross_are_ordered_by_instance_number() {
    let mut crossing = slice(1, 9.0);
    crossing["ImageOrientationPatient"] = json!("1\\0\\0\\0\\0\\-1");
    let first = [("2.25.10", slice(3, 0.0)), ("2.25.11", slice(2, 1.0)), ("2.25.12", crossing)];
    assert_eq!(uids(&first), ["2.25.12", "2.25.11", "2.25.10"]);
    let bare = |number: &str| json!({ "Rows": 2, "InstanceNumber": number });
    let without = [("2.25.10", bare("10")), ("2.25.11", bare("9")), ("2.25.12", slice(3, 0.0))];
    assert_eq!(uids(&without), ["2.25.12", "2.25.11", "2.25.10"]);
}

#[test]
fn one_slice_without_a_position_is_the_last_one() {
    let mut bare = slice(2, 0.0);
    bare.as_object_mut().unwrap().remove("ImagePositionPatient");
    let some = [
        ("2.25.10", slice(1, 4.0)),
        ("2.25.11", bare),
        ("2.25.12", slice(9, 0.0)),
        ("2.25.13", slice(4, 2.0)),
    ];
    assert_eq!(uids(&some), ["2.25.10", "2.25.13", "2.25.12", "2.25.11"]);
    let ordered = |some| slices_and_geometry(&document(some), None).unwrap().1.order;
    assert_eq!(ordered(&some), SliceOrder::Position);
    assert_eq!(ordered(&some[..2]), SliceOrder::InstanceNumber);
}

#[test]
fn frames_are_ordered_by_their_functional_groups() {
    let position = |z: f64| json!({ "PlanePositionSequence": [{ "ImagePositionPatient": ["0", "0", z.to_string()] }] });
    let enhanced = json!({
        "Rows": 2, "NumberOfFrames": 4,
        "SharedFunctionalGroupsSequence": [{
            "PlaneOrientationSequence": [{ "ImageOrientationPatient": [1, 0, 0, 0, 1, 0] }],
        }],
        "PerFrameFunctionalGroupsSequence": [position(0.0), position(4.0), position(2.0), position(6.0)],
    });
    let expected = [1, 3, 2, 4].map(|frame| ("2.25.10".to_owned(), frame));
    assert_eq!(order(&document(&[("2.25.10", enhanced)])), expected);

    let cine = json!({ "Rows": 2, "NumberOfFrames": 3, "InstanceNumber": "1" });
    let expected = [1, 2, 3].map(|frame| ("2.25.10".to_owned(), frame));
    assert_eq!(order(&document(&[("2.25.10", cine)])), expected);
}

#[test]
fn a_series_without_pixels_has_no_slices() {
    let report = document(&[("2.25.10", json!({ "Modality": "SR", "NumberOfFrames": 0 }))]);
    assert!(matches!(slices(&report, None), Err(RenderError::NotFound(_))));
    let image = document(&[("2.25.10", slice(1, 0.0))]);
    assert!(matches!(slices(&image, Some("2.25.3")), Err(RenderError::NotFound(_))));
    assert_eq!(slices(&image, Some("2.25.2")).unwrap().len(), 1);
    let endless = json!({ "Rows": 2, "NumberOfFrames": 1 });
    let mut endless = document(&[("2.25.10", endless)]).text().to_vec();
    let text = String::from_utf8(std::mem::take(&mut endless)).unwrap();
    let text = text.replace("\"NumberOfFrames\":1", "\"NumberOfFrames\":2147483647");
    let endless = DocumentText::read(text.into()).unwrap();
    assert!(matches!(slices(&endless, None), Err(RenderError::Request(_))));
}

#[test]
fn edges_have_the_letters_of_their_directions() {
    let letters = |attributes: Value| {
        let selector = FrameSelector::Number(Uid::try_from("2.25.10").unwrap(), 1);
        let location = find_frame(&document(&[("2.25.10", attributes)]), &selector).unwrap();
        location
            .orientation()
            .map(|found| [found.left, found.right, found.top, found.bottom].join(" "))
    };
    assert_eq!(letters(slice(1, 0.0)).unwrap(), "R L A P");
    let sagittal = json!({ "Rows": 2, "ImageOrientationPatient": ["0", "1", "0", "0", "0", "-1"] });
    assert_eq!(letters(sagittal).unwrap(), "A P H F");
    let radiograph = json!({ "Rows": 2, "PatientOrientation": ["L", "F"] });
    assert_eq!(letters(radiograph).unwrap(), "R L H F");
    let hostile = json!({ "Rows": 2, "PatientOrientation": ["<b>", "F"] });
    assert_eq!(letters(hostile), None);
    assert_eq!(letters(json!({ "Rows": 2 })), None);
}

/// A slice with all that is expected.
fn whole(number: u32, z: f64) -> Value {
    let mut slice = slice(number, z);
    slice["PixelSpacing"] = json!(["0.5", "0.5"]);
    slice["SliceThickness"] = json!("2.5");
    slice
}

fn geometry(slices: Vec<Value>) -> healthimaging_render::Geometry {
    let uids: Vec<String> = (0..slices.len()).map(|at| format!("2.25.1{at:03}")).collect();
    let named: Vec<(&str, Value)> = uids.iter().map(String::as_str).zip(slices).collect();
    slices_and_geometry(&document(&named), None).unwrap().1
}

#[test]
fn regular_slices_have_one_orientation_and_one_spacing() {
    let found = geometry((0..10).map(|at| whole(at + 1, f64::from(at) * 2.5)).collect());
    assert!(found.is_regular(), "{found:?}");
    assert_eq!((found.orientations, found.spacing), (1, Some(2.5)));
    // Ten micrometers are rounding.
    let found = geometry(
        (0..10).map(|at| whole(at + 1, f64::from(at) * 2.5 + 0.004 * f64::from(at % 2))).collect(),
    );
    assert!(found.is_regular(), "{found:?}");
}

#[test]
fn gaps_uneven_distances_and_repeated_slices_are_found() {
    // Numbers 5 and 6 are missing, so that 10 mm and 17.5 mm are neighbors; one is 0.5 mm off; one is there twice.
    let mut slices: Vec<Value> = [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]
        .into_iter()
        .map(|number: u32| {
            let off = if number == 11 { 0.5 } else { 0.0 };
            whole(number, f64::from(number) * 2.5 + off)
        })
        .collect();
    slices.push(whole(2, 5.0));
    let found = geometry(slices);
    assert!(!found.is_regular());
    assert_eq!((found.gaps, found.uneven, found.at_one_position), (1, 2, 1), "{found:?}");
    assert_eq!(found.spacing, Some(2.5));
    let distances: Vec<(usize, f64)> =
        found.distances.iter().map(|one| (one.after_slice, one.millimeters)).collect();
    // In the order of the stack: 1, 2, 2, 3, 4, 7, ...
    assert_eq!(distances, [(5, 7.5), (9, 3.0), (10, 2.0)]);
    assert_eq!(found.missing_numbers, [5, 6]);
}

#[test]
fn mixed_orientations_and_missing_attributes_are_counted() {
    let mut slices: Vec<Value> = (0..6).map(|at| whole(at + 1, f64::from(at))).collect();
    slices[2]["ImageOrientationPatient"] = json!(["0", "1", "0", "0", "0", "-1"]);
    slices[3].as_object_mut().unwrap().remove("SliceThickness");
    slices[4]["PixelSpacing"] = json!([]);
    slices[5].as_object_mut().unwrap().remove("ImagePositionPatient");
    slices[5].as_object_mut().unwrap().remove("InstanceNumber");
    let found = geometry(slices);
    // A distance means nothing between planes that cross.
    assert_eq!((found.orientations, found.spacing), (2, None));
    let lacking: Vec<(&str, usize)> = found.lacking.into_iter().collect();
    assert_eq!(
        lacking,
        [
            ("ImagePositionPatient", 1),
            ("InstanceNumber", 1),
            ("PixelSpacing", 1),
            ("SliceThickness", 1)
        ]
    );
}

#[test]
fn frames_of_enhanced_images_have_what_their_groups_have() {
    let frame = |z: u32| {
        json!({
            "PlaneOrientationSequence": [{ "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"] }],
            "PlanePositionSequence": [{ "ImagePositionPatient": ["0", "0", z.to_string()] }],
        })
    };
    let image = json!({
        "Rows": 2, "NumberOfFrames": 4, "InstanceNumber": "1",
        "SharedFunctionalGroupsSequence": [{
            "PixelMeasuresSequence": [{ "PixelSpacing": ["1", "1"], "SliceThickness": "3" }]
        }],
        "PerFrameFunctionalGroupsSequence": [frame(0), frame(3), frame(6), frame(12)],
    });
    let found = geometry(vec![image]);
    assert_eq!((found.orientations, found.spacing, found.gaps), (1, Some(3.0), 1), "{found:?}");
    assert!(found.lacking.is_empty() && found.missing_numbers.is_empty(), "{found:?}");
}
