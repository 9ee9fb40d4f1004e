//! Older versions of image sets that name a patient while the latest names another.
//!
//! A corrected Patient ID makes a new version; the older ones keep the one of before, and a search does not see them.

use std::collections::{BTreeSet, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use healthimaging::model::{GetImageSetMetadataRequest, ImageSetsMetadataSummary};
use healthimaging::{Error, ErrorKind, ImageSetId, Operation, Result, Uid, VersionId};

use super::{OlderVersions, Planner, Seen};
use crate::change::{Action, Target};
use crate::document::{self, FETCHED_AT_ONCE};
use crate::find::{self, Criteria, Text};
use crate::hierarchy;
use crate::plan::Plan;

/// Image sets that a note names; the rest is counted.
const NAMED: usize = 20;

pub(super) const RENEWED: &str = "Image sets whose latest version names another patient: the latest version is copied to a new image \
                       set with a new id, without older versions and tags, the copy is compared, and the old image set \
                       is deleted with all its versions. Nothing of the other patient is lost.";

const THESE_STUDIES: &str = "Older versions were read of image sets in the studies named here; those of other studies \
                             were not, since the service cannot search them.";

const NOT_EXAMINED: &str = "older versions of image sets whose latest version names another patient were not examined, since \
                            the service cannot search them: find the image sets of a corrected patient by their study or \
                            their new Patient ID; list_image_set_versions and get_image_set_metadata show what they keep";

impl Planner<'_> {
    /// Deleting all image sets of a patient, and what older versions of others hold of it.
    ///
    /// Where only older versions name the patient, the image set belongs to another one now: it is named in a note, or
    /// with [`OlderVersions::Erase`] replaced by a copy of its latest version. A back end without rate limits is
    /// looked through wholly, any other in the studies of the plan, which a note says. No image set at all is `NotFound`;
    /// so is one that only older versions would lead to, with what to ask for, or with what was not examined.
    pub async fn patient_deletion(
        self,
        action: &str,
        patient: &Text,
        older: OlderVersions,
        missing: &str,
    ) -> Result<Plan> {
        let criteria = Criteria::patient(patient.clone());
        let (found, nothing) = match self.matching(&criteria, missing).await {
            Ok(found) => (found, None),
            Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), Some(error)),
            Err(error) => return Err(error),
        };
        let warning = hierarchy::warning(&found);
        let whole = self.versions_of(found).await?;
        let is_all = (self.service.limits().rate)(Operation::GetImageSetMetadata).is_none();
        let named = self.named_before(patient, &whole, is_all).await?;
        let mut notes: Vec<String> = warning.into_iter().collect();
        match (named.len(), older, nothing) {
            (0, _, Some(error)) if is_all => return Err(error),
            (0, _, Some(_)) => return Err(Error::not_found(format!("{missing}; {NOT_EXAMINED}"))),
            (count, OlderVersions::Keep, Some(_)) => {
                return Err(Error::not_found(format!(
                    "{missing}, but older versions of {count} image sets name the patient while their latest names \
                     another: erase_older_versions: true erases those older versions"
                )));
            }
            (1.., OlderVersions::Keep, None) => notes.push(kept(&named)),
            _ => {}
        }
        if !is_all {
            notes.push(THESE_STUDIES.to_owned());
        }
        let mut acts: Vec<(Seen, Action)> =
            whole.into_iter().map(|seen| (seen, Action::Delete)).collect();
        if older == OlderVersions::Erase {
            for seen in named {
                let known = self.siblings(&seen, &[]).await?;
                let primary = seen.is_primary;
                acts.push((seen, Action::Renew { primary, known }));
            }
        }
        let change = self.change(Target::Matching(Box::new(criteria)));
        let mut plan = super::plan(action, change, acts);
        plan.notes.extend(notes);
        Ok(plan)
    }

    /// Image sets outside of `whole` of which an older version names the patient.
    async fn named_before(self, patient: &Text, whole: &[Seen], is_all: bool) -> Result<Vec<Seen>> {
        let planned: HashSet<&ImageSetId> = whole.iter().map(|seen| &seen.image_set_id).collect();
        let is_candidate = |set: &ImageSetsMetadataSummary| {
            set.version.is_none_or(|version| version > 1) && !planned.contains(&set.image_set_id)
        };
        let mut several = Vec::new();
        if is_all {
            let everything = Criteria::default();
            let all = find::candidates(self.service, self.datastore_id, &everything, usize::MAX);
            let changed = all.try_filter(|set| std::future::ready(is_candidate(set)));
            several = changed.try_collect().await?;
        } else {
            let studies: BTreeSet<&str> = whole.iter().map(|seen| seen.study.trim()).collect();
            for study in studies.into_iter().filter_map(|uid| Uid::try_from(uid).ok()) {
                let found = self.matching(&Criteria::study(study), "").await?;
                several.extend(found.into_iter().filter(is_candidate));
            }
        }
        let looked = stream::iter(several)
            .map(|summary| Box::pin(self.if_named_before(patient, summary)))
            .buffered(FETCHED_AT_ONCE)
            .try_collect::<Vec<_>>();
        Ok(looked.await?.into_iter().flatten().collect())
    }

    /// The image set, where an older version of it names the patient and the latest does not.
    async fn if_named_before(
        self,
        patient: &Text,
        summary: ImageSetsMetadataSummary,
    ) -> Result<Option<Seen>> {
        let seen = self.version_of(summary).await?;
        let latest = u32::try_from(seen.version_id.number()).unwrap_or(u32::MAX);
        for version in 1..=latest {
            let names = self.names(&seen.image_set_id, version.into(), patient).await?;
            match (names, version == latest) {
                // It belongs to the patient, and the search has not seen it yet.
                (true, true) => return Ok(None),
                (true, false)
                    if !self.names(&seen.image_set_id, latest.into(), patient).await? =>
                {
                    return Ok(Some(seen));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Whether a version names the patient.
    async fn names(self, id: &ImageSetId, version: VersionId, patient: &Text) -> Result<bool> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
            version_id: Some(version),
        };
        match document::contents(self.service, request).await {
            Ok(contents) => Ok(contents.patient_id().map(str::trim) == Some(patient.as_str())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Names image sets that stay as they are.
fn kept(named: &[Seen]) -> String {
    let ids: Vec<&str> = named.iter().take(NAMED).map(|seen| seen.image_set_id.as_str()).collect();
    let more = match named.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "Older versions of {} image sets name this patient while their latest names another; they stay as they are: \
         {}{more}. erase_older_versions: true erases them too.",
        named.len(),
        ids.join(", ")
    )
}
