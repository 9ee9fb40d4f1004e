//! The profile and its options, on data sets made here.
#![expect(clippy::unwrap_used, reason = "tests may")]
#![expect(clippy::panic, reason = "tests may")]

mod dates;
mod hostile;
mod options;
mod pixels;
mod random;
mod structured;
mod table;

use std::io::Cursor;

use healthimaging_deidentify::{Deidentified, Deidentifier, Instance, Key, Outcome, Profile};
use healthimaging_dicom::{DataSet, Element, ReadLimits, Value, read_part10};
use healthimaging_phantoms::{Tag, VR, tags, uids};

const KEY: [u8; 32] = [7; 32];

fn deidentifier(options: &[&str]) -> Deidentifier {
    let profile = Profile::parse("basic", options).unwrap();
    Deidentifier::new(profile, Key::try_from(KEY.as_slice()).unwrap())
}

fn run(data_set: DataSet, options: &[&str]) -> Deidentified {
    let has_pixels = data_set.value(tags::ROWS).is_some();
    let instance = Instance { data_set, has_pixels, ..Instance::default() };
    deidentifier(options).deidentify(instance).unwrap()
}

fn read(file: Vec<u8>) -> Instance {
    let file = read_part10(Cursor::new(file), &ReadLimits::default()).unwrap();
    let has_pixels = file.pixels().is_some();
    Instance { meta: file.meta, data_set: file.data_set, has_pixels, ..Instance::default() }
}

fn text(vr: VR, text: &str) -> Element {
    Element { vr, value: Value::Text(text.to_owned()) }
}

fn items(items: Vec<DataSet>) -> Element {
    Element { vr: VR::SQ, value: Value::Items(items) }
}

fn data_set(elements: impl IntoIterator<Item = (Tag, Element)>) -> DataSet {
    let mut made = DataSet::default();
    made.elements.extend(elements);
    made
}

/// The least that an instance has.
fn instance(elements: impl IntoIterator<Item = (Tag, Element)>) -> DataSet {
    let mut made = data_set([
        (tags::SOP_CLASS_UID, text(VR::UI, uids::CT_IMAGE_STORAGE)),
        (tags::SOP_INSTANCE_UID, text(VR::UI, "1.2.3.4")),
        (tags::STUDY_INSTANCE_UID, text(VR::UI, "1.2.3")),
        (tags::SERIES_INSTANCE_UID, text(VR::UI, "1.2.3.5")),
        (tags::MODALITY, text(VR::CS, "CT")),
        (tags::PATIENT_ID, text(VR::LO, "MRN-4711")),
        (tags::PATIENT_NAME, text(VR::PN, "Planted^Person")),
    ]);
    made.elements.extend(elements);
    made
}

fn outcome(done: &Deidentified, tag: &str) -> Vec<Outcome> {
    let lines = done.report.attributes();
    lines.into_iter().filter(|line| line.tag == tag).map(|line| line.outcome).collect()
}
