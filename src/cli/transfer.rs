//! `transfer`: stores studies of a data store in another one, of this or of the other back end.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::{ArgGroup, Args};
use healthimaging::{Uid, read_json};
use healthimaging_workflows::deidentify::{Deidentify, Request, Review};
use healthimaging_workflows::find::{Criteria, Text};
use healthimaging_workflows::transfer::{self, End, Transfer};
use healthimaging_workflows::{ItemResult, Job, JobState, Ledger, NewJob, Work};
use serde_json::{Map, Value, json};

use super::datastore::{add_unfinished_imports, note_unfinished_imports};
use super::export::{ProfileArguments, job_objects};
use crate::backend::Backend;
use crate::config::Config;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal::{self, counted, megabytes, progress_bar};

/// Outcomes that are read at once.
const PAGE: u32 = 1_000;

/// Reasons that are listed.
const LISTED: usize = 20;

/// What is transferred: one of four must be given.
const WHAT: [&str; 4] = ["study", "patient", "criteria", "all"];

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(WHAT).required(true).multiple(true))]
#[command(
    override_usage = "healthimaging-mcp-server transfer --from <NAME> --to <NAME> <WHAT> [OPTIONS]"
)]
pub(super) struct Arguments {
    /// Data store to transfer from: NAME, `aws:NAME` or `local:NAME`
    #[arg(long, value_name = "NAME")]
    from: String,

    /// Data store to transfer to, likewise
    #[arg(long, value_name = "NAME")]
    to: String,

    /// Only this study
    #[arg(long, value_name = "UID", value_parser = uid)]
    study: Option<Uid>,

    /// Only studies of this patient
    #[arg(long, value_name = "ID")]
    patient: Option<String>,

    /// Only what matches, as in `bulk_delete_by_criteria`
    #[arg(long, value_name = "JSON")]
    criteria: Option<String>,

    /// The whole data store
    #[arg(long, conflicts_with_all = ["study", "patient", "criteria"])]
    all: bool,

    #[command(flatten)]
    profile: ProfileArguments,

    /// Only print counts, bytes and the time that the quotas need
    #[arg(long)]
    dry_run: bool,
}

/// Reads a UID in the form of PS3.5 section 9.1; `--criteria` takes UIDs of other forms too.
fn uid(text: &str) -> Result<Uid> {
    let is_uid = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_uid {
        bail!("not a UID: a UID has digits and periods, 64 at most");
    }
    Ok(Uid::try_from(text)?)
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    if config.read_only && !arguments.dry_run {
        bail!("--read-only does not allow a transfer, which stores instances");
    }
    let backend = Backend::open_existing(config).await?;
    let outcome = transfer(&backend, arguments).await;
    backend.close().await;
    outcome
}

fn criteria(arguments: &Arguments) -> Result<Criteria> {
    let mut criteria = match &arguments.criteria {
        Some(text) => read_json::<Criteria>("--criteria", text.as_bytes())?,
        None => Criteria::default(),
    };
    if let Some(study) = &arguments.study {
        criteria.study_instance_uid = Some(study.clone());
    }
    if let Some(patient) = &arguments.patient {
        criteria.patient_id = Some(Text::try_from(patient.clone())?);
    }
    if criteria.is_empty() && !arguments.all {
        bail!("--criteria names nothing; --all transfers the whole data store");
    }
    Ok(criteria)
}

async fn transfer(backend: &Backend, arguments: Arguments) -> Result<Outcome> {
    let criteria = criteria(&arguments)?;
    let ledger = &backend.ledger;
    let tools = ledger.tools();
    let from = End::named(tools, "--from", &arguments.from).await?;
    let to = End::named(tools, "--to", &arguments.to).await?;
    let not_ended = match from.side {
        None => note_unfinished_imports(backend, &from.datastore_id).await?,
        Some(_) => 0,
    };
    let deidentify = match arguments.profile.chosen() {
        None => None,
        Some((profile, options)) => {
            let request = Request { profile, options, key_file: None, review: Review::default() };
            Some(Deidentify::new(request, tools)?)
        }
    };
    let named = Map::from_iter([
        ("from_datastore".to_owned(), json!(from.datastore_id)),
        ("to_datastore".to_owned(), json!(to.datastore_id)),
        ("criteria".to_owned(), json!(criteria)),
    ]);
    let transfer = Transfer { from, to, criteria, deidentify };
    transfer.check()?;
    if arguments.dry_run {
        let estimate = transfer::estimate(&transfer, tools).await?;
        let mut estimate = serde_json::to_value(estimate)?;
        add_unfinished_imports(&mut estimate, not_ended);
        if terminal::is_json() {
            terminal::document(|| estimate)?;
        } else {
            terminal::result(&serde_json::to_string_pretty(&estimate)?)?;
        }
        return Ok(Outcome::Done);
    }
    transfer::check_matches(&transfer, tools).await?;
    let new = NewJob {
        tool: transfer::TOOL,
        job_name: None,
        client_token: None,
        datastore_id: transfer.from.datastore_id.clone(),
        work: Work::Transfer(transfer),
    };
    let running = async { follow(ledger, ledger.start(new).await?).await };
    let job = backend.recorded("transfer", &named, &[], running, job_objects).await?;
    match job.job_status {
        JobState::Completed => report(&job, &reasons(ledger, &job).await?, not_ended),
        state => {
            bail!("transfer job {} is {state}: {}", job.job_id, job.message.unwrap_or_default())
        }
    }
}

/// Shows the progress of the job until it has ended or a signal arrives.
async fn follow(ledger: &Ledger, mut job: Job) -> Result<Job> {
    let bar = progress_bar("{bar:30} {pos}/{len} instances {msg}");
    while !job.job_status.has_ended() {
        if let Some(total) = job.items_total {
            bar.set_length(total);
        }
        bar.set_position(job.items_done);
        tokio::select! {
            changed = ledger.changed(&job) => job = changed?,
            stopped = stop_signal() => {
                bar.finish_and_clear();
                stopped?;
                bail!(
                    "stopped; what was transferred stays, and transfer job {} continues when the store is used next \
                     (`call get_job` shows it, `call cancel_job` cancels it)",
                    job.job_id
                );
            }
        }
    }
    bar.finish_and_clear();
    Ok(job)
}

/// Why instances failed or were held back, each reason with the number of instances.
async fn reasons(ledger: &Ledger, job: &Job) -> Result<BTreeMap<String, u64>> {
    let mut reasons = BTreeMap::new();
    let mut start = None;
    loop {
        let page = ledger.outcomes(&job.job_id, start, PAGE).await?;
        for outcome in page.items {
            let message = match (outcome.error, outcome.result) {
                (Some(error), _) => error.message,
                (None, ItemResult::HeldBack) => {
                    let message = outcome.details.get("message").and_then(Value::as_str);
                    format!("held back: {}", message.unwrap_or_default())
                }
                _ => continue,
            };
            *reasons.entry(message).or_default() += 1;
        }
        start = page.next_token;
        if start.is_none() {
            return Ok(reasons);
        }
    }
}

fn report(job: &Job, reasons: &BTreeMap<String, u64>, not_ended: usize) -> Result<Outcome> {
    let value = |key: &str| job.report.as_ref().and_then(|report| report.get(key));
    let number = |key: &str| value(key).and_then(Value::as_u64).unwrap_or_default();
    let (failed, held_back) = (number("instances_failed"), number("instances_held_back"));
    terminal::note(&format!(
        "{} transferred ({}) and compared, {} there before, {held_back} held back, {failed} failed; `call get_job` lists \
         them (job {})",
        counted(number("instances_transferred"), "instance"),
        megabytes(number("bytes_transferred")),
        number("instances_there_before"),
        job.job_id,
    ));
    for (reason, count) in reasons.iter().take(LISTED) {
        terminal::note(&format!("{}: {reason}", counted(*count, "instance")));
    }
    if reasons.len() > LISTED {
        terminal::note(&format!("{} more reasons", reasons.len() - LISTED));
    }
    if let Some(Value::Object(differs_in)) = value("instances_that_differ_in")
        && !differs_in.is_empty()
    {
        let names: Vec<&str> = differs_in.keys().map(String::as_str).collect();
        terminal::note(&format!("the destination changed {}", names.join(", ")));
    }
    let older = value("older_versions_left_out").and_then(|older| older.get("versions"));
    terminal::note(&format!(
        "left out: {} that are not primary, {}",
        counted(number("non_primary_image_sets_left_out"), "image set"),
        counted(older.and_then(Value::as_u64).unwrap_or_default(), "older version"),
    ));
    let arrived = number("instances_transferred") + number("instances_there_before");
    let outcome = Outcome::of_items(arrived, failed, held_back);
    terminal::document(|| {
        let listed = reasons.iter().take(LISTED);
        let listed: Vec<Value> = listed
            .map(|(reason, count)| json!({ "message": reason, "instances": count }))
            .collect();
        let mut document = json!({
            "outcome": outcome.as_str(), "job_id": job.job_id, "reasons": listed
        });
        if let (Value::Object(document), Some(report)) = (&mut document, &job.report) {
            document.extend(report.clone());
        }
        add_unfinished_imports(&mut document, not_ended);
        document
    })?;
    Ok(outcome)
}
