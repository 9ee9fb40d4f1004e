//! What a transfer would do: counts, bytes, and the time that the quotas of both back ends need.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;

use healthimaging::{Limits, Operation, Rate, Result};

use super::report::OlderVersions;
use super::{Selected, Transfer};
use crate::document::FETCHED_AT_ONCE;
use crate::overview::sizes;
use crate::work::Tools;

/// Image sets whose bytes are read; the rest is extrapolated.
const MEASURED: usize = 1_000;

/// What a transfer would do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Estimate {
    /// Primary image sets.
    pub image_sets: usize,
    /// Their studies.
    pub studies: usize,
    /// Their instances.
    pub instances: u64,
    /// Bytes of their frames as stored; extrapolated above 1,000 image sets.
    pub bytes: u64,
    /// Image sets that match and are not primary, which are left out.
    pub non_primary_image_sets_left_out: u64,
    /// Versions before the latest, which are left out.
    pub older_versions_left_out: OlderVersions,
    /// Seconds that the rate limits of both back ends need; the network may need more.
    pub seconds_by_quotas: u64,
}

/// Estimates a transfer by reading only.
///
/// # Errors
/// `NotFound` if nothing matches.
pub async fn estimate(transfer: &Transfer, tools: &Tools) -> Result<Estimate> {
    let from = transfer.from.open(tools).await?.back_end;
    let to = transfer.to.open(tools).await?.back_end;
    let selected = Selected::find(&*from.service, transfer).await?;
    let Selected { image_sets, non_primary } = &selected;
    let ids: Vec<_> =
        image_sets.iter().take(MEASURED).map(|set| set.image_set_id.clone()).collect();
    let measured = ids.len() as u64;
    let reads = ids.into_iter().map(|id| sizes(&*from.service, &transfer.from.datastore_id, id));
    let read: Vec<_> = stream::iter(reads).buffered(FETCHED_AT_ONCE).try_collect().await?;
    let all = image_sets.len() as u64;
    let scaled = |sum: u64| {
        if measured == 0 { 0 } else { u128::from(sum) * u128::from(all) / u128::from(measured) }
    };
    let of_all = read.iter().flatten().flat_map(|sizes| sizes.values());
    let (instances, bytes) =
        of_all.fold((0, 0), |(instances, bytes), one| (instances + one.0, bytes + one.1));
    let instances = u64::try_from(scaled(instances)).unwrap_or(u64::MAX);
    let study = |set: &healthimaging::model::ImageSetsMetadataSummary| {
        set.dicom_tags.as_ref().and_then(|tags| tags.study_instance_uid.clone())
    };
    let studies: BTreeSet<_> = image_sets.iter().map(study).collect();
    Ok(Estimate {
        image_sets: image_sets.len(),
        studies: studies.len(),
        instances,
        bytes: u64::try_from(scaled(bytes)).unwrap_or(u64::MAX),
        non_primary_image_sets_left_out: *non_primary,
        older_versions_left_out: OlderVersions::of(image_sets),
        seconds_by_quotas: seconds(all, instances, &from.service.limits(), &to.service.limits()),
    })
}

/// The longest time of one kind of call: each instance is retrieved from the source and read back from the destination; of
/// each image set, the metadata is read, the destination searched, and one request stored at least.
fn seconds(image_sets: u64, instances: u64, from: &Limits, to: &Limits) -> u64 {
    let stored = image_sets.max(instances.div_ceil(24));
    let calls = [
        ((from.rate)(Operation::GetImageSetMetadata), image_sets),
        (from.web_rate, instances),
        ((to.rate)(Operation::SearchImageSets), image_sets),
        (to.web_rate, instances),
        (to.web_rate, stored),
    ];
    let time = |(rate, calls): (Option<Rate>, u64)| {
        let rate = rate.map(|rate| rate.per_second).filter(|rate| *rate > 0.0);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        rate.map_or(0.0, |rate| calls as f64 / rate)
    };
    let longest = calls.into_iter().map(time).fold(0.0, f64::max).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive")]
    let seconds = longest as u64;
    seconds
}
