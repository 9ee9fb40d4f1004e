//! The viewer: its tool, its page, and the pixels that the page reads.

use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthimaging_client::Client;
use healthimaging_phantoms::{Phantom, PhantomFile, write_to};
use serde_json::{Value, json};

use crate::program;
use crate::work::{Assistant, text};

const ROWS: u16 = 900;
const COLUMNS: u16 = 700;

/// Values of 15 bits that do not compress.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let count = usize::from(ROWS) * usize::from(COLUMNS);
    let values = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 17) as u16
    });
    values.take(count).flat_map(u16::to_le_bytes).collect()
}

/// A server whose one data store has this instance: with the ID of the data store and the summary of the image set.
async fn stored(folder: &Path, phantom: Phantom) -> (Assistant, String, Value) {
    let scans = folder.join("scans");
    let file = PhantomFile { relative_path: "one.dcm".into(), bytes: phantom.build() };
    write_to(&scans, [file]).unwrap();
    let assistant = Assistant(Client::spawn(program(folder)).await.unwrap());
    let created = json!({ "datastore_name": "ward", "wait_seconds": 60 });
    let store = text(&assistant.call("create_datastore", created).await["datastore_id"]);
    let import = json!({
        "datastore_id": store, "input_s3_uri": format!("file://{}/", scans.display()),
        "wait_seconds": 300
    });
    assistant.call("start_dicom_import_job", import).await;
    let mut found = assistant.call("search_image_sets", json!({})).await;
    (assistant, store, found["image_sets_metadata_summaries"][0].take())
}

#[tokio::test]
async fn a_frame_is_read_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let phantom = Phantom::ct().size(ROWS, COLUMNS).pixels(noise()).sop_uid("2.25.91");
    let (assistant, store, found) = stored(folder.path(), phantom).await;
    let set = text(&found["image_set_id"]);
    let frame = json!({ "image_set_id": set, "sop_instance_uid": "2.25.91" });
    let frame = text(&assistant.call("get_image_frame", frame).await["image_frame_id"]);
    let base = format!("healthimaging://datastores/{store}/image-sets/{set}/frames/{frame}/pixels");

    let read = async |chunk: usize| -> Value {
        let piece = assistant.0.read_resource(&format!("{base}?chunk={chunk}")).await.unwrap();
        assert!(piece.len() < 501_000, "{}", piece.len());
        serde_json::from_str(&piece).unwrap()
    };
    let first = read(0).await;
    let pieces = usize::try_from(first["chunks"].as_u64().unwrap()).unwrap();
    assert!(pieces > 2, "{pieces}");
    assert_eq!((&first["rows"], &first["columns"]), (&json!(ROWS), &json!(COLUMNS)));
    assert_eq!((&first["bits_allocated"], &first["samples_per_pixel"]), (&json!(16), &json!(1)));
    let mut stream = Vec::new();
    for chunk in 0..pieces {
        // The first is read twice: a repeated read returns the same piece.
        let piece = read(chunk).await;
        assert_eq!(piece["chunk"], chunk);
        stream.extend(STANDARD.decode(text(&piece["data"])).unwrap());
    }
    let mut pixels = Vec::new();
    flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut pixels).unwrap();
    assert!(pixels == noise(), "the pixels are those of the file");

    let refused =
        [format!("{base}?chunk={pieces}"), format!("{base}?chunk=-1"), format!("{base}?x=1")];
    for uri in refused {
        assert!(assistant.0.read_resource(&uri).await.is_err(), "{uri}");
    }
    assistant.0.close().await.unwrap();
}

#[tokio::test]
async fn the_page_is_a_resource_and_a_client_without_apps_gets_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let phantom = Phantom::ct().size(64, 64).sop_uid("2.25.92");
    let (assistant, store, found) = stored(folder.path(), phantom).await;
    let page = assistant.0.read_resource("ui://healthimaging/viewer").await.unwrap();
    assert!(page.starts_with("<!doctype html>"));
    let listed = assistant.0.resources().await.unwrap();
    assert!(listed.iter().any(|(_, uri)| uri == "ui://healthimaging/viewer"), "{listed:?}");

    let tags = &found["dicom_tags"];
    let (study, series) =
        (text(&tags["DICOMStudyInstanceUID"]), text(&tags["DICOMSeriesInstanceUID"]));
    let asked = json!({
        "series_instance_uid": series, "slice": "middle", "window_center": 40, "window_width": 400
    });
    let shown = assistant.call("view_series", asked).await;
    assert_eq!((&shown["slice"], &shown["number_of_slices"]), (&json!(1), &json!(1)));
    assert_eq!(shown["window"], json!({ "center": 40.0, "width": 400.0 }));
    assert_eq!(shown["contact_sheet_slices"], json!([1]));
    let url = format!("http://127.0.0.1:8730/#{store}/{study}/{series}");
    assert_eq!(shown["viewer_url"], json!(url));
    let refused = assistant.try_call("view_series", json!({ "series_instance_uid": "1.2" })).await;
    assert!(refused.is_error);
    let beyond = json!({ "series_instance_uid": series, "slice": 2 });
    assert!(assistant.try_call("view_series", beyond).await.is_error);
    assistant.0.close().await.unwrap();
}
