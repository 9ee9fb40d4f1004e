//! Frames as pictures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging::{AnyOperation, Call, HealthImaging, Layer, Operation};
use healthimaging_image::{
    PixelDescription, PixelRepresentation, PlanarConfiguration, SampleFormat,
};
use healthimaging_phantoms::{Phantom, PhantomFile, PrimitiveValue, VR, tags};
use healthimaging_pixels::DecodedFrame;
use healthimaging_render::{
    Display, Picture, PictureFormat, Voi, Window, WindowFunction, render_pixels,
};
use healthimaging_tools::Answer;
use healthimaging_workflows::BackEnd;
use serde_json::{Value, json};

use crate::rig::{Opening, Rig};

const SOP: &str = "2.25.71";

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../crates/healthimaging-pixels/tests/data/", $name)).as_slice()
    };
}

/// The first bytes of a PNG and of a JPEG.
const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// A store with one instance, `SOP`: its data store and its image set.
async fn stored(rig: &Rig, phantom: Phantom) -> (String, String) {
    let datastore = rig.datastore().await;
    let file = PhantomFile { relative_path: "one.dcm".into(), bytes: phantom.sop_uid(SOP).build() };
    rig.import(&datastore, [file]).await;
    let found = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
    let set = &found["image_sets_metadata_summaries"][0]["image_set_id"];
    let set = set.as_str().unwrap().to_owned();
    (datastore, set)
}

/// The arguments of a call: frame 1 of `SOP`, and these.
fn asking((datastore, set): &(String, String), more: &Value) -> Value {
    let mut asked = json!({
        "datastore_id": datastore, "image_set_id": set, "sop_instance_uid": SOP, "format": "png"
    });
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

/// The one picture of an answer, and the facts about it.
async fn picture(rig: &Rig, place: &(String, String), more: Value) -> (Vec<u8>, Value) {
    let answer = rig.answer("get_image_frame", asking(place, &more)).await;
    let Answer { structured, images, .. } = answer.unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(structured["content_type"], images[0].media_type);
    assert_eq!(structured["size_bytes"], images[0].data.len());
    assert!(!structured.contains_key("image_frame_blob"));
    (images[0].data.clone(), structured["picture"].clone())
}

/// The picture of 8 bits a channel that has these levels.
fn as_they_are((rows, columns): (u32, u32), photometric: &str, levels: &[u8]) -> Picture {
    let description = PixelDescription {
        rows,
        columns,
        samples_per_pixel: if photometric == "RGB" { 3 } else { 1 },
        bits_allocated: 8,
        bits_stored: 8,
        high_bit: 7,
        representation: PixelRepresentation::Unsigned,
        format: SampleFormat::Integer,
        photometric: photometric.to_owned(),
        planar: PlanarConfiguration::Interleaved,
        number_of_frames: 1,
    };
    let frame = DecodedFrame { pixels: levels.to_vec(), photometric: photometric.to_owned() };
    let whole = Window { center: 128.0, width: 256.0, function: WindowFunction::Linear };
    let display = Display { voi: Voi::Window(whole), ..Display::default() };
    let (picture, _) = render_pixels(&frame, &description, &display, &mut Vec::new()).unwrap();
    assert_eq!(picture.samples(), levels);
    picture
}

/// The PNG of six gray levels, two rows of three.
fn png_of(levels: [u8; 6]) -> Vec<u8> {
    as_they_are((2, 3), "MONOCHROME2", &levels).encode(PictureFormat::Png, 92).unwrap()
}

pub(crate) async fn a_frame_is_seen_through_the_window_of_the_file_or_of_the_caller(rig: Rig) {
    // Rescaled by -1000: -1000, -160, -159, 40, 239, 240 Hounsfield units.
    let values: [i16; 6] = [0, 840, 841, 1040, 1239, 1240];
    let pixels = values.iter().flat_map(|value| value.to_le_bytes());
    let phantom = Phantom::ct()
        .size(2, 3)
        .pixels(pixels.collect())
        .with(tags::RESCALE_INTERCEPT, VR::DS, PrimitiveValue::from("-1000"))
        .with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("1"));
    let place = stored(&rig, phantom).await;

    // The file's window is 40 / 400: ((x-39.5)/399+0.5)*255 between -160 and 239 (PS3.3 C.11.2.1.2.1).
    let (file, facts) = picture(&rig, &place, json!({})).await;
    assert_eq!(file, png_of([0, 0, 1, 128, 255, 255]));
    let expected = json!({
        "rows": 2, "columns": 3, "original_rows": 2, "original_columns": 3,
        "sop_instance_uid": SOP, "frame_number": 1, "number_of_frames": 1,
        "window_center": 40.0, "window_width": 400.0, "voi_lut_function": "LINEAR"
    });
    assert_eq!(facts, expected);

    let asked = json!({ "window_center": 240, "window_width": 2 });
    let (file, _) = picture(&rig, &place, asked).await;
    assert_eq!(file, png_of([0, 0, 0, 0, 0, 255]));

    let (file, facts) = picture(&rig, &place, json!({ "auto_window": true })).await;
    assert_eq!(file, png_of([0, 173, 173, 214, 255, 255]));
    assert_eq!((&facts["window_center"], &facts["window_width"]), (&json!(-379.5), &json!(1241.0)));
}

/// A series whose first instance has a Pixel Padding Value and whose second has none: in the second all pixels
/// are of the image (PS3.3 C.7.5.1.1.2), although the document has the value at the level of the series.
pub(crate) async fn padding_of_another_instance_of_the_series_masks_nothing(rig: Rig) {
    let values: [i16; 6] = [0, 840, 841, 1040, 1239, 1240];
    let phantom = || {
        let pixels = values.iter().flat_map(|value| value.to_le_bytes());
        Phantom::ct()
            .size(2, 3)
            .pixels(pixels.collect())
            .with(tags::RESCALE_INTERCEPT, VR::DS, PrimitiveValue::from("-1000"))
            .with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("1"))
    };
    let padding = PrimitiveValue::from(1240_u16);
    let padded = phantom().sop_uid("2.25.70").with(tags::PIXEL_PADDING_VALUE, VR::US, padding);
    let files = [("a.dcm", padded), ("b.dcm", phantom().sop_uid(SOP))];
    let datastore = rig.datastore().await;
    let files = files
        .map(|(path, phantom)| PhantomFile { relative_path: path.into(), bytes: phantom.build() });
    rig.import(&datastore, files).await;
    let found = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 1);
    let place = (datastore, sets[0]["image_set_id"].as_str().unwrap().to_owned());

    let (bare, _) = picture(&rig, &place, json!({})).await;
    assert_eq!(bare, png_of([0, 0, 1, 128, 255, 255]));
    let (masked, _) = picture(&rig, &place, json!({ "sop_instance_uid": "2.25.70" })).await;
    assert_eq!(masked, png_of([0, 0, 1, 128, 255, 0]));
}

pub(crate) async fn a_frame_is_named_by_its_instance_and_number(rig: Rig) {
    let place = stored(&rig, Phantom::ultrasound().size(24, 32)).await;
    let (_, first) = picture(&rig, &place, json!({})).await;
    assert_eq!((&first["frame_number"], &first["number_of_frames"]), (&json!(1), &json!(12)));
    let (last, facts) = picture(&rig, &place, json!({ "frame_number": 12 })).await;
    assert_eq!(facts["frame_number"], 12);
    assert!(facts.get("window_center").is_none(), "colour has no window");

    let asked = asking(&place, &json!({ "frame_number": 12, "format": "stored" }));
    let frame = rig.call("get_image_frame", asked).await;
    let by_id = json!({
        "datastore_id": place.0, "image_set_id": place.1, "format": "png",
        "image_frame_information": { "imageFrameId": frame["image_frame_id"] }
    });
    let answer = rig.answer("get_image_frame", by_id).await.unwrap();
    assert_eq!(answer.images[0].data, last);
    assert_eq!(answer.structured["picture"], facts);

    // A picture is what is meant where no format is named.
    let unnamed = json!({
        "datastore_id": place.0, "image_set_id": place.1,
        "image_frame_information": { "imageFrameId": frame["image_frame_id"] }
    });
    let answer = rig.answer("get_image_frame", unnamed).await.unwrap();
    assert_eq!(answer.images.len(), 1);
    assert_eq!(answer.images[0].data[..8], PNG);
    assert_eq!(answer.images[0].media_type, "image/png");

    for (number, kind) in [(13, "validation_error"), (0, "validation_error")] {
        let asked = asking(&place, &json!({ "frame_number": number }));
        rig.refusal("get_image_frame", asked, kind).await;
    }
}

/// A stream of libjxl, which is kept as received.
pub(crate) async fn a_frame_of_jpeg_xl_is_seen(rig: Rig) {
    let (stream, pixels) = (data!("rgb8.jxl"), data!("rgb8.raw"));
    let phantom = Phantom::ultrasound()
        .size(19, 23)
        .encapsulated("1.2.840.10008.1.2.4.112", vec![stream.to_vec()]);
    let place = stored(&rig, phantom).await;
    let expected = as_they_are((19, 23), "RGB", pixels).encode(PictureFormat::Png, 92).unwrap();
    let (file, _) = picture(&rig, &place, json!({})).await;
    assert_eq!(file, expected);
}

pub(crate) async fn a_large_picture_is_made_smaller(rig: Rig) {
    let place = stored(&rig, Phantom::radiograph().size(150, 120)).await;
    let (file, facts) = picture(&rig, &place, json!({ "max_size": 50, "format": "jpeg" })).await;
    assert_eq!(file[..3], JPEG);
    assert_eq!((&facts["rows"], &facts["columns"]), (&json!(50), &json!(40)));
    assert_eq!((&facts["original_rows"], &facts["original_columns"]), (&json!(150), &json!(120)));
    let (file, facts) = picture(&rig, &place, json!({})).await;
    assert_eq!(file[..8], PNG);
    assert_eq!(facts["rows"], 150, "never larger than the frame");
}

pub(crate) async fn bad_questions_about_frames_are_refused(rig: Rig) {
    let place = stored(&rig, Phantom::mr().size(16, 16)).await;
    let id = "0".repeat(32);
    for (more, words) in [
        (json!({ "sop_instance_uid": null }), "identify the frame"),
        (json!({ "image_frame_information": { "imageFrameId": id } }), "one way"),
        (json!({ "format": "stored", "max_size": 99 }), "format to png or jpeg"),
        (json!({ "format": "stored", "annotation": false }), "format to png or jpeg"),
        (json!({ "format": "bmp" }), "format"),
        (json!({ "max_size": 15 }), "16 to 4096"),
        (json!({ "max_size": 4097 }), "16 to 4096"),
        (json!({ "window_center": 5 }), "go together"),
        (json!({ "window_center": 5, "window_width": 0 }), "more than 0"),
        (json!({ "window_center": 5, "window_width": 10, "auto_window": true }), "not both"),
    ] {
        let asked = asking(&place, &more);
        let message = rig.refusal("get_image_frame", asked, "validation_error").await;
        assert!(message.contains(words), "{more}: {message}");
    }
    let unknown = asking(&place, &json!({ "sop_instance_uid": "1.2.3" }));
    rig.refusal("get_image_frame", unknown, "not_found").await;
    let unknown = asking(
        &place,
        &json!({ "sop_instance_uid": null, "image_frame_information": { "imageFrameId": id } }),
    );
    rig.refusal("get_image_frame", unknown, "not_found").await;
}

pub(crate) async fn a_frame_without_a_picture_names_the_alternative(rig: Rig) {
    let place = stored(&rig, Phantom::report()).await;
    let message =
        rig.refusal("get_image_frame", asking(&place, &json!({})), "validation_error").await;
    assert!(message.contains("no frames"), "{message}");

    // MPEG-2 Main Profile @ Main Level: the frame is the whole video.
    let video = Phantom::ultrasound().encapsulated("1.2.840.10008.1.2.4.100", vec![vec![0; 64]]);
    let place = stored(&rig, video).await;
    let message =
        rig.refusal("get_image_frame", asking(&place, &json!({})), "validation_error").await;
    assert!(message.contains("video/mpeg") && message.contains("stored"), "{message}");
}

/// PS3.3 §C.11.2.1.2: a width of 0 is not allowed. The range of values is shown, and that is stated.
pub(crate) async fn a_window_that_is_not_usable_never_refuses_the_picture(rig: Rig) {
    let levels = [0, 51, 102, 153, 204, 255];
    let pixels = levels.iter().flat_map(|value| u16::from(*value).to_le_bytes()).collect();
    let phantom = Phantom::ct().size(2, 3).pixels(pixels).with(
        tags::WINDOW_WIDTH,
        VR::DS,
        PrimitiveValue::from("0"),
    );
    let place = stored(&rig, phantom).await;
    let (file, facts) = picture(&rig, &place, json!({})).await;
    assert_eq!(file, png_of(levels));
    assert!(facts["notes"][0].as_str().unwrap().contains("range of values"), "{facts}");
}

/// PS3.3 §C.11.2.1.2.1: `LINEAR` begins at a width of 1; the values of a parametric map may lie within less.
pub(crate) async fn a_window_narrower_than_1_is_exact(rig: Rig) {
    let values: [u16; 6] = [0, 200, 400, 500, 600, 1000];
    let pixels = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let phantom = Phantom::ct()
        .size(2, 3)
        .pixels(pixels)
        .with(tags::RESCALE_INTERCEPT, VR::DS, PrimitiveValue::from("0"))
        .with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("0.001"));
    let place = stored(&rig, phantom).await;
    let asked = json!({ "window_center": 0.4, "window_width": 0.4 });
    let (file, facts) = picture(&rig, &place, asked).await;
    // ((x-0.4)/0.4+0.5)*255 between 0.2 and 0.6 (PS3.3 C.11.2.1.3.2).
    assert_eq!(file, png_of([0, 0, 128, 191, 255, 255]));
    assert_eq!(
        (&facts["window_width"], &facts["voi_lut_function"]),
        (&json!(0.4), &json!("LINEAR_EXACT"))
    );
}

pub(crate) async fn a_frame_of_an_older_version_is_seen(rig: Rig) {
    let phantom = |uid: &str, level: u8| {
        let pixels = [level, 0].repeat(6);
        Phantom::ct().size(2, 3).pixels(pixels).sop_uid(uid).with(
            tags::INSTANCE_NUMBER,
            VR::IS,
            PrimitiveValue::from(level.to_string()),
        )
    };
    let datastore = rig.datastore().await;
    let files = [("a.dcm", phantom(SOP, 1)), ("b.dcm", phantom("2.25.70", 2))];
    let files = files
        .map(|(path, phantom)| PhantomFile { relative_path: path.into(), bytes: phantom.build() });
    rig.import(&datastore, files).await;
    let found = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
    let set = &found["image_sets_metadata_summaries"][0];
    let place = (datastore.clone(), set["image_set_id"].as_str().unwrap().to_owned());
    let (before, facts) = picture(&rig, &place, json!({})).await;
    let removal = json!({
        "datastore_id": datastore, "image_set_id": place.1, "sop_instance_uid": SOP,
        "series_instance_uid": set["dicom_tags"]["DICOMSeriesInstanceUID"]
    });
    rig.call("remove_instance_from_image_set", removal).await;
    rig.refusal("get_image_frame", asking(&place, &json!({})), "not_found").await;
    let older = json!({ "version_id": "1" });
    assert_eq!(picture(&rig, &place, older).await, (before, facts));
    let by_slice = json!({ "version_id": "1", "slice": 2, "sop_instance_uid": null });
    let (_, facts) = picture(&rig, &place, by_slice).await;
    assert_eq!(
        (&facts["number_of_slices"], &facts["sop_instance_uid"]),
        (&json!(2), &json!("2.25.70"))
    );
    // These phantoms have no position; the latest version has one of them.
    let (_, facts) = picture(&rig, &place, json!({ "slice": 1, "sop_instance_uid": null })).await;
    assert_eq!(
        (&facts["number_of_slices"], &facts["order"]),
        (&json!(1), &json!("instance_number"))
    );
}

/// Documents that were asked for by the only test that uses [`Counted`].
static DOCUMENTS: AtomicUsize = AtomicUsize::new(0);

/// The AWS back end, whose calls for documents are counted.
#[derive(Debug)]
struct Counted(Arc<dyn HealthImaging>);

impl Layer for Counted {
    type Inner = dyn HealthImaging;

    fn inner(&self) -> &Self::Inner {
        &*self.0
    }

    async fn call<C: Call<Self::Inner>>(&self, call: C) -> healthimaging::Result<C::Response> {
        if call.operation() == AnyOperation::Api(Operation::GetImageSetMetadata) {
            DOCUMENTS.fetch_add(1, Ordering::Relaxed);
        }
        call.send(&*self.0).await
    }
}

fn open_counted(opening: Opening) -> BoxFuture<'static, BackEnd> {
    async move {
        let BackEnd { service, dicomweb } = crate::open_aws(opening).await;
        BackEnd { service: Arc::new(Counted(service)), dicomweb }
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_one_version_read_its_document_once() {
    let rig = Rig::new(open_counted).await;
    let datastore = rig.datastore().await;
    let slice = |number: u32| {
        let phantom = Phantom::ct().size(16, 16).study_uid("2.25.72").series_uid("2.25.73");
        let phantom = phantom.sop_uid(&format!("{SOP}.{number}")).instance_number(number);
        PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
    };
    rig.import(&datastore, (1..=3).map(slice)).await;
    let found = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
    let set = found["image_sets_metadata_summaries"][0]["image_set_id"].clone();
    let asking = |more: Value| {
        let mut asked = json!({ "datastore_id": datastore, "image_set_id": set });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    // How many documents the calls of a list ask for.
    let documents = async |calls: &[(&str, Value)]| {
        let before = DOCUMENTS.load(Ordering::Relaxed);
        for (tool, arguments) in calls {
            let answer = rig.answer(tool, asking(arguments.clone())).await.unwrap();
            assert_eq!(answer.images.len(), 1, "{tool}");
        }
        DOCUMENTS.load(Ordering::Relaxed) - before
    };
    let pictures = [
        ("get_image_frame", json!({ "slice": "middle" })),
        ("get_image_frame", json!({ "slice": 1 })),
        ("get_image_frame", json!({ "sop_instance_uid": format!("{SOP}.3") })),
        ("get_image_frame", json!({ "sop_instance_uid": format!("{SOP}.3"), "version_id": "1" })),
        ("get_series_contact_sheet", json!({ "series_instance_uid": "2.25.73" })),
    ];
    assert_eq!(documents(&pictures).await, 1);
    assert_eq!(documents(&pictures).await, 0);
    // Another version is another document; that of the older one is known.
    let changes = json!({ "DICOMUpdates": { "updatableAttributes": {
        "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "OTHER" } }
    } } });
    let update = json!({
        "latest_version_id": "1", "update_image_set_metadata_updates": changes, "wait_seconds": 60
    });
    rig.call("update_image_set_metadata", asking(update)).await;
    assert_eq!(documents(&pictures).await, 1);
    // What was deleted is not shown from a cache.
    rig.call("delete_image_set", asking(json!({ "wait_seconds": 60 }))).await;
    for (tool, arguments) in &pictures {
        rig.refusal(tool, asking(arguments.clone()), "not_found").await;
    }
}
