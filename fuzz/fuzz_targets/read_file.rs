//! A Part 10 file, as an import reads it: everything in it, and the document that comes of it.
#![no_main]

use std::io::{Cursor, sink};

use healthimaging_dicom::{Value, read_part10};
use healthimaging_fuzz::{comes_back, document_of, limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = read_part10(Cursor::new(data), &limits()) else {
        return;
    };
    let _ = (file.description(), file.declared_frames(), file.frame_problem());
    for index in 0..file.frame_count().min(50) {
        let _ = file.read_frame(index, 1 << 20);
    }
    let _ = file.read_pixel_blob_into(&mut sink());
    let bulk_data = file.data_set.elements.values().filter_map(|element| match element.value {
        Value::Bulk { offset, length } => Some((offset, length)),
        _ => None,
    });
    for (offset, length) in bulk_data.collect::<Vec<_>>() {
        let bytes = file.read_bulk(offset, length).unwrap();
        assert_eq!(bytes.len() as u64, length);
    }
    let document = document_of(&file);
    let _ = document.index_attributes();
    let _ = document.instance_index().count();
    comes_back(&document);
});
