//! What an import makes of a file, written as a file again: it can be read, and says the same.
#![no_main]

use std::io::Cursor;

use healthimaging_dicom::{
    InstanceToWrite, PixelOverrides, PixelSource, ReadLimits, read_part10, write_part10,
};
use healthimaging_fuzz::{dicom_json, document_of, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Everything stays in the document.
    let limits = ReadLimits { value_bytes: u64::MAX, ..healthimaging_fuzz::limits() };
    let Ok(file) = read_part10(Cursor::new(data), &limits) else {
        return;
    };
    let document = document_of(&file);
    let Some((series_uid, series)) = document.series.first_key_value() else {
        return;
    };
    let Some(sop_uid) = series.instances.keys().next() else {
        return;
    };
    dicom_json(&document, series_uid, sop_uid);
    for transfer_syntax in ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"] {
        let source = InstanceToWrite {
            document: &document,
            series_uid,
            sop_uid,
            transfer_syntax,
            overrides: PixelOverrides::default(),
        };
        let mut written = Vec::new();
        let mut no_blobs = |_: &_| Ok(Vec::new().into());
        if write_part10(&source, PixelSource::None, &mut no_blobs, &mut written).is_err() {
            continue;
        }
        let limits = ReadLimits { value_bytes: u64::MAX, ..ReadLimits::default() };
        let again = read_part10(Cursor::new(&written), &limits).unwrap();
        let _ = json(&document_of(&again));
    }
});
