//! The DICOM JSON that an import job puts in place of what the files say.
#![no_main]

use std::cell::OnceCell;

use dicom_core::Tag;
use healthimaging_dicom::{DataSet, Document, MetadataOverride};
use healthimaging_fuzz::{comes_back, two_instances};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static INSTANCE: OnceCell<DataSet> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    let Ok(changes) = MetadataOverride::parse(data) else {
        return;
    };
    let mut instance = INSTANCE.with(|instance| {
        let read = || two_instances().data_set("2.25.2", "2.25.3.1").unwrap();
        instance.get_or_init(read).clone()
    });
    if changes.apply(&mut instance).is_err() {
        return;
    }
    assert_eq!(instance.text(Tag(0x0008, 0x0018)), Some("2.25.3.1"));
    let mut document = Document::default();
    document.add(Document::new_instance(&DataSet::default(), instance));
    comes_back(&document);
});
