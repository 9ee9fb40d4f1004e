//! Slices of a series: by position, and many in one picture.

use healthimaging_phantoms::{Phantom, PhantomFile, PrimitiveValue, VR, tags};
use serde_json::{Value, json};

use crate::rig::Rig;

/// Rows and columns of the slices.
const SIDE: u16 = 64;

/// Hounsfield units of a slice in even columns; in odd ones it is one more.
fn hounsfield(z: i16) -> i16 {
    -400 + 100 * z
}

/// PS3.3 §C.11.2.1.2.1, LINEAR.
fn level(value: i16, center: f64, width: f64) -> u8 {
    let (value, center, span) = (f64::from(value), center - 0.5, width - 1.0);
    let level = ((value - center) / span + 0.5) * 255.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    return level.round().clamp(0.0, 255.0) as u8;
}

/// A slice at a height in mm, with an Instance Number that contradicts it.
fn slice(z: i16) -> Phantom {
    let stored = hounsfield(z) + 1024;
    let pair = [stored.to_le_bytes(), (stored + 1).to_le_bytes()].concat();
    let pixels = pair.repeat(usize::from(SIDE) * usize::from(SIDE) / 2);
    let number = (z * 4) % 9 + 1;
    Phantom::ct()
        .size(SIDE, SIDE)
        .pixels(pixels)
        .sop_uid(&format!("2.25.80{z}"))
        .with(tags::RESCALE_INTERCEPT, VR::DS, PrimitiveValue::from("-1024"))
        .with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("1"))
        .with(tags::INSTANCE_NUMBER, VR::IS, PrimitiveValue::from(number.to_string()))
        .with(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, PrimitiveValue::from("1\\0\\0\\0\\1\\0"))
        .with(tags::IMAGE_POSITION_PATIENT, VR::DS, PrimitiveValue::from(format!("-10\\-20\\{z}")))
}

/// Imports phantoms of one series; returns the data store, its one image set, and the series.
async fn stored(rig: &Rig, phantoms: Vec<Phantom>) -> (String, String, String) {
    let datastore = rig.datastore().await;
    let files = phantoms.into_iter().enumerate().map(|(at, phantom)| PhantomFile {
        relative_path: format!("{at}.dcm").into(),
        bytes: phantom.build(),
    });
    rig.import(&datastore, files).await;
    let found = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
    let set = &found["image_sets_metadata_summaries"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let series = text(&set["dicom_tags"]["DICOMSeriesInstanceUID"]);
    (datastore, text(&set["image_set_id"]), series)
}

/// Rows, columns and levels of a gray PNG.
fn levels(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut levels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut levels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Grayscale);
    (info.height, info.width, levels)
}

/// The sheet of a series as a PNG, and the facts about it.
async fn sheet(rig: &Rig, series: &str, more: Value) -> (Vec<u8>, Value) {
    let mut asked = json!({ "series_instance_uid": series, "format": "png" });
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    let answer = rig.answer("get_series_contact_sheet", asked).await.unwrap();
    assert_eq!(answer.images.len(), 1);
    assert_eq!(answer.links.len(), 1);
    (answer.images[0].data.clone(), Value::Object(answer.structured))
}

pub(crate) async fn a_contact_sheet_shows_evenly_spaced_slices_alike(rig: Rig) {
    let (_, _, series) = stored(&rig, (0..9).map(slice).collect()).await;
    let window = json!({ "count": 3, "window_center": 0, "window_width": 2000 });
    let (file, facts) = sheet(&rig, &series, window).await;
    assert_eq!(facts["slices"], json!([1, 5, 9]));
    assert_eq!(facts["number_of_slices"], 9);
    let edges = json!({ "left": "R", "right": "L", "top": "A", "bottom": "P" });
    assert_eq!(facts["orientation"], edges);
    // Two by two cells of 64 pixels, with two between them.
    assert_eq!((&facts["grid_rows"], &facts["grid_columns"]), (&json!(2), &json!(2)));
    let (rows, columns, found) = levels(&file);
    assert_eq!((rows, columns), (130, 130));
    let at = |row: usize, column: usize| found[row * 130 + column];
    // Away from numbers and letters.
    let cell = |row: usize, column: usize| at(row * 66 + 50, column * 66 + 14);
    let expected = [0, 4, 8].map(|z| level(hounsfield(z), 0.0, 2000.0));
    assert_eq!([cell(0, 0), cell(0, 1), cell(1, 0)], expected);
    assert_eq!(cell(1, 1), 0, "the last cell is empty");
    let number = (0..10).flat_map(|row| (0..12).map(move |column| at(row, column)));
    assert!(number.filter(|level| *level == 255).count() > 8, "the number is drawn");

    // The window of the file, 40 / 400 of the phantom, for all.
    let (file, facts) = sheet(&rig, &series, json!({ "count": 2 })).await;
    assert_eq!((&facts["window_center"], &facts["window_width"]), (&json!(40.0), &json!(400.0)));
    let (_, columns, found) = levels(&file);
    let at = |row: usize, column: usize| found[row * columns as usize + column];
    assert_eq!((at(50, 14), columns), (level(-400, 40.0, 400.0), 130));
    assert_eq!(at(50, 66 + 14), level(400, 40.0, 400.0));

    // The range of values of all slices shown: -400 to 401.
    let auto = json!({ "count": 9, "auto_window": true });
    let (file, facts) = sheet(&rig, &series, auto).await;
    assert_eq!((&facts["window_center"], &facts["window_width"]), (&json!(1.0), &json!(802.0)));
    let (_, _, found) = levels(&file);
    let at = |row: usize, column: usize| found[row * 196 + column];
    assert_eq!([at(50, 14), at(50, 66 + 14), at(182, 132 + 14)], [0, 32, 255]);

    // It is never larger than asked for.
    let small = json!({ "count": 9, "max_size": 256, "window_center": 0, "window_width": 2000 });
    let (file, _) = sheet(&rig, &series, small).await;
    assert_eq!(levels(&file).0, 196);
}

pub(crate) async fn a_slice_is_named_by_its_position(rig: Rig) {
    let (datastore, set, _) = stored(&rig, (0..9).map(slice).collect()).await;
    for (choice, z) in [(json!("middle"), 4), (json!(1), 0), (json!("9"), 8), (json!(3.0), 2)] {
        let asked = json!({
            "datastore_id": datastore, "image_set_id": set, "slice": choice,
            "window_center": 0, "window_width": 2000
        });
        let answer = rig.answer("get_image_frame", asked).await.unwrap();
        let facts = &answer.structured["picture"];
        assert_eq!(facts["sop_instance_uid"], format!("2.25.80{z}"), "{choice}");
        assert_eq!((&facts["slice"], &facts["number_of_slices"]), (&json!(z + 1), &json!(9)));
        let expected = level(hounsfield(z), 0.0, 2000.0);
        let (_, _, found) = levels(&answer.images[0].data);
        assert!(found.iter().step_by(2).all(|level| *level == expected), "{choice}");
    }
    for (choice, words) in [
        (json!(10), "from 1 to 9"),
        (json!(0), "middle or a whole number"),
        (json!("last"), "middle or a whole number"),
        (json!(1.5), "middle or a whole number"),
        (json!([1]), "slice"),
    ] {
        let asked = json!({ "datastore_id": datastore, "image_set_id": set, "slice": choice });
        let message = rig.refusal("get_image_frame", asked, "validation_error").await;
        assert!(message.contains(words), "{choice}: {message}");
    }
    let both = json!({
        "datastore_id": datastore, "image_set_id": set, "slice": 1, "sop_instance_uid": "2.25.800"
    });
    let message = rig.refusal("get_image_frame", both, "validation_error").await;
    assert!(message.contains("one way"), "{message}");
}

pub(crate) async fn frames_of_one_instance_are_slices_too(rig: Rig) {
    let (datastore, set, series) =
        stored(&rig, vec![Phantom::ultrasound().size(24, 32).sop_uid("2.25.90")]).await;
    let asked = json!({ "series_instance_uid": series, "count": 4 });
    let answer = rig.answer("get_series_contact_sheet", asked).await.unwrap();
    assert_eq!(answer.structured["slices"], json!([1, 5, 8, 12]));
    assert_eq!(answer.structured["content_type"], "image/jpeg");
    assert!(answer.structured.get("window_center").is_none(), "color has no window");
    let asked = json!({ "datastore_id": datastore, "image_set_id": set, "slice": "middle" });
    let answer = rig.answer("get_image_frame", asked).await.unwrap();
    assert_eq!(answer.structured["picture"]["frame_number"], 6);
}

pub(crate) async fn a_series_without_slices_is_refused_with_the_reason(rig: Rig) {
    let (datastore, set, series) = stored(&rig, vec![Phantom::report()]).await;
    let asked = json!({ "series_instance_uid": series });
    let message = rig.refusal("get_series_contact_sheet", asked, "not_found").await;
    assert!(message.contains("no pixels"), "{message}");
    let asked = json!({ "datastore_id": datastore, "image_set_id": set, "slice": "middle" });
    let message = rig.refusal("get_image_frame", asked, "not_found").await;
    assert!(message.contains("no pixels"), "{message}");

    let asked = json!({ "series_instance_uid": "1.2.3" });
    rig.refusal("get_series_contact_sheet", asked, "not_found").await;
    let asked = json!({ "series_instance_uid": "1.2.3", "image_set_id": set });
    rig.refusal("get_series_contact_sheet", asked, "not_found").await;
    for more in [json!({ "count": 0 }), json!({ "count": 101 }), json!({ "max_size": 255 })] {
        let mut asked = json!({ "series_instance_uid": series });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.refusal("get_series_contact_sheet", asked, "validation_error").await;
    }
}

/// A series with a slice missing, one twice, and one without a thickness.
pub(crate) async fn faults_of_a_series_are_counted(rig: Rig) {
    let heights = [0, 1, 2, 5, 6, 7, 7];
    let phantoms = heights.into_iter().enumerate().map(|(at, z)| {
        let phantom = slice(z)
            .sop_uid(&format!("2.25.81{at}"))
            .with(tags::INSTANCE_NUMBER, VR::IS, PrimitiveValue::from((at + 1).to_string()))
            .with(tags::PIXEL_SPACING, VR::DS, PrimitiveValue::from("1\\1"));
        let thickness = if z == 2 { PrimitiveValue::Empty } else { PrimitiveValue::from("1") };
        phantom.with(tags::SLICE_THICKNESS, VR::DS, thickness)
    });
    let (datastore, _, series) = stored(&rig, phantoms.collect()).await;
    let asked = json!({ "datastore_id": datastore, "series_instance_uid": series });
    let found = rig.call("get_series_contact_sheet", asked).await;
    assert_eq!(
        found["geometry"],
        json!({
            "is_regular": false,
            "orientations": 1,
            "spacing": 1.0,
            "gaps": 1,
            "distances": [{ "after_slice": 3, "millimeters": 3.0 }],
            "at_position_of_the_slice_before": 1,
            "slices_lacking": { "SliceThickness": 1 },
        })
    );
}
