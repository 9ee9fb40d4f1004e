//! Files that a DICOMDIR names, among those that were listed.

use std::collections::HashSet;
use std::fs::File;

use healthimaging_dicom::{ReadLimits, read_media_directory};

/// Files that DICOMDIRs name, by their keys as they are compared.
#[derive(Debug, Default)]
pub(super) struct NamedFiles(HashSet<String>);

/// Whether a key is that of a DICOMDIR (PS3.10 §8.6).
pub(super) fn is_directory(key: &str) -> bool {
    compared(key).rsplit('/').next() == Some("dicomdir")
}

impl NamedFiles {
    /// Adds the files that the DICOMDIR with `key` names, and returns the keys of those that are not
    /// `listed`. One that cannot be read names none.
    pub(super) async fn add<'a>(
        &mut self,
        directory: File,
        key: &str,
        listed: impl Iterator<Item = &'a str>,
    ) -> Vec<String> {
        let reading = move || read_media_directory(directory, &ReadLimits::default());
        let read = tokio::task::spawn_blocking(reading).await;
        let Ok(Ok(files)) = read else {
            return Vec::new();
        };
        let listed: HashSet<String> = listed.map(compared).collect();
        let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut missing = Vec::new();
        for file in files {
            let key = format!("{folder}/{}", file.join("/"));
            let name = compared(&key);
            if self.0.insert(name.clone()) && !listed.contains(&name) {
                missing.push(key);
            }
        }
        missing
    }

    /// Whether a DICOMDIR names the file.
    pub(super) fn has(&self, key: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&compared(key))
    }
}

/// File systems show the names of ISO 9660 in lower case, with a version, or with a dot for an empty
/// extension.
fn compared(key: &str) -> String {
    let key = key.to_ascii_lowercase();
    let key = match key.rsplit_once(';') {
        Some((name, version)) if version.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => &key,
    };
    key.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_file_systems_show_them() {
        for name in ["/cd/IMAGES/IM1", "/cd/images/im1;1", "/cd/Images/IM1.;1", "/cd/images/im1."] {
            assert_eq!(compared(name), "/cd/images/im1");
        }
        assert!(is_directory("/cd/DICOMDIR") && is_directory("/cd/dicomdir.;1"));
        assert!(!is_directory("/cd/DICOMDIR/IM1"));
    }
}
