//! Nesting as deep as a file may have it.

use dicom_core::{Tag, VR};
use healthimaging_dicom::{
    DataSet, Document, Element, InstanceJson, InstanceToWrite, PixelOverrides, PixelSource,
    ReadLimits, Value, write_part10,
};

use crate::slice::{SERIES, SOP, data_set, document_with, json, text};

/// Stack of a worker thread, where documents are read and written.
const STACK: usize = 2 << 20;

fn nested(depth: usize) -> Value {
    let mut innermost = data_set([(0x0008_0104, VR::LO, text("deep"))]);
    for _ in 1..depth {
        let (vr, value) = (VR::SQ, Value::Items(vec![innermost]));
        let elements = [(Tag(0x0040, 0xA730), Element { vr, value })].into();
        innermost = DataSet { elements };
    }
    Value::Items(vec![innermost])
}

#[test]
fn documents_are_as_deep_as_files_may_be() {
    let work = || {
        let document = document_with(0x0040_A730, VR::SQ, nested(ReadLimits::default().depth));
        let read = Document::from_json(json(&document).as_bytes(), document.details()).unwrap();
        assert!(read == document);
        assert!(read.data_set(SERIES, SOP) == document.data_set(SERIES, SOP));
        let model = InstanceJson::of(&read, SERIES, SOP, &|_| String::new()).unwrap();
        assert!(serde_json::to_string(&model).unwrap().contains("deep"));
        let source = InstanceToWrite {
            document: &read,
            series_uid: SERIES,
            sop_uid: SOP,
            transfer_syntax: "1.2.840.10008.1.2.1",
            overrides: PixelOverrides::default(),
        };
        let mut out = Vec::new();
        write_part10(&source, PixelSource::None, &mut |_| Ok(Vec::new().into()), &mut out).unwrap();
        assert!(out.windows(4).any(|bytes| bytes == b"deep"));
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap();
    thread.join().unwrap();
}
