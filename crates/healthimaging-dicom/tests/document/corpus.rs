//! Files from many makers: what the document keeps is what the file held.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::ImageFrameId;
use healthimaging_dicom::{
    BulkValue, DataSet, Document, InstanceToWrite, Part10, PixelOverrides, PixelSource, ReadLimits,
    Value, read_part10, write_part10,
};

use crate::part10::comparable;
use crate::slice::json;

type Source = Part10<BufReader<File>>;

/// Runs over the folder that `HEALTHIMAGING_CORPUS` names.
#[test]
fn every_file_comes_back_from_its_document() {
    let Some(folder) = std::env::var_os("HEALTHIMAGING_CORPUS") else {
        println!("did not run: HEALTHIMAGING_CORPUS names no folder");
        return;
    };
    let mut files = Vec::new();
    list(Path::new(&folder), &mut files);
    let mut compared = 0;
    for path in &files {
        let source = BufReader::new(File::open(path).unwrap());
        // What the reader refuses is its own tests' matter.
        if let Ok(file) = read_part10(source, &ReadLimits::default()) {
            compare(file, path);
            compared += 1;
        }
    }
    assert!(compared > 0, "no DICOM file in the folder");
    println!("{compared} of {} files compared", files.len());
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn compare(mut file: Source, path: &Path) {
    let (document, bulk_data) = document_of(&mut file);
    keeps_every_element(&file, &document, path);
    let read = Document::from_json(json(&document).as_bytes(), document.details()).unwrap();
    assert_eq!(read, document, "{}", path.display());
    let (series_uid, series) = document.series.iter().next().unwrap();
    let sop_uid = series.instances.keys().next().unwrap();
    let source = InstanceToWrite {
        document: &document,
        series_uid,
        sop_uid,
        transfer_syntax: &file.transfer_syntax.clone(),
        overrides: PixelOverrides::default(),
    };
    let mut blob = Vec::new();
    file.read_pixel_blob_into(&mut blob).unwrap();
    let pixels = match file.pixels() {
        None => PixelSource::None,
        Some(_) => {
            PixelSource::Blob { length: blob.len() as u64, value: Box::new(blob.as_slice()) }
        }
    };
    let mut fetch = |id: &ImageFrameId| {
        let found = bulk_data.iter().find(|(known, _)| known == id);
        Ok(found.unwrap().1.clone().into())
    };
    let mut out = Vec::new();
    write_part10(&source, pixels, &mut fetch, &mut out).unwrap();
    let mut again = read_part10(Cursor::new(&out), &ReadLimits::default()).unwrap();
    let mut blob_again = Vec::new();
    again.read_pixel_blob_into(&mut blob_again).unwrap();
    blob_again.truncate(blob.len());
    assert!(blob_again == blob, "pixel data of {}", path.display());
    let (written, _) = document_of(&mut again);
    let data_set =
        |document: &Document| comparable(document.data_set(series_uid, sop_uid).unwrap());
    assert_eq!(data_set(&written), data_set(&document), "{}", path.display());
}

/// Whether the document gives back what was read: every element with its VR and its value, exactly but
/// for one pad of a text, which a writer adds again.
fn keeps_every_element(file: &Source, document: &Document, path: &Path) {
    let (series_uid, series) = document.series.iter().next().unwrap();
    let sop_uid = series.instances.keys().next().unwrap();
    let mut found = document.data_set(series_uid, sop_uid).unwrap();
    let mut read = file.data_set.clone();
    found.elements.retain(|tag, _| tag.group() > 2);
    read.elements.retain(|tag, _| !is_pixel_data(*tag));
    assert_eq!(without_place(found), without_place(read), "{}", path.display());
}

fn is_pixel_data(tag: Tag) -> bool {
    [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA].contains(&tag)
}

/// Without where a large value lies, and without the pad that a writer adds.
fn without_place(mut data_set: DataSet) -> DataSet {
    for element in data_set.elements.values_mut() {
        let pad = if element.vr == VR::UI { '\0' } else { ' ' };
        match &mut element.value {
            Value::Text(text) if text.len() > 1 && text.ends_with(pad) => _ = text.pop(),
            Value::Bulk { offset, .. } => *offset = 0,
            Value::Items(items) if items.is_empty() => element.value = Value::Empty,
            Value::Items(items) => {
                for item in items {
                    *item = without_place(std::mem::take(item));
                }
            }
            _ => {}
        }
    }
    data_set
}

fn document_of<S: std::io::Read + std::io::Seek>(
    file: &mut Part10<S>,
) -> (Document, Vec<(ImageFrameId, Vec<u8>)>) {
    let mut split = Document::new_instance(&file.meta, file.data_set.clone());
    let mut bulk_data = Vec::new();
    for (number, element) in std::mem::take(&mut split.bulk_data).into_iter().enumerate() {
        let blob_id = ImageFrameId::try_from(format!("{number:032x}")).unwrap();
        let bytes = file.read_bulk(element.offset, element.length).unwrap();
        bulk_data.push((blob_id.clone(), bytes));
        let (length, vr) = (element.length, element.vr);
        let value = BulkValue { blob_id, length, vr };
        split.instance.details.bulk_data.insert(element.path, value);
    }
    if let Some(pixels) = file.pixels() {
        split.instance.details.keep_pixel_form(pixels);
    }
    let mut document = Document::default();
    document.add(split);
    (document, bulk_data)
}
