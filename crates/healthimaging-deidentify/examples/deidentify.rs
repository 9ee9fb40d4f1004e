//! De-identifies the DICOM files of a folder into another one; prints what was done, one JSON object a file.
//!
//! `cargo run -p healthimaging-deidentify --example deidentify -- IN OUT KEY [OPTION,…] [--include-held]`
//!
//! `KEY` are 64 hexadecimal digits. Files are named by their new SOP Instance UIDs. Frames are blanked where they are
//! native; a file whose frames would have to be decoded first is reported as `not_written`, and so is what is held
//! back, unless `--include-held` is given.
#![expect(clippy::print_stdout, reason = "an example may")]

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use healthimaging::ImageFrameId;
use healthimaging_deidentify::{
    Blanking, Deidentifier, Instance, Key, PixelDecision, Profile, Report, blank_frame,
};
use healthimaging_dicom::{
    BulkValue, Document, InstanceToWrite, Part10, PixelLayout, PixelOverrides, PixelSource,
    ReadLimits, read_part10, write_part10,
};
use healthimaging_image::ByteOrder;
use serde_json::{Value, json};

type AnyResult<T> = Result<T, Box<dyn Error>>;
type Source = BufReader<File>;

fn main() -> AnyResult<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let held = arguments.iter().position(|argument| argument == "--include-held");
    let include_held = held.map(|at| arguments.remove(at)).is_some();
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().ok_or("arguments: IN OUT KEY [OPTION,…] [--include-held]");
    let (from, to) = (PathBuf::from(next()?), PathBuf::from(next()?));
    let key = Key::from_hex(&next()?)?;
    let options = next().unwrap_or_default();
    let options = options.split(',').filter(|option| !option.is_empty());
    let deidentifier = Deidentifier::new(Profile::parse("basic", options)?, key);
    std::fs::create_dir_all(&to)?;
    let mut files = Vec::new();
    walk(&from, &mut files)?;
    files.sort();
    let mut summary = Report::default();
    for path in files {
        let line = match one(&deidentifier, &path, &to, include_held) {
            Ok((line, report)) => {
                summary.add(&report);
                line
            }
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{}", json!({ "file": path, "result": line }));
    }
    println!("{}", json!({ "summary": summary }));
    Ok(())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> AnyResult<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn one(
    deidentifier: &Deidentifier,
    path: &Path,
    to: &Path,
    include_held: bool,
) -> AnyResult<(Value, Report)> {
    let mut file = read_part10(BufReader::new(File::open(path)?), &ReadLimits::default())?;
    let has_pixels = file.pixels().is_some();
    let done = deidentifier.deidentify(Instance {
        meta: file.meta.clone(),
        data_set: file.data_set.clone(),
        has_pixels,
        ..Instance::default()
    })?;
    let mut split = Document::new_instance(&done.meta, done.data_set);
    let mut bulk_data = HashMap::new();
    for (number, element) in std::mem::take(&mut split.bulk_data).into_iter().enumerate() {
        let blob_id = ImageFrameId::try_from(format!("{number:032x}"))?;
        bulk_data.insert(blob_id.clone(), file.read_bulk(element.offset, element.length)?);
        let (length, vr) = (element.length, element.vr);
        split.instance.details.bulk_data.insert(element.path, BulkValue { blob_id, length, vr });
    }
    if let Some(pixels) = file.pixels() {
        split.instance.details.keep_pixel_form(pixels);
    }
    let (series_uid, sop_uid) = (split.series_uid.clone(), split.sop_uid.clone());
    let mut document = Document::default();
    document.add(split);
    let source = InstanceToWrite {
        document: &document,
        series_uid: &series_uid,
        sop_uid: &sop_uid,
        transfer_syntax: &file.transfer_syntax.clone(),
        overrides: PixelOverrides::default(),
    };
    let mut blob = Vec::new();
    let (pixels, decision) = match &done.pixels {
        PixelDecision::Hold(reason) if !include_held => {
            let line = json!({ "pixels": "held", "reason": reason, "not_written": true });
            return Ok((line, done.report));
        }
        PixelDecision::Blank(blanking) => {
            let Some(frames) = blanked(&mut file, blanking)? else {
                let line = json!({ "pixels": "encoded", "not_written": true });
                return Ok((line, done.report));
            };
            (native(frames), json!("blanked"))
        }
        decision => {
            let length = file.read_pixel_blob_into(&mut blob)?;
            let pixels = if has_pixels {
                PixelSource::Blob { length, value: Box::new(blob.as_slice()) }
            } else {
                PixelSource::None
            };
            let decision = match decision {
                PixelDecision::Hold(reason) => json!({ "held": reason }),
                PixelDecision::Absent => json!("absent"),
                _ => json!("pass"),
            };
            (pixels, decision)
        }
    };
    // Files of the corpus have UIDs in common.
    let mut name = format!("{sop_uid}.dcm");
    for number in 1.. {
        if !to.join(&name).exists() {
            break;
        }
        name = format!("{sop_uid}-{number}.dcm");
    }
    let mut fetch = |id: &ImageFrameId| Ok(bulk_data.get(id).cloned().unwrap_or_default().into());
    let mut out = BufWriter::new(File::create(to.join(&name))?);
    write_part10(&source, pixels, &mut fetch, &mut out)?;
    out.flush()?;
    let line = json!({ "written": name, "pixels": decision, "report": done.report });
    Ok((line, done.report))
}

/// The frames of native pixel data, blanked; `None` when they have to be decoded first.
fn blanked(file: &mut Part10<Source>, blanking: &Blanking) -> AnyResult<Option<Vec<Vec<u8>>>> {
    let is_native =
        file.pixels().is_some_and(|pixels| matches!(pixels.layout, PixelLayout::Native));
    if !is_native || file.byte_order() != ByteOrder::Little {
        return Ok(None);
    }
    let description = file.description()?;
    let mut frames = Vec::new();
    for index in 0..file.frame_count() {
        let mut frame = file.read_frame(index, 256 << 20)?;
        blank_frame(&mut frame, &description, blanking)?;
        frames.push(frame);
    }
    Ok(Some(frames))
}

fn native<'a>(frames: Vec<Vec<u8>>) -> PixelSource<'a> {
    let length = frames.iter().map(|frame| frame.len() as u64).sum();
    PixelSource::Native { length, frames: Box::new(frames.into_iter().map(|f| Ok(f.into()))) }
}
