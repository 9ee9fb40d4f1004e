//! Transfer of studies into another data store, of this or of the other back end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::Result;
use healthimaging_workflows::find::Criteria;
use healthimaging_workflows::transfer::{self, End, Estimate, Transfer};
use healthimaging_workflows::{NewJob, Work, counted};

use super::export_jobs::DeidentifyInput;
use super::jobs;
use crate::answer::Reply;
use crate::arguments::WaitSeconds;
use crate::context::Context;
use crate::tool::{Effect, Tool};

/// Transfer studies (latest versions of primary image sets) to another data store, also between the local store and
/// AWS, as a job. Each instance is read back and compared; none is stored twice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferStudies {
    /// ID or name; aws: or local: before it names the other back end
    from_datastore: String,
    /// Likewise
    to_datastore: String,
    /// As in bulk_delete_by_criteria; {} is everything
    #[schemars(with = "Map<String, Value>")]
    criteria: Criteria,
    /// By PS3.15; images at risk are held back
    deidentify: Option<DeidentifyInput>,
    /// Only counts, bytes and time
    dry_run: Option<bool>,
    wait_seconds: Option<WaitSeconds>,
}

/// The job, or what it would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TransferAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimate>,
    /// As of get_job, with a report at its end.
    #[serde(flatten)]
    job: Map<String, Value>,
}

impl Tool for TransferStudies {
    const NAME: &'static str = transfer::TOOL;
    const TITLE: &'static str = "Transfer studies";
    const EXAMPLE: &'static str = r#"{"from_datastore": "ward", "to_datastore": "aws:research", "criteria": {"study_instance_uid": "1.2.840.113619.2.1"}, "dry_run": true}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = TransferAnswer;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let tools = context.ledger().tools();
        let from = End::named(tools, "from_datastore", &self.from_datastore).await?;
        let to = End::named(tools, "to_datastore", &self.to_datastore).await?;
        let deidentify = self.deidentify.map(|input| input.chosen(context)).transpose()?;
        let mut transfer = Transfer { from, to, criteria: self.criteria, deidentify };
        transfer.check()?;
        if let Some(redaction) = context.redaction() {
            transfer = redaction.with_values(&transfer)?;
        }
        if self.dry_run == Some(true) {
            let estimate = transfer::estimate(&transfer, tools).await?;
            let text = summary(&estimate);
            return Ok(Reply::new(
                TransferAnswer { estimate: Some(estimate), job: Map::new() },
                text,
            ));
        }
        transfer::check_matches(&transfer, tools).await?;
        let new = NewJob {
            tool: Self::NAME,
            job_name: None,
            client_token: None,
            datastore_id: transfer.from.datastore_id.clone(),
            work: Work::Transfer(transfer),
        };
        let job = context.run_job(new, self.wait_seconds).await?;
        let count = |name: &str| {
            let report = job.report.as_ref();
            report.and_then(|report| report.get(name)).and_then(Value::as_u64).unwrap_or_default()
        };
        let why = job.message.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        let done = match &job.report {
            None => format!("Instances done: {}; failed: {}.", job.items_done, job.items_failed),
            Some(_) => format!(
                "Instances transferred: {}; there before: {}; held back: {}; failed: {}. Left out: {} non-primary image \
                 sets, {} older versions.",
                count("instances_transferred"),
                count("instances_there_before"),
                count("instances_held_back"),
                count("instances_failed"),
                count("non_primary_image_sets_left_out"),
                job.report
                    .as_ref()
                    .and_then(|report| report.get("older_versions_left_out")?.get("versions"))
                    .and_then(Value::as_u64)
                    .unwrap_or_default(),
            ),
        };
        let text = format!("Transfer job {} is {}{why}. {done}", job.job_id, job.job_status);
        let job = jobs::object(&job)?;
        Ok(Reply::new(TransferAnswer { estimate: None, job }, text))
    }
}

/// The estimate in a sentence.
fn summary(estimate: &Estimate) -> String {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let older = &estimate.older_versions_left_out;
    format!(
        "Nothing was transferred. It would be {} of {} in {}: {} bytes of frames; the quotas need {} s. Left out: {} non-primary \
         image sets, {} older versions.",
        counted(number(estimate.instances), "instance"),
        counted(estimate.studies, "study"),
        counted(estimate.image_sets, "image set"),
        estimate.bytes,
        estimate.seconds_by_quotas,
        estimate.non_primary_image_sets_left_out,
        older.versions,
    )
}
