//! Comparison of image sets and data stores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::{DatastoreId, Error, ImageSetId, Listing, NextToken, Result, Uid, VersionId};
use healthimaging_workflows::compare::{
    self, Difference, Differences, NotPrimary, SeriesDifference, SeriesState, Version,
    VersionSummary,
};
use healthimaging_workflows::counted;
use healthimaging_workflows::find::Criteria;

use super::hierarchy::uncancelled;
use crate::answer::Reply;
use crate::arguments::MaxResults;
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Tool};

/// Series of two data stores that one call visits.
const SERIES: usize = 50;

/// Compare two versions of an image set, two image sets, or two data stores (by series): attributes (old, new),
/// instances, frames. With image_set_id alone: why it is not primary, and the calls that make it so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareImageSets {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// The old one
    image_set_id: Option<ImageSetId>,
    /// Default: the latest
    version_id: Option<VersionId>,
    /// The new one; default: the same
    other_image_set_id: Option<ImageSetId>,
    /// Default: the latest
    other_version_id: Option<VersionId>,
    /// Default: the same
    other_datastore_id: Option<DatastoreId>,
    /// Only this study of two data stores
    study_instance_uid: Option<Uid>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

/// The differences.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Comparison {
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<VersionSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<VersionSummary>,
    /// Why the image set is not primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_primary: Option<NotPrimary>,
    /// Attributes that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Difference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes_total: Option<usize>,
    /// Counts of instances and frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Differences>,
    /// Series of two data stores that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    series: Vec<SeriesDifference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for CompareImageSets {
    const NAME: &'static str = "compare_image_sets";
    const TITLE: &'static str = "Compare image sets";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "version_id": "1", "other_version_id": "3"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = Comparison;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        match (&self.image_set_id, &self.other_datastore_id) {
            (Some(image_set_id), _) => {
                self.image_sets(context, &datastore_id, image_set_id.clone()).await
            }
            (None, Some(other)) => self.datastores(context, &datastore_id, other).await,
            (None, None) => Err(Error::validation(
                "name image_set_id to compare image sets, or other_datastore_id to compare data stores",
            )),
        }
    }
}

impl CompareImageSets {
    async fn image_sets(
        &self,
        context: &Context,
        datastore_id: &DatastoreId,
        image_set_id: ImageSetId,
    ) -> Result<Reply<Comparison>> {
        if self.study_instance_uid.is_some() {
            return Err(Error::validation(
                "study_instance_uid selects a study of two data stores; leave image_set_id out",
            ));
        }
        let service = context.service();
        let fetch = |datastore_id: &DatastoreId, id, version| {
            Version::fetch(service, datastore_id.clone(), id, version)
        };
        let old = fetch(datastore_id, image_set_id.clone(), self.version_id.clone()).await?;
        let names_other = self.other_image_set_id.is_some()
            || self.other_version_id.is_some()
            || self.version_id.is_some();
        let (new, not_primary) = if names_other {
            let other = self.other_datastore_id.as_ref().unwrap_or(datastore_id);
            let id = self.other_image_set_id.clone().unwrap_or(image_set_id);
            (Some(fetch(other, id, self.other_version_id.clone()).await?), None)
        } else if self.other_datastore_id.is_some() {
            return Err(Error::validation(
                "other_image_set_id is needed beside image_set_id and other_datastore_id; leave both out to \
                 compare the data stores",
            ));
        } else {
            let (why, primary) = compare::not_primary(service, &old).await?;
            (primary, Some(why))
        };
        let mut output = Comparison { old: Some(old.summary()), ..Comparison::default() };
        let reason = not_primary.as_ref().map(|why| why.reason.clone());
        output.not_primary = not_primary;
        let Some(new) = new else {
            return Ok(Reply::new(output, reason.unwrap_or_default()));
        };
        output.new = Some(new.summary());
        let mut found = compare::differences(&old, &new).await?;
        let attributes = std::mem::take(&mut found.attributes);
        let total = attributes.len();
        let listing = Listing::of(&(Self::NAME, &output.old, &output.new))?;
        let wanted = listing::wanted_of(self.max_results);
        let page = listing::page_of(&listing, attributes, wanted, self.next_token.as_ref())?;
        let stored = match found.instances_stored_differently {
            0 => String::new(),
            count => format!(
                " {} differ in how they are stored (file meta information, transfer syntax), not in content.",
                counted(count, "instance")
            ),
        };
        let text = format!(
            "{}{} differ{}; instances: {} in both, {} only in the old one, {} only in the new one; frames: {} \
             equal, {} different.{stored}",
            reason.map(|reason| format!("{reason} ")).unwrap_or_default(),
            counted(total + found.attributes_not_listed, "attribute"),
            if total + found.attributes_not_listed == 1 { "s" } else { "" },
            found.instances_in_both,
            found.instances_removed,
            found.instances_added,
            found.frames_equal,
            found.frames_different,
        );
        output.attributes = page.items;
        output.attributes_total = Some(total);
        output.counts = Some(found);
        output.next_token = page.next_token;
        Ok(Reply::new(output, text))
    }

    async fn datastores(
        &self,
        context: &Context,
        old: &DatastoreId,
        new: &DatastoreId,
    ) -> Result<Reply<Comparison>> {
        if self.version_id.is_some() || self.other_version_id.is_some() {
            return Err(Error::validation(
                "version_id and other_version_id need image_set_id: data stores are compared in their \
                 latest versions",
            ));
        }
        if self.other_image_set_id.is_some() {
            return Err(Error::validation("other_image_set_id needs image_set_id"));
        }
        let criteria =
            self.study_instance_uid.clone().map_or_else(Criteria::default, Criteria::study);
        let listing = Listing::of(&(Self::NAME, old, new, &criteria))?;
        let after = listing.after(self.next_token.as_ref())?;
        let most = self.max_results.map_or(SERIES, |most| most.get() as usize);
        let work =
            compare::datastores(context.service(), [old, new], &criteria, after.as_ref(), most);
        let found = uncancelled(context, work).await?;
        let [of_old, of_new] = found.image_sets_examined;
        let different =
            found.series.iter().filter(|one| one.state == SeriesState::Different).count();
        let more = if found.next.is_some() { "; pass next_token to continue" } else { "" };
        let text = format!(
            "{of_old} and {of_new} image sets examined. Series: {} in both, {} only in the old data store, {} \
             only in the new one. Of those in both, {} compared in this call; listed here: {different} different, {} \
             in one data store only{more}.",
            found.series_in_both,
            found.series_removed,
            found.series_added,
            found.series_compared,
            found.series.len() - different,
        );
        let next_token = found.next.map(|key| listing.token(&key)).transpose()?;
        let output = Comparison { series: found.series, next_token, ..Comparison::default() };
        Ok(Reply::new(output, text))
    }
}
