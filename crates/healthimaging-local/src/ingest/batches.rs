//! Which files are stored together: those of a group, once for each time that their instances come.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use healthimaging_dicom::GroupKey;

use super::file::Header;

/// A batch: files of one group that hold different instances, and become one version.
///
/// The outcome of a job or request is that of one job for each turn: an instance that comes again is stored again, as
/// a later job would, in a version or an image set of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BatchKey {
    pub(crate) group: GroupKey,
    /// How many files before hold the same instance; batches are stored in this order.
    pub(crate) turn: u32,
}

/// The instances of a job or request that came so far: 16 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// By the hash of the instance. Two of one hash are only stored in different batches.
    seen: HashMap<u64, u32>,
    hasher: RandomState,
}

impl Batches {
    /// The batch of the next file.
    pub(crate) fn add(&mut self, header: &Header) -> BatchKey {
        let hash = self.hasher.hash_one((&header.group, &header.sop_instance_uid));
        let came = self.seen.entry(hash).or_default();
        let turn = *came;
        *came += 1;
        BatchKey { group: header.group.clone(), turn }
    }
}
