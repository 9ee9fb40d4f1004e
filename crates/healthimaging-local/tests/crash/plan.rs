//! What is asked of the store next, and what has to come of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use healthimaging::ImageSetId;
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::model::{Effect, Set, Sets, Version};
use crate::source::Instance;

/// A request, as it is sent to the child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    Import {
        folder: PathBuf,
    },
    Store {
        folder: PathBuf,
    },
    Update {
        set: ImageSetId,
        version: u32,
        description: String,
        whole_study: bool,
    },
    Revert {
        set: ImageSetId,
        version: u32,
        to: u32,
    },
    Copy {
        set: ImageSetId,
        version: u32,
        /// Series and SOP Instance UIDs; everything, when empty.
        only: Vec<(String, String)>,
        into: Option<(ImageSetId, u32)>,
        promote: bool,
    },
    Delete {
        set: ImageSetId,
    },
}

/// A request and what it does, in parts that may happen without one another.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) request: Request,
    pub(crate) effects: Vec<Effect>,
}

impl Step {
    fn of(request: Request, effect: Effect) -> Self {
        Self { request, effects: vec![effect] }
    }
}

/// What is needed to plan.
pub(crate) struct Planner<'a> {
    pub(crate) chance: &'a mut Chance,
    /// Where the folders of files are made.
    pub(crate) inputs: &'a Path,
    pub(crate) patient: u32,
    pub(crate) sets: &'a Sets,
}

impl Planner<'_> {
    /// Requests that do not disturb one another.
    pub(crate) fn plan(&mut self) -> Vec<Step> {
        if self.sets.is_empty() {
            let way = self.way();
            return vec![self.arrival(way)];
        }
        let (id, set) = self.any();
        match self.chance.below(9) {
            0 | 1 => vec![self.whole_study(&id, &set)],
            2 => vec![self.update(&id, &set)],
            3 => vec![self.revert(&id, &set)],
            4 => {
                let way = self.way();
                vec![self.another_instance(way)]
            }
            5 => match self.chance.below(2) {
                0 => vec![self.copy(&id, &set)],
                _ => vec![self.copy_of_one(&id, &set)],
            },
            6 => vec![self.join(&id, &set)],
            7 => vec![self.promotion(&id, &set)],
            _ => self.farewell(),
        }
    }

    fn any(&mut self) -> (ImageSetId, Set) {
        let all: Vec<_> = self.sets.iter().collect();
        let (id, set) = self.chance.pick(&all);
        ((*id).clone(), (*set).clone())
    }

    fn instance(&self, series: u32, number: u32) -> Instance {
        Instance { patient: self.patient, series, number }
    }

    fn folder(&mut self, instances: &[Instance]) -> PathBuf {
        let folder = self.inputs.join(format!("{:016x}", self.chance.next()));
        std::fs::create_dir(&folder).unwrap();
        for instance in instances {
            instance.write(&folder);
        }
        folder
    }

    fn way(&mut self) -> Way {
        if self.chance.below(2) == 0 { Way::Job } else { Way::Web }
    }

    /// Two series of a new patient, or the same once more.
    pub(crate) fn arrival(&mut self, way: Way) -> Step {
        let series = [1, 2].map(|series| [1, 2].map(|number| self.instance(series, number)));
        let folder = self.folder(&series.concat());
        let each = series.map(|instances| self.joined(&instances));
        let request = way.request(folder);
        let effects = match way {
            // The job goes on until it is done.
            Way::Job => {
                let mut all = Effect::default();
                for effect in each {
                    all.made.extend(effect.made);
                    all.changed.extend(effect.changed);
                }
                vec![all]
            }
            Way::Web => each.into(),
        };
        Step { request, effects }
    }

    /// What comes of instances of one series that arrive.
    fn joined(&self, instances: &[Instance]) -> Effect {
        if let Some((id, set)) = self.primary_of(instances[0]) {
            let mut version = set.latest().clone();
            version.instances.extend(instances);
            return changed(id, set.and(version));
        }
        let version =
            Version { description: "0".to_owned(), instances: instances.iter().copied().collect() };
        made(Set::new(true, version))
    }

    fn described(&mut self, set: &Set) -> (String, Version) {
        let description = format!("D{}", self.chance.below(1_000_000));
        let version = Version { description: description.clone(), ..set.latest().clone() };
        (description, version)
    }

    pub(crate) fn update(&mut self, id: &ImageSetId, set: &Set) -> Step {
        let (description, version) = self.described(set);
        let request = Request::Update {
            set: id.clone(),
            version: set.number(),
            description,
            whole_study: false,
        };
        Step::of(request, changed(id, set.and(version)))
    }

    pub(crate) fn whole_study(&mut self, id: &ImageSetId, set: &Set) -> Step {
        if !set.primary {
            return self.update(id, set);
        }
        let (description, _) = self.described(set);
        let primary = self.sets.iter().filter(|(_, set)| set.primary);
        let changed = primary.map(|(id, set)| {
            let version = Version { description: description.clone(), ..set.latest().clone() };
            (id.clone(), set.and(version))
        });
        let effect = Effect { changed: changed.collect(), ..Effect::default() };
        let request = Request::Update {
            set: id.clone(),
            version: set.number(),
            description,
            whole_study: true,
        };
        Step::of(request, effect)
    }

    pub(crate) fn revert(&mut self, id: &ImageSetId, set: &Set) -> Step {
        let index = usize::try_from(self.chance.below(set.number().into())).unwrap();
        let request = Request::Revert {
            set: id.clone(),
            version: set.number(),
            to: u32::try_from(index).unwrap() + 1,
        };
        Step::of(request, changed(id, set.and(set.versions[index].clone())))
    }

    /// An instance more for the first series.
    pub(crate) fn another_instance(&mut self, way: Way) -> Step {
        let number = 3 + u32::try_from(self.chance.below(4)).unwrap();
        let new = self.instance(1, number);
        let folder = self.folder(&[new]);
        let effect = self.joined(&[new]);
        Step::of(way.request(folder), effect)
    }

    fn primary_of(&self, instance: Instance) -> Option<(&ImageSetId, &Set)> {
        let of_series = |set: &Set| {
            let instances = &set.latest().instances;
            instances.iter().any(|held| held.series == instance.series)
        };
        let mut sets = self.sets.iter();
        sets.find(|(_, set)| set.primary && of_series(set))
    }

    /// The whole set to a new set.
    pub(crate) fn copy(&mut self, id: &ImageSetId, set: &Set) -> Step {
        self.copied(id, set, None)
    }

    /// One instance to a new set.
    ///
    /// An instance that joined after an update keeps its own description, and a copy of it alone has that one.
    /// So one is chosen that was there from an import on.
    pub(crate) fn copy_of_one(&mut self, id: &ImageSetId, set: &Set) -> Step {
        let first = &set.versions[0];
        let imported = set.latest().instances.intersection(&first.instances);
        let all: Vec<_> = imported.copied().filter(|_| first.description == "0").collect();
        if all.is_empty() {
            return self.copy(id, set);
        }
        let one = *self.chance.pick(&all);
        self.copied(id, set, Some(one))
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn copied(&self, id: &ImageSetId, set: &Set, one: Option<Instance>) -> Step {
        let mut version = set.latest().clone();
        if let Some(one) = one {
            version.instances = [one].into();
        }
        let only = one.map(|one| (one.series_uid(), one.sop_uid()));
        let request = Request::Copy {
            set: id.clone(),
            version: set.number(),
            only: only.into_iter().collect(),
            into: None,
            promote: false,
        };
        Step::of(request, made(Set::new(false, version)))
    }

    /// What another set lacks, into that set.
    pub(crate) fn join(&mut self, id: &ImageSetId, set: &Set) -> Step {
        let lacks = |other: &Set| -> BTreeSet<Instance> {
            let held = &other.latest().instances;
            set.latest().instances.difference(held).copied().collect()
        };
        let others: Vec<_> = self
            .sets
            .iter()
            .filter(|(other, found)| *other != id && !found.primary && !lacks(found).is_empty())
            .collect();
        if others.is_empty() {
            return self.copy(id, set);
        }
        let (other, found) = *self.chance.pick(&others);
        let missing = lacks(found);
        let only = missing.iter().map(|one| (one.series_uid(), one.sop_uid()));
        let mut version = found.latest().clone();
        let request = Request::Copy {
            set: id.clone(),
            version: set.number(),
            only: only.collect(),
            into: Some((other.clone(), found.number())),
            promote: false,
        };
        version.instances.extend(missing);
        Step::of(request, changed(other, found.and(version)))
    }

    /// A set of one series that has no primary set, into the primary hierarchy.
    pub(crate) fn promotion(&mut self, id: &ImageSetId, set: &Set) -> Step {
        let instances = &set.latest().instances;
        let series: BTreeSet<u32> = instances.iter().map(|one| one.series).collect();
        let taken = instances.iter().any(|one| self.primary_of(*one).is_some());
        if set.primary || taken || series.len() > 1 {
            return self.copy(id, set);
        }
        let request = Request::Copy {
            set: id.clone(),
            version: set.number(),
            only: Vec::new(),
            into: None,
            promote: true,
        };
        Step::of(request, made(Set::new(true, set.latest().clone())))
    }

    /// Deletes one set, or mostly all of them.
    fn farewell(&mut self) -> Vec<Step> {
        let (one, _) = self.any();
        let all = self.chance.below(3) > 0;
        let chosen = self.sets.keys().filter(|id| all || **id == one);
        chosen.map(delete).collect()
    }
}

/// Deletes a set.
pub(crate) fn delete(id: &ImageSetId) -> Step {
    let deleted = vec![id.clone()];
    let request = Request::Delete { set: id.clone() };
    let effect = Effect { deleted, ..Effect::default() };
    Step::of(request, effect)
}

/// How files come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By an import job.
    Job,
    /// By `DICOMweb`.
    Web,
}

impl Way {
    fn request(self, folder: PathBuf) -> Request {
        match self {
            Self::Job => Request::Import { folder },
            Self::Web => Request::Store { folder },
        }
    }
}

fn made(set: Set) -> Effect {
    Effect { made: vec![set], ..Effect::default() }
}

fn changed(id: &ImageSetId, set: Set) -> Effect {
    Effect { changed: [(id.clone(), set)].into(), ..Effect::default() }
}
