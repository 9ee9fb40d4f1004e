//! Documents of changes, as callers of UpdateImageSetMetadata and CopyImageSet send them.
#![no_main]

use std::cell::OnceCell;

use healthimaging_dicom::{CopySelection, Document, LevelConflicts, UpdateDocuments, UpdateRules};
use healthimaging_fuzz::{comes_back, two_instances};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static STORED: OnceCell<Document> = const { OnceCell::new() };
}

fn stored() -> Document {
    STORED.with(|stored| stored.get_or_init(two_instances).clone())
}

fuzz_target!(|data: &[u8]| {
    let Some((&flags, document)) = data.split_first() else {
        return;
    };
    if flags & 1 == 0 {
        update(flags, document);
    } else {
        copy(flags, document);
    }
});

fn update(flags: u8, document: &[u8]) {
    let rules =
        UpdateRules { primary: flags & 2 != 0, force: flags & 4 != 0, study_wide: flags & 8 != 0 };
    let changes = match flags & 16 {
        0 => UpdateDocuments::parse(Some(document), None),
        _ => UpdateDocuments::parse(None, Some(document)),
    };
    let Ok(changes) = changes else {
        return;
    };
    let mut changed = stored();
    let _ = changes.check_targets(&changed);
    if changes.apply(&mut changed, &rules).is_ok() {
        comes_back(&changed);
    }
}

fn copy(flags: u8, document: &[u8]) {
    let Ok(selection) = str::from_utf8(document).map(CopySelection::parse) else {
        return;
    };
    let Ok(selected) = selection.and_then(|selection| selection.select(&stored())) else {
        return;
    };
    comes_back(&selected);
    let conflicts = match flags & 2 {
        0 => LevelConflicts::Refuse,
        _ => LevelConflicts::KeepDestination,
    };
    let mut joined = Document::default();
    let _ = joined.join(&selected, conflicts);
    comes_back(&joined);
}
