//! Import of a CT archive by the command line, beside the codec alone on the same slices.
//!
//! It stands for filling an archive from a disk: 2,000 slices of 512×512, 16 bits, with correlated noise,
//! in 20 series of 10 studies. The codec alone is encode, decode and compare from memory, a thread a core.
//! `IMPORT_PATIENTS` sets another number of patients, each of 400 slices (5).

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use healthimaging_phantoms::Archive;
use healthimaging_pixels::{FrameShape, LosslessFormat, PixelRepresentation, encode};
use support::{Outcome, a_second, memory_mib};

const SLICE: FrameShape = FrameShape {
    rows: 512,
    columns: 512,
    samples_per_pixel: 1,
    bits_allocated: 16,
    bits_stored: 16,
    representation: PixelRepresentation::Signed,
};

/// How many slices the codec alone gets: enough for seconds, few enough for memory.
const ALONE: usize = 2000;

fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let patients = std::env::var("IMPORT_PATIENTS").map_or(Ok(5), |text| text.parse())?;
    let archive = Archive { patients, ..Archive::default() };
    let count = archive.files().count();
    let bytes = healthimaging_phantoms::write_to(folder.path(), archive.files())?;
    let before = codec_alone(folder.path())?;
    let data = tempfile::tempdir()?;
    let (took, peak) = import(folder.path(), data.path())?;
    let after = codec_alone(folder.path())?;
    let (rate, alone) = (a_second(count, took), f64::midpoint(before, after));
    println!(
        "encode and verify alone on all cores: {before:.0} frames/s before the import, {after:.0} after"
    );
    println!(
        "import of {count} slices: {rate:.0} frames/s, {:.0} % of the codec alone; peak memory {peak:.0} MiB",
        100.0 * rate / alone
    );
    println!(
        "disk: {:.0} KB a slice as a file, {:.0} KB in the store",
        kilobytes(bytes) / f64::from(u32::try_from(count)?),
        kilobytes(size_below(data.path())?) / f64::from(u32::try_from(count)?)
    );
    Ok(())
}

/// The command line's import, from spawn to exit, and the most memory that it had.
fn import(folder: &Path, data: &Path) -> Outcome<(Duration, f64)> {
    let began = Instant::now();
    let mut child = support::command(data).arg("import").arg(folder).spawn()?;
    let mut peak = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = memory_mib(child.id(), "VmHWM:").unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    if !status.success() {
        return Err("the import failed".into());
    }
    Ok((took, peak))
}

/// Encode and verify of slices in memory, a thread a core: frames a second.
fn codec_alone(folder: &Path) -> Outcome<f64> {
    let mut slices = Vec::new();
    pixels_below(folder, &mut slices)?;
    let threads = std::thread::available_parallelism()?.get();
    let began = Instant::now();
    std::thread::scope(|scope| -> Outcome<()> {
        let workers: Vec<_> = slices
            .chunks(slices.len().div_ceil(threads).max(1))
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|pixels| {
                        encode(LosslessFormat::Htj2k, &SLICE, "MONOCHROME2", pixels).map(drop)
                    })
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "a thread failed")??;
        }
        Ok(())
    })?;
    Ok(a_second(slices.len(), began.elapsed()))
}

/// The pixel data is the last element of every slice.
fn pixels_below(folder: &Path, slices: &mut Vec<Vec<u8>>) -> Outcome<()> {
    let length = usize::try_from(SLICE.byte_length())?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pixels_below(&path, slices)?;
        } else if slices.len() < ALONE {
            let mut file = std::fs::read(&path)?;
            slices.push(file.split_off(file.len().saturating_sub(length)));
        }
    }
    Ok(())
}

fn size_below(folder: &Path) -> Outcome<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.path().is_dir() {
            size_below(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(size)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to print")]
fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1000.0
}
