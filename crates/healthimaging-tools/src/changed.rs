//! Tools whose plans are carried out by a job: how it is started, and their answer.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use healthimaging::{DatastoreId, Error, Result};
use healthimaging_workflows::certificate::{self, Certify};
use healthimaging_workflows::{ItemOutcome, Job, NewJob, Plan, Work, counted, traces};

use crate::answer::{Reply, to_object};
use crate::arguments::WaitSeconds;
use crate::confirm;
use crate::context::Context;
use crate::tool::{Effect, PlannedTool};

/// Outcomes in an answer; `get_job` returns all of them.
const MOST_OUTCOMES: u32 = 50;

/// Answer of a tool that changes or deletes image sets.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Changed {
    datastore_id: DatastoreId,
    job_id: String,
    job_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    items_total: Option<u64>,
    items_done: u64,
    items_failed: u64,
    /// Outcome of each image set that is done.
    outcomes: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What was done and what remains, once the job has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Map<String, Value>>,
}

/// A planned tool whose plan a job carries out.
pub(crate) trait ChangeTool:
    Serialize + DeserializeOwned + JsonSchema + Send + Sync
{
    /// Name on the wire.
    const NAME: &'static str;
    /// Name for people.
    const TITLE: &'static str;
    /// Arguments of a typical call, in JSON.
    const EXAMPLE: &'static str;
    /// What it does to the data.
    const EFFECT: Effect;

    /// How long to wait for the end of the job.
    fn wait_seconds(&self) -> Option<WaitSeconds>;

    /// Plans the change, by reading only.
    fn plan(&self, context: &Context) -> impl Future<Output = Result<Plan>> + Send;
}

impl<T: ChangeTool> PlannedTool for T {
    const NAME: &'static str = T::NAME;
    const TITLE: &'static str = T::TITLE;
    const EXAMPLE: &'static str = T::EXAMPLE;
    const EFFECT: Effect = T::EFFECT;
    type Output = Changed;

    fn plan(&self, context: &Context) -> impl Future<Output = Result<Plan>> + Send {
        ChangeTool::plan(self, context)
    }

    /// Starts the job that carries the plan out, and waits for it.
    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Changed>> {
        let real = match context.redaction() {
            Some(redaction) => {
                // The plan that was shown has tokens, shifted dates and cleaned texts.
                let same: T = redaction.with_values(&to_object(&self)?)?;
                let real = ChangeTool::plan(&same, &context.with_values()).await?;
                let destroys_more = real.cannot_be_undone && !plan.cannot_be_undone;
                if real.versions() != plan.versions() || destroys_more {
                    return Err(confirm::stale());
                }
                Some(real)
            }
            None => None,
        };
        let not_reached = not_reached(T::NAME, real.as_ref().unwrap_or(&plan), context).await;
        let change = real.map_or(plan.change, |real| real.change);
        let mut change =
            change.ok_or_else(|| Error::internal("the plan has no change", T::NAME))?;
        change.certify = Certify::of(T::NAME, not_reached).map(Box::new);
        let new = NewJob {
            tool: T::NAME,
            job_name: None,
            client_token: None,
            datastore_id: plan.datastore_id,
            work: Work::Change(change),
        };
        let job = context.run_job(new, self.wait_seconds()).await?;
        let outcomes = context.ledger().outcomes(&job.job_id, None, MOST_OUTCOMES);
        let outcomes = outcomes.await?.items;
        let text = brief(&job);
        // The answer repeats what the caller selected; it is stored nowhere.
        let mut asked = to_object(&self)?;
        asked.retain(|name, value| {
            !["datastore_id", "wait_seconds"].contains(&name.as_str()) && !value.is_null()
        });
        Ok(Reply::new(answer(job, &outcomes, plan.notes, &asked)?, text))
    }
}

/// What a deletion that is certified does not reach, with digests of paths.
async fn not_reached(tool: &str, plan: &Plan, context: &Context) -> Vec<String> {
    if !Certify::is_due(tool) {
        return Vec::new();
    }
    let traces = match &plan.traces {
        Some(traces) => Ok(traces.clone()),
        None => traces::found(context.ledger(), plan).await,
    };
    let folder = &context.ledger().tools().data_folder;
    match traces {
        Ok(traces) => traces.lines(|place| certificate::digest(folder, place)),
        Err(error) => {
            tracing::warn!(%error, "jobs that name what is deleted were not found");
            vec!["Jobs whose files name what was deleted could not be listed.".to_owned()]
        }
    }
}

fn answer(
    job: Job,
    outcomes: &[ItemOutcome],
    mut notes: Vec<String>,
    asked: &Map<String, Value>,
) -> Result<Changed> {
    let more = job.items_done.saturating_sub(outcomes.len() as u64);
    if more > 0 {
        notes.push(format!("Outcomes not listed here: {more}; get_job lists them."));
    }
    let report = job.report.map(|mut report| {
        report.insert("call".to_owned(), json!({ "tool": job.tool, "arguments": asked }));
        report.insert("started_at".to_owned(), json!(job.submitted_at));
        report.insert("ended_at".to_owned(), json!(job.ended_at));
        report
    });
    Ok(Changed {
        datastore_id: job.datastore_id,
        job_id: job.job_id.to_string(),
        job_status: job.job_status.to_string(),
        items_total: job.items_total,
        items_done: job.items_done,
        items_failed: job.items_failed,
        outcomes: outcomes.iter().map(to_object).collect::<Result<_>>()?,
        notes,
        message: job.message,
        report,
    })
}

fn brief(job: &Job) -> String {
    let Job { job_id, job_status, items_done, items_failed, .. } = job;
    let total = job.items_total.map(|total| format!(" of {total}")).unwrap_or_default();
    let mut text = format!(
        "Job {job_id} is {job_status}. Items done: {items_done}{total}; failed: {items_failed}."
    );
    if !job.job_status.has_ended() {
        text.push_str(" It is still running: get_job returns its status, cancel_job stops it.");
    }
    text.push_str(&job.report.as_ref().and_then(proof).unwrap_or_default());
    let certificate = job.report.as_ref().and_then(|report| report.get("certificate"));
    let of = |name: &str| certificate?.get(name)?.as_str();
    if let Some((id, summary)) = of("certificate_id").zip(of("summary")) {
        text = format!("{text} Certificate {id}: {summary}.");
    } else if let Some(why) = of("not_made") {
        text = format!("{text} No certificate was made: {why}.");
    }
    text
}

/// The result of the search that ended the job.
fn proof(report: &Map<String, Value>) -> Option<String> {
    let found = |name: &str| report.get(name)?.get("image_sets")?.as_u64();
    let sets = |count| counted(usize::try_from(count).unwrap_or(usize::MAX), "image set");
    Some(match (found("remaining"), found("still_holding")) {
        (Some(0), _) => " A new search finds no matching image set.".to_owned(),
        (Some(left), _) => format!(" A new search still finds {}.", sets(left)),
        (None, Some(0)) => {
            " No latest version of an image set holds what was to be removed.".to_owned()
        }
        (None, Some(left)) => {
            format!(" The latest version of {} still holds what was to be removed.", sets(left))
        }
        (None, None) => return None,
    })
}
