//! A metadata document of another program: an error, or one that is written and read back.
#![no_main]

use std::collections::BTreeMap;

use healthimaging_dicom::{Document, dicom_json};
use healthimaging_fuzz::comes_back;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = Document::from_json(data, BTreeMap::new()) else {
        return;
    };
    let _ = document.index_attributes();
    for (series_uid, series) in &document.series {
        for sop_uid in series.instances.keys() {
            let _ = document.data_set(series_uid, sop_uid);
            let _ = dicom_json(&document, series_uid, sop_uid, &|_| String::new());
        }
    }
    comes_back(&document);
});
