//! A metadata document of another program: an error, or one that is written and read back.
#![no_main]

use std::collections::BTreeMap;

use healthimaging_dicom::Document;
use healthimaging_fuzz::{comes_back, dicom_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = Document::from_json(data, BTreeMap::new()) else {
        return;
    };
    let _ = document.index_attributes();
    for (series_uid, series) in &document.series {
        for sop_uid in series.instances.keys() {
            let _ = document.data_set(series_uid, sop_uid);
            dicom_json(&document, series_uid, sop_uid);
        }
    }
    comes_back(&document);
});
