//! Writes phantoms below a folder: `archive DIR` the demonstration's archive,
//! `archive DIR PATIENTS STUDIES SERIES INSTANCES SIZE` a CT archive.

use std::path::Path;

use healthimaging_phantoms::{Archive, demo_archive, write_to};

#[expect(clippy::print_stdout, reason = "the example's one line of output")]
fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let directory = Path::new(words.first().map_or("phantoms", String::as_str));
    let numbers: Vec<u32> = words.iter().skip(1).filter_map(|word| word.parse().ok()).collect();
    let bytes = match numbers.as_slice() {
        &[patients, studies, series, instances, size] => {
            let size = u16::try_from(size).unwrap_or(u16::MAX);
            let archive =
                Archive { patients, studies, series, instances, size, ..Archive::default() };
            write_to(directory, archive.files())?
        }
        _ => write_to(directory, demo_archive())?,
    };
    println!("{bytes} bytes below {}", directory.display());
    Ok(())
}
