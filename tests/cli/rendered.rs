//! `serve`: rendered resources and thumbnails (`PS3.18 §8.3.5`, `§10.4.1.1.3`, `§10.4.1.1.4`).
//!
//! Expected levels are worked out here from the formulas of `PS3.3 §C.11.2.1.2` and `§C.11.2.1.3`.

use std::io::Cursor;

use healthimaging_phantoms::{Phantom, PrimitiveValue, VR, tags};

use crate::dicomweb::parts;
use crate::http::{Answer, Served};
use crate::rig::{Rig, text};

const STUDY: &str = "2.25.10";
const GRAY: &str = "2.25.11";
const COLOR: &str = "2.25.12";
const REPORT: &str = "2.25.13";

/// The stored values of the gray slices, two rows of four.
const VALUES: [u16; 8] = [0, 20, 40, 60, 80, 100, 120, 400];

/// A server of three gray slices, a color loop of three frames and a report, in one study.
struct Web {
    served: Served,
    base: String,
    rig: Rig,
}

impl Web {
    fn new() -> Self {
        let rig = Rig::new();
        std::fs::create_dir(rig.path("files")).unwrap();
        let write = |name: &str, phantom: Phantom| {
            let phantom = phantom.patient("DOE^JANE", "MRN-1").study_uid(STUDY);
            std::fs::write(rig.path("files").join(name), phantom.build()).unwrap();
        };
        for number in 1..=3 {
            write(&format!("gray-{number}"), gray(number));
        }
        let rgb = |frame: u8| (0..4).flat_map(move |pixel| [frame * 50, pixel * 20, 200]);
        write(
            "color",
            Phantom::ultrasound()
                .size(2, 2)
                .frames(3)
                .pixels((1..=3).flat_map(rgb).collect())
                .series_uid(COLOR)
                .sop_uid("2.25.21"),
        );
        write("report", Phantom::report().series_uid(REPORT).sop_uid("2.25.31"));
        assert!(rig.run(&["import", text(&rig.path("files"))]).status.success());
        let stores = rig.call("list_datastores", &serde_json::json!({}));
        let store = stores["datastore_summaries"][0]["datastore_id"].as_str().unwrap().to_owned();
        let served = Served::start(&rig, &[]);
        Self { served, base: format!("/datastore/{store}/studies/{STUDY}"), rig }
    }

    fn get(&self, path: &str, accept: &str) -> Answer {
        self.ask(path, &format!("Accept: {accept}\r\n"))
    }

    fn ask(&self, path: &str, headers: &str) -> Answer {
        self.served.answer(&format!("GET {}{path}", self.base), headers, b"")
    }

    /// The levels of a picture that is PNG, with its width and height.
    fn levels(&self, path: &str) -> (Vec<u8>, (u32, u32)) {
        let answer = self.get(path, "image/png");
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("content-type"), Some("image/png"));
        levels(&answer.body)
    }

    /// The message of an answer with this status.
    fn refused(&self, path: &str, accept: &str, status: u16) -> String {
        let answer = self.get(path, accept);
        assert_eq!(answer.status, status, "{path} {accept}");
        answer.json()["message"].as_str().unwrap().to_owned()
    }
}

/// A slice whose values all differ by its number, with a window of its own.
fn gray(number: u16) -> Phantom {
    let pixels = VALUES.iter().flat_map(|value| (value + number - 1).to_le_bytes()).collect();
    Phantom::ct()
        .size(2, 4)
        .unsigned()
        .pixels(pixels)
        .series_uid(GRAY)
        .sop_uid(&slice(number))
        .instance_number(number.into())
        .with(tags::RESCALE_INTERCEPT, VR::DS, PrimitiveValue::from("-20"))
        .with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("1"))
        .with(tags::WINDOW_CENTER, VR::DS, PrimitiveValue::from("50"))
        .with(tags::WINDOW_WIDTH, VR::DS, PrimitiveValue::from("101"))
        .with(tags::PIXEL_SPACING, VR::DS, PrimitiveValue::from("1\\1"))
}

fn slice(number: u16) -> String {
    format!("2.25.1{number}0")
}

fn of_slice(number: u16) -> String {
    format!("/series/{GRAY}/instances/{}", slice(number))
}

fn levels(file: &[u8]) -> (Vec<u8>, (u32, u32)) {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    let mut levels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut levels).unwrap();
    (levels, (info.width, info.height))
}

/// Levels of the values of a slice after its rescale intercept, by a function of them.
fn expected(number: u16, level: impl Fn(f64) -> f64) -> Vec<u8> {
    let rescaled = VALUES.iter().map(|value| f64::from(value + number - 1) - 20.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    rescaled.map(|value| level(value).clamp(0.0, 255.0).round() as u8).collect()
}

/// `LINEAR` of `PS3.3 §C.11.2.1.2.1`.
fn linear(center: f64, width: f64) -> impl Fn(f64) -> f64 {
    move |value| ((value - (center - 0.5)) / (width - 1.0) + 0.5) * 255.0
}

#[test]
fn the_window_of_the_file_or_of_the_query_is_applied() {
    let web = Web::new();
    let rendered = format!("{}/rendered", of_slice(1));
    let of_frame = format!("{}/frames/1/rendered", of_slice(1));
    for path in [&rendered, &of_frame] {
        let by_file = (expected(1, linear(50.0, 101.0)), (4, 2));
        assert_eq!(web.levels(path), by_file);
        let narrow = web.levels(&format!("{path}?window=30,61,linear"));
        assert_eq!(narrow, (expected(1, linear(30.0, 61.0)), (4, 2)));
        let exact = |value: f64| ((value - 30.0) / 60.0 + 0.5) * 255.0;
        for name in ["linear-exact", "LINEAR_EXACT"] {
            let found = web.levels(&format!("{path}?window=30,60,{name}")).0;
            assert_eq!(found, expected(1, exact));
        }
        let sigmoid = |value: f64| 255.0 / (1.0 + (-4.0 * (value - 30.0) / 60.0).exp());
        assert_eq!(web.levels(&format!("{path}?window=30,60,sigmoid")).0, expected(1, sigmoid));
    }
    assert_eq!(
        web.levels(&format!("{}/rendered", of_slice(3))).0,
        expected(3, linear(50.0, 101.0))
    );
}

#[test]
fn a_region_is_cut_out_and_fills_the_viewport() {
    let web = Web::new();
    let whole = expected(1, linear(50.0, 101.0));
    let rendered =
        |viewport: &str| web.levels(&format!("{}/rendered?viewport={viewport}", of_slice(1)));
    // In its own size nothing is scaled: two columns of both rows, from the second on.
    let middle = vec![whole[1], whole[2], whole[5], whole[6]];
    assert_eq!(rendered("2,2,1,0,2,2"), (middle, (2, 2)));
    assert_eq!(rendered("4,2,0,0,-4,2").0[..4], [whole[3], whole[2], whole[1], whole[0]]);
    assert_eq!(rendered("4,2,0,0,4,-2").0[..4], whole[4..]);
    assert_eq!(rendered("2,1,,1,2,1"), (whole[4..6].to_vec(), (2, 1)));
    // As large as possible without distortion.
    assert_eq!(rendered("100,100").1, (100, 50));
    assert_eq!(rendered("8,2").1, (4, 2));
    assert_eq!(rendered("100,10,0,0,1,1"), (vec![whole[0]; 100], (10, 10)));
    let outside = format!("{}/rendered?viewport=5,5,4,0", of_slice(1));
    let message = web.refused(&outside, "image/png", 400);
    assert!(message.contains("viewport") && message.contains("4 columns"), "{message}");
}

#[test]
fn texts_are_drawn_on_request() {
    let web = Web::new();
    let path = format!("{}/rendered?viewport=400,200", of_slice(1));
    let plain = web.levels(&path).0;
    let changed = |annotation: &str| {
        let found = web.levels(&format!("{path}&annotation={annotation}")).0;
        let rows = found.chunks(400).zip(plain.chunks(400)).enumerate();
        rows.filter(|(_, (one, other))| one != other).map(|(row, _)| row).collect::<Vec<_>>()
    };
    let (patient, technique) = (changed("patient"), changed("technique"));
    assert!(!patient.is_empty() && patient.iter().all(|row| *row < 60), "at the top: {patient:?}");
    assert!(!technique.is_empty() && technique.iter().all(|row| *row > 100), "{technique:?}");
    let both = changed("patient,technique");
    assert_eq!(both, [patient, technique].concat());
}

#[test]
fn media_types_are_selected_by_accept() {
    let web = Web::new();
    let path = format!("{}/rendered", of_slice(1));
    for (accept, media) in [
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/avif,image/webp,image/png;q=0.9,*/*;q=0.8", "image/png"),
        ("image/jpeg", "image/jpeg"),
    ] {
        let answer = web.get(&path, accept);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media)), "{accept}");
        let is_varied = answer.head.lines().any(|line| line.eq_ignore_ascii_case("vary: accept"));
        assert!(is_varied, "{}", answer.head);
        let start: &[u8] = if media == "image/png" { b"\x89PNG" } else { b"\xFF\xD8\xFF" };
        assert!(answer.body.starts_with(start));
    }
    assert_eq!(web.ask(&path, "").header("content-type"), Some("image/jpeg"));
    let named = web.ask(&format!("{path}?accept=image/png"), "Accept: image/jpeg\r\n");
    assert_eq!(named.header("content-type"), Some("image/png"));
    for accept in ["image/gif", "application/dicom", "video/mp4", "text/html"] {
        let message = web.refused(&path, accept, 406);
        assert!(message.contains("image/jpeg, image/png"), "{message}");
    }
    let low = web.get(&format!("{path}?quality=1&viewport=64,64"), "image/jpeg").body.len();
    let high = web.get(&format!("{path}?quality=100&viewport=64,64"), "image/jpeg").body.len();
    assert!(low < high, "{low} bytes of quality 1, {high} of 100");
}

#[test]
fn several_frames_are_parts_of_a_multipart() {
    let web = Web::new();
    let of_color = format!("/series/{COLOR}/instances/2.25.21");
    let png = "multipart/related; type=\"image/png\"";
    // Red is 50 times the number of the frame.
    let reds = |path: &str| -> Vec<u8> {
        let answer = web.get(path, png);
        assert_eq!(answer.status, 200, "{path}");
        let parts = parts(&answer);
        assert!(parts.iter().all(|(media, _)| media == "image/png"));
        parts.iter().map(|(_, file)| levels(file).0[0]).collect()
    };
    assert_eq!(reds(&format!("{of_color}/rendered")), [50, 100, 150]);
    assert_eq!(reds(&format!("{of_color}/frames/3,1/rendered")), [150, 50]);
    assert_eq!(reds(&format!("{of_color}/frames/2/rendered")), [100]);
    assert_eq!(reds(&format!("/series/{COLOR}/rendered")), [50, 100, 150]);
    assert_eq!(web.levels(&format!("{of_color}/frames/3/rendered")).0[0], 150);
    // One picture of several frames is that of the middle.
    assert_eq!(web.levels(&format!("{of_color}/rendered")).0[0], 100);

    let first = |number| expected(number, linear(50.0, 101.0))[0];
    let grays = reds(&format!("/series/{GRAY}/rendered"));
    assert_eq!(grays, [first(1), first(2), first(3)]);
    let mut all = reds("/rendered");
    all.sort_unstable();
    let mut expected = [vec![50, 100, 150], grays].concat();
    expected.sort_unstable();
    assert_eq!(all, expected, "the report has no picture");

    for several in [&format!("{of_color}/frames/1,2/rendered"), "/rendered"] {
        let message = web.refused(several, "image/png", 406);
        assert!(message.contains("multipart/related; type=\"image/png\""), "{message}");
    }
    assert_eq!(web.get("/rendered", "*/*").status, 200);
}

#[test]
fn thumbnails_are_small_pictures_of_the_middle() {
    let web = Web::new();
    let middle = expected(2, linear(50.0, 101.0));
    for path in [
        "/thumbnail".to_owned(),
        format!("/series/{GRAY}/thumbnail"),
        format!("{}/thumbnail", of_slice(2)),
        format!("{}/frames/1/thumbnail", of_slice(2)),
    ] {
        assert_eq!(web.levels(&path), (middle.clone(), (4, 2)), "{path}");
        assert_eq!(web.levels(&format!("{path}?viewport=32,32")).1, (32, 16), "{path}");
        assert_eq!(web.ask(&path, "").header("content-type"), Some("image/jpeg"));
        assert_eq!(web.get(&format!("{path}?viewport=9,9,1,1,1,1"), "image/png").status, 400);
    }
    let of_loop = web.levels(&format!("/series/{COLOR}/thumbnail")).0;
    assert_eq!(of_loop[..3], [100, 0, 200], "the second of three frames");
    // A larger image is scaled down.
    let large = Phantom::mr().study_uid("2.25.90").series_uid("2.25.91").sop_uid("2.25.92");
    std::fs::write(web.rig.path("large"), large.size(256, 512).build()).unwrap();
    assert!(web.rig.run(&["import", text(&web.rig.path("large"))]).status.success());
    let base = web.base.replace(STUDY, "2.25.90");
    let answer = web.served.answer(&format!("GET {base}/thumbnail"), "Accept: image/png\r\n", b"");
    assert_eq!(levels(&answer.body).1, (128, 64));
}

#[test]
fn instances_without_images_have_no_pictures() {
    let web = Web::new();
    let report = format!("/series/{REPORT}/instances/2.25.31");
    for (path, status) in [
        (format!("{report}/rendered"), 406),
        (format!("/series/{REPORT}/rendered"), 406),
        (format!("{report}/frames/1/rendered"), 404),
        (format!("{report}/thumbnail"), 404),
        (format!("/series/{REPORT}/thumbnail"), 404),
    ] {
        let message = web.refused(&path, "*/*", status);
        assert!(message.contains("image"), "{path}: {message}");
    }
    for path in [
        "/series/1.2.3/thumbnail",
        "/series/1.2.3/rendered",
        &format!("/series/{GRAY}/instances/1.2.3/rendered"),
        &format!("/series/{GRAY}/instances/1.2.3/frames/1/thumbnail"),
    ] {
        web.refused(path, "*/*", 404);
    }
    let message = web.refused(&format!("{}/frames/2/rendered", of_slice(1)), "image/png", 404);
    assert!(message.contains("frames 1 to 1, not 2"), "{message}");
}

/// Imports slices of a study of its own, the pixel data of some of which is cut to so many bytes, and returns its path.
fn with_cut(web: &Web, study: &str, count: u16, cut: &[(u16, usize)]) -> String {
    let folder = web.rig.path(study);
    std::fs::create_dir(&folder).unwrap();
    for number in 1..=count {
        let mut phantom = gray(number).study_uid(study).series_uid(&format!("{study}.1"));
        if let Some((_, bytes)) = cut.iter().find(|(of, _)| *of == number) {
            phantom = phantom.pixels(vec![7; *bytes]);
        }
        let phantom = phantom.sop_uid(&format!("{study}.1.{number}")).patient("ROE^JIM", "MRN-2");
        std::fs::write(folder.join(number.to_string()), phantom.build()).unwrap();
    }
    web.rig.run(&["import", text(&folder)]);
    web.base.replace(STUDY, study)
}

#[test]
fn an_unusable_instance_is_left_out() {
    let web = Web::new();
    // The first slice is cut, the one in the middle empty.
    let base = with_cut(&web, "2.25.40", 5, &[(1, 6), (3, 0)]);
    let ask = |base: &str, path: &str, accept: &str| {
        web.served.answer(&format!("GET {base}{path}"), &format!("Accept: {accept}\r\n"), b"")
    };
    let slices = [2, 4, 5].map(|number| expected(number, linear(50.0, 101.0)));
    for path in ["/rendered", "/series/2.25.40.1/rendered"] {
        let answer = ask(&base, path, "multipart/related; type=\"image/png\"");
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        let found: Vec<_> = parts(&answer).iter().map(|(_, file)| levels(file).0).collect();
        assert_eq!(found, slices, "{path}");
    }
    for path in ["/thumbnail", "/series/2.25.40.1/thumbnail"] {
        let answer = ask(&base, path, "image/png");
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert!(slices[..2].contains(&levels(&answer.body).0), "{path}: not next to the middle");
    }
    // Nothing is left of a study whose only slice is cut.
    let base = with_cut(&web, "2.25.50", 1, &[(1, 6)]);
    for path in ["/rendered", "/thumbnail", "/series/2.25.50.1/rendered"] {
        let answer = ask(&base, path, "*/*");
        assert!([404, 406].contains(&answer.status), "{path}: {}", answer.status);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("frame") || message.contains("pixel"), "{path}: {message}");
    }
}

#[test]
fn all_frames_of_a_list_have_to_exist() {
    let web = Web::new();
    for frames in ["1,9", "9,1"] {
        let path = format!("/series/{COLOR}/instances/2.25.21/frames/{frames}/rendered");
        let message = web.refused(&path, "*/*", 404);
        assert!(message.contains("frames 1 to 3, not 9"), "{message}");
    }
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let web = Web::new();
    let rendered = format!("{}/rendered", of_slice(1));
    for (query, name) in [
        ("window=40", "window"),
        ("window=40,0,linear", "window"),
        ("window=a,b,linear", "window"),
        ("window=1,2,log", "window"),
        ("window=1,2&window=3,4", "window"),
        ("viewport=0,0", "viewport"),
        ("viewport=10", "viewport"),
        ("viewport=100000,1", "viewport"),
        ("viewport=10,10,-5,0,1,1", "viewport"),
        ("viewport=10,10,0,0,0,0", "viewport"),
        ("annotation=all", "annotation"),
        ("quality=0", "quality"),
        ("quality=best", "quality"),
    ] {
        let message = web.refused(&format!("{rendered}?{query}"), "image/png", 400);
        assert!(message.contains(name), "{query}: {message}");
    }
    let twice = format!("/series/{COLOR}/instances/2.25.21/frames/1,1/rendered");
    let message = web.refused(&twice, "*/*", 400);
    assert!(message.contains("each once"), "{message}");
    for frames in ["x", "1,,2", ""] {
        let path = format!("{}/frames/{frames}/rendered", of_slice(1));
        let status = web.get(&path, "image/png").status;
        assert!([400, 404].contains(&status), "{frames}: {status}");
    }
}

/// RFC 9110 §13.1.2.
#[test]
fn a_picture_that_the_client_has_is_not_sent_again() {
    let web = Web::new();
    let mut tags = Vec::new();
    for (path, accept) in [
        (format!("{}/rendered", of_slice(1)), "image/png"),
        (format!("{}/rendered", of_slice(1)), "image/jpeg"),
        (format!("{}/rendered?quality=50", of_slice(1)), "image/jpeg"),
        (format!("{}/rendered?window=1,2,linear", of_slice(1)), "image/png"),
        (format!("{}/rendered?viewport=7,7", of_slice(1)), "image/png"),
        (format!("{}/rendered?annotation=patient", of_slice(1)), "image/png"),
        (format!("{}/rendered", of_slice(2)), "image/png"),
        (format!("{}/thumbnail", of_slice(1)), "image/png"),
        (format!("/series/{COLOR}/instances/2.25.21/frames/1/rendered"), "image/png"),
        (format!("/series/{COLOR}/instances/2.25.21/frames/2/rendered"), "image/png"),
    ] {
        let answer = web.get(&path, accept);
        let tag = answer.header("etag").unwrap().to_owned();
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        let known = format!("Accept: {accept}\r\nIf-None-Match: \"other\", {tag}\r\n");
        let again = web.ask(&path, &known);
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(&*tag));
        assert_eq!(web.get(&path, accept).body, answer.body, "also when it was rendered before");
        tags.push(tag);
    }
    let count = tags.len();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), count, "each picture has its own tag");
    let gone = format!("/series/{GRAY}/instances/1.2.3/rendered");
    assert_eq!(web.ask(&gone, "If-None-Match: *\r\n").status, 404);
}

/// A new version of the instance has another picture, and another tag.
#[test]
fn a_changed_image_is_rendered_anew() {
    let web = Web::new();
    let path = format!("{}/rendered", of_slice(1));
    let before = web.get(&path, "image/png");
    let tag = before.header("etag").unwrap();
    let changed = gray(3).sop_uid(&slice(1)).patient("DOE^JANE", "MRN-1").study_uid(STUDY);
    std::fs::write(web.rig.path("changed"), changed.build()).unwrap();
    assert!(web.rig.run(&["import", text(&web.rig.path("changed"))]).status.success());
    let after = web.ask(&path, &format!("Accept: image/png\r\nIf-None-Match: {tag}\r\n"));
    assert_eq!(after.status, 200);
    assert_eq!(levels(&after.body).0, expected(3, linear(50.0, 101.0)));
}
