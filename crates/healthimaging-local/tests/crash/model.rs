//! What has to be in the store, according to the responses.

use std::collections::{BTreeMap, BTreeSet};

use healthimaging::ImageSetId;

use crate::source::Instance;

/// One version of an image set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// Study Description: what updates change.
    pub(crate) description: String,
    pub(crate) instances: BTreeSet<Instance>,
}

/// An image set and all its versions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Set {
    pub(crate) primary: bool,
    pub(crate) versions: Vec<Version>,
}

/// All image sets of one patient.
pub(crate) type Sets = BTreeMap<ImageSetId, Set>;

impl Set {
    /// A set with one version.
    pub(crate) fn new(primary: bool, version: Version) -> Self {
        Self { primary, versions: vec![version] }
    }

    pub(crate) fn latest(&self) -> &Version {
        self.versions.last().unwrap()
    }

    /// The number of the latest version.
    pub(crate) fn number(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap()
    }

    /// The set with one version more.
    pub(crate) fn and(&self, version: Version) -> Self {
        let mut set = self.clone();
        set.versions.push(version);
        set
    }
}

/// What one request does to the sets of its patient: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effect {
    /// Sets that get an id only the store knows.
    pub(crate) made: Vec<Set>,
    pub(crate) changed: Sets,
    pub(crate) deleted: Vec<ImageSetId>,
}

impl Effect {
    fn apply(&self, known: &mut Sets, made: &mut Vec<Set>) {
        made.extend(self.made.clone());
        known.extend(self.changed.clone());
        known.retain(|id, _| !self.deleted.contains(id));
    }
}

/// Whether `found` is what `before` has become, when everything in `certain` happened and any of
/// `open` may have happened.
pub(crate) fn agrees(found: &Sets, before: &Sets, certain: &[&Effect], open: &[&Effect]) -> bool {
    let choices = 0..1_u32 << open.len();
    choices.into_iter().any(|choice| {
        let chosen = open.iter().enumerate();
        let chosen = chosen.filter(|(index, _)| choice >> index & 1 == 1);
        let (mut known, mut made) = (before.clone(), Vec::new());
        for effect in certain.iter().chain(chosen.map(|(_, effect)| effect)) {
            effect.apply(&mut known, &mut made);
        }
        is(found, &known, made)
    })
}

fn is(found: &Sets, known: &Sets, mut made: Vec<Set>) -> bool {
    let all = known.iter().all(|(id, set)| found.get(id) == Some(set));
    let mut others: Vec<Set> = found
        .iter()
        .filter(|(id, _)| !known.contains_key(*id))
        .map(|(_, set)| set.clone())
        .collect();
    others.sort();
    made.sort();
    all && others == made
}
