//! Real files, where the environment names a folder of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use healthimaging_dicom::{ReadError, ReadLimits, read_part10};

/// Ends of the paths of Part 10 files that have to be refused for more than a missing attribute.
const REFUSED: [&str; 3] =
    ["edge/deflate_bomb.dcm", "edge/trunc_dataset.dcm", "edge/trunc_meta.dcm"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn is_part10(path: &Path) -> bool {
    fs::read(path).unwrap().get(128..132) == Some(b"DICM")
}

#[test]
fn every_file_is_read_in_full_or_refused_for_a_reason() {
    let Some(folder) = std::env::var_os("HEALTHIMAGING_CORPUS") else {
        println!("did not run: HEALTHIMAGING_CORPUS names no folder");
        return;
    };
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    paths.retain(|path| is_part10(path));
    assert!(!paths.is_empty(), "HEALTHIMAGING_CORPUS has no Part 10 file");
    let (mut read, mut frames) = (0, 0);
    for path in &paths {
        let refused = REFUSED.iter().any(|end| path.ends_with(end));
        match read_part10(File::open(path).unwrap(), &ReadLimits::default()) {
            Ok(mut file) => {
                assert!(!refused, "{} was read", path.display());
                for index in 0..file.frame_count() {
                    file.read_frame(index, 1 << 30).unwrap();
                }
                let mut blob = Vec::new();
                let length = file.read_pixel_blob_into(&mut blob).unwrap();
                assert_eq!(blob.len() as u64, length);
                read += 1;
                frames += file.frame_count();
            }
            Err(ReadError::Missing(_) | ReadError::Empty | ReadError::MediaDirectory) => {}
            Err(error) => assert!(refused, "{}: {error}", path.display()),
        }
    }
    println!("read {read} of {} files and {frames} frames", paths.len());
    assert!(read > 0);
}
