//! A store with something in it, and one request of each kind to be made of it.

use std::path::{Path, PathBuf};

use healthimaging::{DatastoreId, ImageSetId};
use healthimaging_local::{LocalConfig, LocalStore};
use tempfile::TempDir;

use crate::chance::Chance;
use crate::child::{active_datastore, carry_out, config};
use crate::model::{Set, Sets};
use crate::plan::{Planner, Step, Way, delete};
use crate::proof::Look;

/// The patient of the store, and the one that arrives.
const PATIENT: u32 = 1;
const NEW_PATIENT: u32 = 2;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Arrive(Way),
    AddInstance(Way),
    Update,
    UpdateStudy,
    Revert,
    Copy,
    CopyPart,
    Join,
    Promote,
    Delete,
    DeleteCopy,
}

pub(crate) const DEEDS: [Deed; 13] = [
    Deed::Arrive(Way::Job),
    Deed::Arrive(Way::Web),
    Deed::AddInstance(Way::Job),
    Deed::AddInstance(Way::Web),
    Deed::Update,
    Deed::UpdateStudy,
    Deed::Revert,
    Deed::Copy,
    Deed::CopyPart,
    Deed::Join,
    Deed::Promote,
    Deed::Delete,
    Deed::DeleteCopy,
];

impl Deed {
    /// Whose sets it changes.
    pub(crate) fn patient(self) -> u32 {
        match self {
            Self::Arrive(_) => NEW_PATIENT,
            _ => PATIENT,
        }
    }

    /// The request, and what it does.
    pub(crate) fn step(self, sets: &Sets, inputs: &Path, chance: &mut Chance) -> Step {
        let mut planner = Planner { chance, inputs, patient: self.patient(), sets };
        if let Self::Arrive(way) = self {
            return planner.arrival(way);
        }
        let (primary, apart) = (set(sets, true, 1, 2), set(sets, false, 1, 2));
        match self {
            Self::Arrive(way) | Self::AddInstance(way) => planner.another_instance(way),
            Self::Update => planner.update(&apart.0, &apart.1),
            Self::UpdateStudy => planner.whole_study(&primary.0, &primary.1),
            Self::Revert => planner.revert(&primary.0, &primary.1),
            Self::Copy => planner.copy(&primary.0, &primary.1),
            Self::CopyPart => planner.copy_of_one(&primary.0, &primary.1),
            Self::Join => planner.join(&primary.0, &primary.1),
            Self::Promote => {
                let (id, set) = set(sets, false, 2, 2);
                planner.promotion(&id, &set)
            }
            Self::Delete => delete(&primary.0),
            Self::DeleteCopy => delete(&apart.0),
        }
    }
}

/// The set of a series that has so many instances at first.
fn set(sets: &Sets, primary: bool, series: u32, instances: usize) -> (ImageSetId, Set) {
    let fits = |set: &Set| {
        let first = &set.versions[0].instances;
        set.primary == primary
            && first.len() == instances
            && first.iter().all(|one| one.series == series)
    };
    let found = sets.iter().find(|(_, set)| fits(set)).unwrap();
    (found.0.clone(), found.1.clone())
}

/// A closed store that is copied for each trial.
pub(crate) struct Template {
    folder: TempDir,
    pub(crate) datastore: DatastoreId,
    pub(crate) sets: Sets,
}

impl Template {
    pub(crate) async fn new() -> Self {
        let folder = new_folder();
        let store = LocalStore::open(config(folder.path())).await.unwrap();
        let datastore = active_datastore(&store).await;
        let look = Look { store: &store, datastore: &datastore };
        let mut chance = Chance::new(u64::MAX);
        let inputs = folder.path().join("inputs");
        let mut sets = Sets::new();
        for number in 0..6 {
            let mut planner =
                Planner { chance: &mut chance, inputs: &inputs, patient: PATIENT, sets: &sets };
            let step = match number {
                0 => planner.arrival(Way::Job),
                1 | 2 => {
                    let (id, set) = set(&sets, true, number, 2);
                    planner.copy(&id, &set)
                }
                3 => {
                    let (id, set) = set(&sets, true, 1, 2);
                    planner.copy_of_one(&id, &set)
                }
                4 => {
                    let (id, set) = set(&sets, true, 1, 2);
                    planner.update(&id, &set)
                }
                _ => delete(&set(&sets, true, 2, 2).0),
            };
            carry_out(&store, &datastore, step.request).await.unwrap();
            assert_eq!(look.settle().await, Vec::<String>::new());
            sets = look.all().await[&PATIENT].clone();
        }
        store.close().await;
        Self { folder, datastore, sets }
    }

    /// A folder of its own with the same store; links between packs become copies.
    pub(crate) fn copy(&self) -> TempDir {
        let folder = new_folder();
        copy_folder(&self.folder.path().join("store"), &folder.path().join("store"));
        copy_folder(&self.folder.path().join("inputs"), &folder.path().join("inputs"));
        folder
    }
}

/// A config that takes nothing over: what a trial leaves undone stays undone.
pub(crate) fn idle(folder: &Path) -> LocalConfig {
    LocalConfig { run_jobs: false, ..config(folder) }
}

/// A folder of its own for a store and its inputs.
pub(crate) fn new_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inputs")).unwrap();
    folder
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name): (PathBuf, _) =
            entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy_folder(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
