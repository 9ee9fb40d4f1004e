//! Plans of values of a series.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use healthimaging::model::GetImageSetMetadataRequest;
use healthimaging::{Error, Result};
use healthimaging_dicom::{DocumentText, UpdateDocuments, UpdateRules};

use super::{Holders, OLD_VALUES, Planner, Seen, plan};
use crate::change::Action;
use crate::change::one_update::check_updates;
use crate::change::part::everything;
use crate::change::replace::cannot_be_primary;
use crate::change::series::{Lacking, SeriesValues};
use crate::compare;
use crate::document::{self, Contents, FETCHED_AT_ONCE};
use crate::plan::Plan;

pub(super) const REPLACED: &str = "The service does not change the Series level of a primary image set. So it is copied to \
                        a new image set with a new id, the values are set in the copy, metadata and frames are compared, \
                        and the old image set is deleted with its ID, its older versions and its tags; then the copy \
                        becomes primary. For a moment DICOMweb does not show the series.";

const FORCED: &str = "Sequences and attributes of several values need force. AWS documents it for image sets that are not \
                      primary; where it refuses a primary one, nothing is changed, and the outcome says so.";

impl Planner<'_> {
    /// Setting values in all image sets that hold a series: by an update or, where the service does not change the Series
    /// level since an image set is primary, in a copy that takes its place.
    ///
    /// # Errors
    /// `NotFound` if no image set holds the series, or the instance that is named. `Validation` for values that the service
    /// refuses. `Conflict` if a changed copy could not become primary.
    pub async fn series_update(self, action: &str, values: SeriesValues) -> Result<Plan> {
        let series = values.series()?.clone();
        let (target, candidates) = self.candidates(Holders::Series(series.clone())).await?;
        let looked = stream::iter(candidates.iter().cloned())
            .map(|id| Box::pin(self.look(id)))
            .buffered(FETCHED_AT_ONCE)
            .try_collect::<Vec<_>>();
        let holds = |(_, contents): &(Seen, Contents)| {
            let held = contents.series.get(series.as_str());
            held.is_some_and(|held| {
                values.instance().is_none_or(|uid| held.instances.contains_key(uid.as_str()))
            })
        };
        let looked: Vec<_> = looked.await?.into_iter().flatten().collect();
        let held = looked.iter().filter_map(|(_, contents)| contents.series.get(series.as_str()));
        let uids: BTreeSet<_> = held.flat_map(|held| held.instances.keys()).collect();
        values.check_instances(uids.len())?;
        let (mut acts, mut documents, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for (seen, contents) in looked.into_iter().filter(holds) {
            let document = self.document(&seen).await?;
            let lacking = values.lacking(&document).await?;
            let is_replaced =
                seen.is_primary && lacking.as_ref().is_some_and(|lacking| lacking.sets_series);
            if let Some(lacking) = &lacking {
                let rules = UpdateRules {
                    primary: seen.is_primary && !is_replaced,
                    force: values.need_force(),
                    study_wide: false,
                };
                check(&document, lacking, rules).await?;
            }
            let action = if is_replaced {
                self.check_place(&seen, &contents).await?;
                notes.extend(self.parts_note(&seen, &contents, &everything(&contents)));
                Action::Replace { known: self.siblings(&seen, &candidates).await? }
            } else {
                let is_forced = seen.is_primary && lacking.is_some() && values.need_force();
                notes.extend(is_forced.then(|| FORCED.to_owned()));
                Action::Update
            };
            documents.push(document);
            acts.push((seen, action));
        }
        if acts.is_empty() {
            let what =
                if values.instance().is_some() { "instance of that series" } else { "series" };
            return Err(Error::not_found(format!("the data store holds no such {what}")));
        }
        let replaced: Vec<&str> = acts
            .iter()
            .filter(|(_, action)| matches!(action, Action::Replace { .. }))
            .map(|(seen, _)| seen.image_set_id.as_str())
            .collect();
        if replaced.len() > 1 {
            return Err(Error::conflict(format!(
                "the series has several primary image sets, which their changed copies would join: {}. Nothing was \
                 changed. Copy the instances of the others into one of them (copy_image_set with destinationImageSet), \
                 delete those whose instances it then holds, and call again",
                replaced.join(", ")
            )));
        }
        if acts.iter().any(|(_, action)| matches!(action, Action::Update)) {
            notes.push(OLD_VALUES.to_owned());
        }
        let changes = values.changes(documents).await?;
        let mut change = self.change(target);
        change.series_values = Some(values);
        let mut plan = plan(action, change, acts);
        plan.changes = changes;
        notes.dedup();
        plan.notes.extend(notes);
        Ok(plan)
    }

    async fn document(self, seen: &Seen) -> Result<Arc<DocumentText>> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: seen.image_set_id.clone(),
            version_id: Some(seen.version_id.clone()),
        };
        document::fetch(self.service, request).await
    }

    /// Refuses an image set whose copy would not become primary.
    async fn check_place(self, seen: &Seen, contents: &Contents) -> Result<()> {
        if contents.series.len() != 1 {
            return Err(Error::conflict(format!(
                "image set {} is primary and holds several series, so that a changed copy cannot take its place: nothing \
                 was changed. Copy the series by itself (copy_image_set with copiableAttributes), and update the copy",
                seen.image_set_id
            )));
        }
        let id = &seen.image_set_id;
        let found = compare::obstacles(self.service, self.datastore_id, contents, id).await?;
        if found.is_empty() { Ok(()) } else { Err(cannot_be_primary(&found)) }
    }
}

/// Refuses values that the service would refuse by its documented rules.
async fn check(document: &Arc<DocumentText>, lacking: &Lacking, rules: UpdateRules) -> Result<()> {
    let text = lacking.document.to_string();
    let updates = UpdateDocuments::parse(Some(text.as_bytes()), None)?;
    check_updates(Arc::clone(document), updates, rules).await
}
