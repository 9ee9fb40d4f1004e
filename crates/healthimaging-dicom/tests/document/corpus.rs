//! Files from many makers: what the document keeps is what the file held.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use healthimaging::ImageFrameId;
use healthimaging_dicom::{
    ApartValue, Document, InstanceToWrite, Part10, PixelOverrides, PixelSource, ReadLimits,
    read_part10, write_part10,
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
    let (document, apart) = document_of(&mut file);
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
        let found = apart.iter().find(|(known, _)| known == id);
        Ok(found.unwrap().1.clone())
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

fn document_of<S: std::io::Read + std::io::Seek>(
    file: &mut Part10<S>,
) -> (Document, Vec<(ImageFrameId, Vec<u8>)>) {
    let mut split = Document::new_instance(&file.meta, &file.data_set);
    let mut apart = Vec::new();
    for (number, element) in std::mem::take(&mut split.apart).into_iter().enumerate() {
        let blob_id = ImageFrameId::try_from(format!("{number:032x}")).unwrap();
        let bytes = file.read_apart(element.offset, element.length).unwrap();
        apart.push((blob_id.clone(), bytes));
        let (length, vr) = (element.length, element.vr);
        let value = ApartValue { blob_id, length, vr };
        split.instance.details.apart.insert(element.path, value);
    }
    if let Some(pixels) = file.pixels() {
        split.instance.details.keep_pixel_form(pixels);
    }
    let mut document = Document::default();
    document.add(split);
    (document, apart)
}
