//! Names of the files of an export.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use healthimaging::{ImageSetId, Uid};
use healthimaging_deidentify::{Deidentifier, ProfileOption};

use super::items::Instance;
use crate::deidentify::Instances;

/// Ending of the files.
pub(super) const ENDING: &str = ".dcm";
/// Bytes of a name without its ending; file systems take 255 with it.
const LONGEST_NAME: usize = 200;

/// How files and folders are named.
pub(super) struct Naming(Option<Deidentifier>);

impl Naming {
    /// Names by the UIDs of the instances, or by the new ones of a de-identified export.
    pub(super) fn new(instances: Option<&Instances>) -> Self {
        Self(instances.map(|instances| instances.deidentifier().clone()))
    }

    /// The path of a file; that of an image set outside of the primary hierarchy has its own folder.
    pub(super) fn path(&self, instance: &Instance, image_set_id: Option<&ImageSetId>) -> String {
        let Instance { study, series, sop } = instance;
        let [study, series, sop] = [study, series, sop].map(|uid| self.uid(uid));
        match image_set_id.map(|set| self.image_set(set)) {
            None => format!("{study}/{series}/{sop}{ENDING}"),
            Some(set) => format!("{study}/{series}/{set}/{sop}{ENDING}"),
        }
    }

    /// The name of an image set.
    pub(super) fn image_set(&self, id: &ImageSetId) -> String {
        match &self.0 {
            None => id.to_string(),
            Some(deidentifier) => deidentifier.uid(id.as_str()),
        }
    }

    /// Returns what makes new UIDs, if the export is de-identified.
    pub(super) fn deidentifier(&self) -> Option<&Deidentifier> {
        self.0.as_ref()
    }

    /// The name of an instance, series or study: the UID that the file holds. Where the files hold original UIDs, other
    /// names would link these with the new UIDs of exports with the same key.
    pub(super) fn uid<'a>(&self, uid: &'a Uid) -> Cow<'a, str> {
        let Some(deidentifier) = &self.0 else { return file_name(uid) };
        let is_retained = deidentifier.profile().has(ProfileOption::RetainUids);
        // What has another form may be a name.
        let has_form = uid.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_retained && has_form { file_name(uid) } else { deidentifier.uid(uid.as_str()).into() }
    }
}

/// A UID as the name of a file: percent-encoded where it is malformed, and cut where that is longer than
/// file systems take, with a hash of the whole.
fn file_name(uid: &Uid) -> Cow<'_, str> {
    let name = uid.path_segment();
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let hash = Sha256::digest(uid.as_str());
    let hash = hash.iter().take(8).fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    let hash = format!("{hash:016x}");
    // The name is ASCII.
    let kept = name.get(..LONGEST_NAME - hash.len() - 1).unwrap_or_default();
    Cow::Owned(format!("{kept}~{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_uid_is_never_a_path() {
        for hostile in ["..", ".", "", "1\0", "1\n"] {
            assert!(Instance::of(hostile, "1.2", "1.3").is_err(), "{hostile:?}");
            assert!(Instance::of("1.1", hostile, "1.3").is_err(), "{hostile:?}");
            assert!(Instance::of("1.1", "1.2", hostile).is_err(), "{hostile:?}");
        }
        for (hostile, name) in [
            ("../1", "..%2F1"),
            ("1/2", "1%2F2"),
            ("1.2\\3", "1.2%5C3"),
            ("/etc", "%2Fetc"),
            ("a b", "a%20b"),
            ("C:", "C%3A"),
        ] {
            let instance = Instance::of(hostile, "1.2", "1.3").unwrap();
            assert_eq!(Naming::new(None).path(&instance, None), format!("{name}/1.2/1.3.dcm"));
        }
        let instance = Instance::of("1.1", "1.2", "1.3").unwrap();
        assert_eq!(Naming::new(None).path(&instance, None), "1.1/1.2/1.3.dcm");
    }

    #[test]
    fn long_uids_keep_apart_in_names_that_file_systems_take() {
        let long = |last: &str| format!("{}{last}", "é".repeat(250));
        let names = ["1", "2"].map(|last| {
            let instance = Instance::of("1.1", "1.2", &long(last)).unwrap();
            Naming::new(None).path(&instance, None)
        });
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.len() == "1.1/1.2/.dcm".len() + LONGEST_NAME));
    }
}
