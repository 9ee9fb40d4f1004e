//! Listings of jobs, newest first.

use std::cmp::Reverse;

use healthimaging::{Error, NextToken, Page, Result};

use super::Ledger;
use super::job::{Job, JobFilter};
use crate::plan::fingerprint;

/// The order of a listing.
type Place = Reverse<(i64, String)>;

fn place(job: &Job) -> Place {
    Reverse((job.submitted_at.timestamp_millis(), job.job_id.to_string()))
}

/// A short name of what is listed, so that a token works with its own listing alone.
fn listing_of(ledger: &Ledger, filter: &JobFilter) -> Result<String> {
    let filter = serde_json::to_value((filter, &ledger.0.config.back_end))
        .map_err(|cause| Error::internal("the filter could not be written as JSON", cause))?;
    Ok(fingerprint(&filter).chars().take(24).collect())
}

/// A page of jobs. Blocks.
pub(super) fn page(
    ledger: &Ledger,
    filter: &JobFilter,
    start: Option<&NextToken>,
    count: u32,
) -> Result<Page<Job>> {
    let listing = listing_of(ledger, filter)?;
    let after = start.map(|token| read(token, &listing)).transpose()?;
    let mut jobs: Vec<Job> = Vec::new();
    for entry in ledger.entries()? {
        match entry.stand() {
            Ok(job) => jobs.push(job),
            // One damaged job does not hide the others.
            Err(error) => tracing::warn!(job_id = %entry.facts.job_id, %error, "not listed"),
        }
    }
    jobs.retain(|job| {
        filter.includes(job) && after.as_ref().is_none_or(|after| place(job) > *after)
    });
    jobs.sort_by_key(place);
    let more = jobs.len() > count as usize;
    jobs.truncate(count as usize);
    let next_token = match jobs.last() {
        Some(last) if more => {
            let Reverse((millis, job_id)) = place(last);
            Some(NextToken::try_from(format!("{listing}.{millis}.{job_id}"))?)
        }
        _ => None,
    };
    Ok(Page { items: jobs, next_token })
}

fn read(token: &NextToken, listing: &str) -> Result<Place> {
    let parts: Vec<&str> = token.as_str().split('.').collect();
    if let [found, millis, job_id] = parts[..]
        && found == listing
        && let Ok(millis) = millis.parse()
    {
        return Ok(Reverse((millis, job_id.to_owned())));
    }
    Err(Error::validation(
        "next_token does not belong to this listing; take it from the page before, with the same \
         arguments",
    ))
}
