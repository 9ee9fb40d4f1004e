//! Records of the calls of tools in the audit log.

use healthimaging::{Effect, Result};
use healthimaging_audit::{AuditLog, Entry, Recorded, as_actor};
use healthimaging_workflows::Plan;
use serde_json::Value;

use crate::answer::Answer;
use crate::arguments::Arguments;
use crate::confirm::{Confirm, Consent, PlanArguments};
use crate::tool::ToolEntry;

/// Members of an answer that name what a call made or started.
const MADE: [&str; 5] =
    ["datastore_id", "image_set_id", "destination_image_set_id", "job_id", "job_status"];

/// Returns the record of a call of a tool, unless its effect is not recorded.
///
/// # Errors
///
/// `Internal` if the call destroys and the log cannot be used.
pub(crate) fn entry(
    log: &AuditLog,
    tool: &ToolEntry,
    effect: Effect,
    arguments: &Arguments,
) -> Result<Option<Entry>> {
    if !log.records(effect) {
        return Ok(None);
    }
    // What the tool does not know is rejected, and its name may be anything.
    let schema = tool.definition().input_schema;
    let known = schema.get("properties").and_then(Value::as_object);
    let is_known = |name: &str| known.is_some_and(|known| known.contains_key(name));
    let arguments = arguments.iter().filter(|(name, _)| is_known(name));
    let arguments = arguments.map(|(name, value)| (name.clone(), value.clone())).collect();
    let recorded = match log.recorded(&arguments) {
        Err(error) if effect == Effect::Destroys => return Err(error),
        recorded => recorded.unwrap_or_default(),
    };
    let entry = Entry::tool(tool.name, effect).with_arguments(recorded);
    // Its job may go on in a process that knows nothing of the call.
    let may_take_long = is_known("wait_seconds");
    Ok(Some(if may_take_long { entry.long() } else { entry }))
}

/// Returns the record of a call that carries out a plan: whose objects it is about, and how it was agreed to.
pub(crate) fn planned(
    log: &AuditLog,
    entry: Entry,
    plan: &Plan,
    how: &'static str,
) -> Result<Entry> {
    let objects = log.with_keys(|keys| {
        let sets = plan.image_sets.iter().map(|set| set.image_set_id.as_str());
        Recorded::default()
            .with_ids("datastore_ids", [plan.datastore_id.as_str()])
            .with_digests("patient_ids", plan.patient_ids.iter().map(String::as_str), keys)
            .with_digests(
                "study_instance_uids",
                plan.study_instance_uids.iter().map(String::as_str),
                keys,
            )
            .with_count("image_sets_planned", plan.image_sets.len() as u64)
            .with_ids("image_set_ids", sets)
    })?;
    Ok(entry.with_objects(objects.unwrap_or_default()).agreed(how))
}

/// Carries out a call, and records it; one that destroys is recorded durably first.
pub(crate) async fn carried_out(
    log: &AuditLog,
    entry: Option<Entry>,
    work: impl Future<Output = Result<Answer>>,
) -> Result<Answer> {
    let Some(entry) = entry else { return work.await };
    let (pending, actor) = if entry.effect() == Effect::Destroys {
        (log.announce(entry.clone()).await?, entry.announced())
    } else {
        (log.begin_long(entry.clone()).await, entry.actor())
    };
    let answer = as_actor(actor, work).await;
    match &answer {
        Ok(answer) => pending.end(made(log, answer), None),
        Err(error) => pending.end(Recorded::default(), Some(error)),
    }
    answer
}

/// What an answer names of what the call made.
fn made(log: &AuditLog, answer: &Answer) -> Recorded {
    let members = MADE.iter().filter_map(|name| {
        let value = answer.structured.get(*name).filter(|value| value.is_string())?;
        Some(((*name).to_owned(), value.clone()))
    });
    let mut members: Arguments = members.collect();
    let status = members.shift_remove("job_status");
    let mut recorded = log.recorded(&members).unwrap_or_default();
    for name in ["items_done", "items_failed", "stored", "failed"] {
        if let Some(count) = answer.structured.get(name).and_then(Value::as_u64) {
            recorded = recorded.with_count(name, count);
        }
    }
    match status.as_ref().and_then(Value::as_str) {
        Some(status) => recorded.with_ids("job_state", [status]),
        None => recorded,
    }
}

/// Returns how a plan that is carried out was agreed to.
pub(crate) fn agreement(
    confirm: Confirm,
    consent: &Consent,
    asked: &PlanArguments,
) -> &'static str {
    match consent {
        _ if confirm == Confirm::Never => "not asked (--confirm never)",
        Consent::Given => "command line (--yes)",
        Consent::Rounds(Some(_)) => "user",
        _ if asked.confirmation_token.is_some() && confirm == Confirm::Auto => "token",
        _ => "user",
    }
}
