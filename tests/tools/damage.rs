//! Frames that changed on the disk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthimaging_pixels::codestream_of;
use serde_json::{Value, json};

use crate::export::{export, file, slice};
use crate::rig::{Rig, files_below};

pub(crate) async fn a_damaged_frame_is_neither_shown_nor_exported(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [file("1", slice(1)), file("2", slice(2).size(16, 18))]).await;
    let found = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
    let set = &found["image_sets_metadata_summaries"][0]["image_set_id"];
    let asked = |number: u32, format: &str| {
        json!({
            "datastore_id": datastore, "image_set_id": set, "format": format,
            "sop_instance_uid": format!("2.25.1.1.{number}"),
        })
    };
    let stored = rig.call("get_image_frame", asked(1, "stored")).await;
    let blob = stored["image_frame_blob"].as_str().unwrap();
    let frame = STANDARD.decode(blob).unwrap();
    flip(&rig, codestream_of(&frame).unwrap());

    for format in ["stored", "png", "jpeg"] {
        let refused = rig.answer("get_image_frame", asked(1, format)).await;
        let error: Value = refused.unwrap_err();
        assert!(
            matches!(error["type"].as_str(), Some("server_error" | "service_error")),
            "{error}"
        );
        rig.call("get_image_frame", asked(2, format)).await;
    }
    for more in [json!({}), json!({ "transfer_syntax_uid": "1.2.840.10008.1.2.1" })] {
        let exported = export(&rig, &datastore, more).await;
        let names: Vec<&String> = exported.files.keys().collect();
        assert_eq!(names, ["2.25.1/2.25.1.1/2.25.1.1.2.dcm"]);
        assert_eq!(exported.failure.len(), 1);
    }
}

/// Flips one bit in the middle of these bytes of a pack.
fn flip(rig: &Rig, bytes: &[u8]) {
    for path in files_below(&rig.packs()) {
        let mut content = std::fs::read(&path).unwrap();
        let mut windows = content.windows(bytes.len());
        if let Some(at) = windows.position(|window| window == bytes) {
            content[at + bytes.len() / 2] ^= 1;
            std::fs::write(&path, content).unwrap();
            return;
        }
    }
    panic!("no pack holds the frame");
}
