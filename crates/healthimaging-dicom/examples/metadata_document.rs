//! Prints the metadata document of a DICOM Part 10 file; with a second argument, writes the instance
//! as a Part 10 file again, pixel data as received.
//!
//! `cargo run -p healthimaging-dicom --example metadata_document -- in.dcm [out.dcm]`

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};

use healthimaging::{DatastoreId, ImageFrameId, ImageSetId};
use healthimaging_dicom::{
    BulkValue, Document, InstanceJson, InstanceToWrite, PixelOverrides, PixelSource, ReadLimits,
    read_part10, write_part10,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("give the path of a DICOM file")?;
    let mut file = read_part10(BufReader::new(File::open(path)?), &ReadLimits::default())?;
    let mut split = Document::new_instance(&file.meta, file.data_set.clone());
    let mut bulk_data = HashMap::new();
    for (number, element) in std::mem::take(&mut split.bulk_data).into_iter().enumerate() {
        let blob_id = ImageFrameId::try_from(format!("{number:032x}"))?;
        bulk_data.insert(blob_id.clone(), file.read_bulk(element.offset, element.length)?);
        let (length, vr) = (element.length, element.vr);
        let value = BulkValue { blob_id, length, vr };
        split.instance.details.bulk_data.insert(element.path, value);
    }
    if let Some(pixels) = file.pixels() {
        split.instance.details.keep_pixel_form(pixels);
    }
    let (series_uid, sop_uid) = (split.series_uid.clone(), split.sop_uid.clone());
    let mut document = Document::default();
    document.add(split);
    let json = document
        .to_json(&DatastoreId::try_from("0".repeat(32))?, &ImageSetId::try_from("0".repeat(32))?)?;
    let bulk = |value: &BulkValue| format!("bulkdata/{}", value.blob_id);
    let model = InstanceJson::of(&document, &series_uid, &sop_uid, &bulk)?;
    let mut printed = std::io::stdout().lock();
    printed.write_all(&json)?;
    writeln!(printed, "\n{}", serde_json::to_string(&model)?)?;

    let Some(out) = arguments.next() else {
        return Ok(());
    };
    let mut blob = Vec::new();
    let length = file.read_pixel_blob_into(&mut blob)?;
    let source = InstanceToWrite {
        document: &document,
        series_uid: &series_uid,
        sop_uid: &sop_uid,
        transfer_syntax: &file.transfer_syntax,
        overrides: PixelOverrides::default(),
    };
    let pixels = match file.pixels() {
        Some(_) => PixelSource::Blob { length, value: Box::new(blob.as_slice()) },
        None => PixelSource::None,
    };
    let mut fetch = |id: &ImageFrameId| Ok(bulk_data.get(id).cloned().unwrap_or_default().into());
    let mut out = BufWriter::new(File::create(out)?);
    write_part10(&source, pixels, &mut fetch, &mut out)?;
    out.flush()?;
    Ok(())
}
