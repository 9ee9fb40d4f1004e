//! `call`: calls one tool from the shell.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use healthimaging::{Effect, Error, ErrorKind, poll_pauses, read_json, retry_read};
use healthimaging_tools::{Answer, Ask, Consent, Progress, Server, UserReply, error_document};
use indicatif::ProgressBar;
use serde_json::{Map, Value};

use crate::backend::Backend;
use crate::config::Config;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of the tool
    tool: String,

    /// Arguments of the tool, a JSON object; - reads it from stdin
    #[arg(default_value = "{}", hide_default_value = true)]
    json: String,

    /// Agree to the plan of the tool without a question
    #[arg(long, short)]
    yes: bool,

    /// Write the picture or the stored frame to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Most bytes of an answer that are printed with indentation: as many as an answer has unless more is requested.
const INDENTED: usize = 60_000;

/// The tool whose job is one of the service, which the tool itself does not wait for.
const IMPORT: &str = "start_dicom_import_job";
/// First pause between two polls of an import job.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Most files that are printed of those that an import failed to import.
const FAILURES: u64 = 10;

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    let from_stdin = arguments.json == "-";
    let parsed = parse(&arguments.json)?;
    let consent = if arguments.yes {
        Consent::Given
    } else if terminal::is_interactive() && !from_stdin {
        Consent::Ask(Arc::new(Prompt))
    } else {
        Consent::Ask(Arc::new(NoTerminal))
    };
    let mut offered = config.offer().tools();
    let reads = offered.any(|tool| tool.name == arguments.tool && tool.effect == Effect::Reads);
    let backend =
        if reads { Backend::open_existing(config).await? } else { Backend::open(config).await? };
    let server = backend.server(config, None)?;
    let bar = terminal::progress_bar("{spinner} {msg}");
    let progress = Arc::new(Spinner(bar.clone()));
    let is_import = arguments.tool == IMPORT;
    let waits = parsed.get("wait_seconds").is_none_or(Value::is_null);
    let calling = async {
        let reports: Arc<dyn Progress> = Arc::<Spinner>::clone(&progress);
        let mut answer =
            server.call_to_end(&arguments.tool, parsed, consent, Some(reports)).await?;
        if is_import && waits {
            await_import(&server, &mut answer.structured, &*progress).await?;
        }
        Ok(answer)
    };
    let called = tokio::select! {
        called = calling => Ok(called),
        stopped = stop_signal() => Err(stopped),
    };
    bar.finish_and_clear();
    backend.close().await;
    let called = match called {
        Ok(called) => called,
        Err(stopped) => {
            stopped?;
            bail!(
                "stopped; a job that the tool started continues whenever the store is used (`call list_jobs` shows it, \
                 `call cancel_job` cancels it; `call list_dicom_import_jobs` shows imports)"
            );
        }
    };
    if reads && called.as_ref().is_ok_and(|answer| is_unfinished(&answer.structured)) {
        terminal::note(
            "A job whose process ended continues while `serve` or `stdio` uses the store; `call` only shows it.",
        );
    }
    let (document, outcome) = match called {
        Ok(answer) => {
            let outcome = if reads { Outcome::Done } else { outcome(&answer.structured) };
            (printed(answer, arguments.output.as_deref())?, outcome)
        }
        Err(error) => (error_document(&error), Outcome::Failed),
    };
    terminal::result(&text(&Value::Object(document))?)?;
    Ok(outcome)
}

/// Waits until an import job has ended, and updates the answer of the tool that started it.
async fn await_import(
    server: &Server,
    answer: &mut Map<String, Value>,
    progress: &dyn Progress,
) -> healthimaging::Result<()> {
    let named = ["datastore_id", "job_id"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), answer.get(name)?.clone())));
    let mut job: Map<String, Value> = named.collect();
    job.insert("max_results".to_owned(), FAILURES.into());
    let look = || server.call_to_end("get_dicom_import_job", job.clone(), Consent::Given, None);
    for pause in poll_pauses(FIRST_PAUSE, Duration::MAX) {
        let mut found = retry_read(look).await?.structured;
        let summary = found.shift_remove("summary");
        let mut properties = found.shift_remove("job_properties").unwrap_or_default();
        for name in ["job_status", "ended_at", "output_s3_uri", "message"] {
            if let Some(value) = properties.get_mut(name) {
                answer.insert(name.to_owned(), value.take());
            }
        }
        if let Some(summary) = summary {
            answer.insert("summary".to_owned(), summary);
        }
        for (name, value) in found {
            match (name.as_str(), &value) {
                ("files", Value::Array(files)) if files.is_empty() => {}
                ("files", _) => drop(answer.insert("failures".to_owned(), value)),
                ("outcome" | "notes", _) => drop(answer.insert(name, value)),
                _ => {}
            }
        }
        if matches!(status(answer), Some("COMPLETED" | "FAILED")) {
            break;
        }
        progress.report(0.0, None, "waiting: import job".to_owned()).await;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

fn status(answer: &Map<String, Value>) -> Option<&str> {
    answer.get("job_status").and_then(Value::as_str)
}

/// Returns whether an answer has a job of this server that has not ended.
fn is_unfinished(answer: &Map<String, Value>) -> bool {
    let properties = answer.get("job_properties").and_then(Value::as_object);
    let listed =
        ["jobs", "job_summaries"].into_iter().find_map(|name| answer.get(name)?.as_array());
    let listed = listed.into_iter().flatten().filter_map(Value::as_object);
    let mut jobs = std::iter::once(answer).chain(properties).chain(listed);
    jobs.any(|job| matches!(status(job), Some("SUBMITTED" | "IN_PROGRESS")))
}

/// Formats an answer, indented unless that makes it long.
fn text(document: &Value) -> Result<String> {
    let indented = serde_json::to_string_pretty(document)?;
    Ok(if indented.len() <= INDENTED { indented } else { serde_json::to_string(document)? })
}

/// Returns how a call that changes something went: failed if its job failed or every item did, partly if some did.
fn outcome(answer: &Map<String, Value>) -> Outcome {
    // An import counts its files in a member of its own.
    let counts = answer.get("outcome").and_then(Value::as_object).unwrap_or(answer);
    let count = |names: &[&str]| {
        let found = names.iter().find_map(|name| counts.get(*name)?.as_u64());
        found.unwrap_or_default()
    };
    let failed = count(&["items_failed", "files_failed", "failed"]);
    let of_report = |name: &str| answer.get("report")?.get(name)?.as_u64();
    let held_back =
        count(&["files_held_back"]) + of_report("instances_held_back").unwrap_or_default();
    let imported = ["stored", "files_imported"].into_iter().find_map(|name| counts.get(name));
    let succeeded = match imported.and_then(Value::as_u64) {
        Some(stored) => stored,
        None => count(&["items_done", "files_done"]).saturating_sub(failed),
    };
    match status(answer) {
        Some("FAILED" | "CANCELLED") => Outcome::Failed,
        _ => Outcome::of_items(succeeded, failed, held_back),
    }
}

/// Returns what is printed of an answer. Pictures are written to a file, as is a frame if a file is named.
fn printed(answer: Answer, output: Option<&Path>) -> Result<Map<String, Value>> {
    let Answer { mut structured, images, links, .. } = answer;
    let Some(path) = output else {
        if !images.is_empty() {
            terminal::note("The picture is not printed; --output FILE writes it to a file.");
        }
        return Ok(structured);
    };
    let frame = structured.get("image_frame_blob").and_then(Value::as_str);
    let linked = links.into_iter().find_map(|link| link.data);
    let bytes = match (images.into_iter().next(), frame, linked) {
        (Some(image), ..) => image.data,
        (None, Some(base64), _) => STANDARD.decode(base64).context("the frame is not base64")?,
        (None, None, Some(data)) => data.into(),
        (None, None, None) => {
            terminal::note("--output: the answer has no picture or frame, so no file was written.");
            return Ok(structured);
        }
    };
    std::fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    structured.shift_remove("image_frame_blob");
    structured.shift_remove("resource_uri");
    Ok(structured)
}

fn parse(json: &str) -> Result<Map<String, Value>> {
    let text = if json == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("stdin is not UTF-8 text")?;
        text
    } else {
        json.to_owned()
    };
    match read_json("argument JSON", text.as_bytes())? {
        Value::Object(arguments) => Ok(arguments),
        _ => bail!("the argument JSON is not an object: use one such as '{{\"max_results\": 5}}'"),
    }
}

/// Shows the progress of a call on a terminal.
struct Spinner(ProgressBar);

#[async_trait]
impl Progress for Spinner {
    async fn report(&self, _: f64, _: Option<f64>, message: String) {
        self.0.set_message(terminal::visible(&message));
        self.0.tick();
    }
}

/// Asks at the terminal.
struct Prompt;

#[async_trait]
impl Ask for Prompt {
    async fn ask(&self, question: &str) -> healthimaging::Result<UserReply> {
        let question = question.to_owned();
        let agrees = tokio::task::spawn_blocking(move || terminal::agrees(&question))
            .await
            .map_err(|cause| Error::internal("the question could not be asked", cause))?
            .map_err(|cause| Error::internal("the answer could not be read", cause))?;
        if agrees {
            return Ok(UserReply::Agreed);
        }
        Err(Error::new(ErrorKind::AccessDenied, "you did not agree, so nothing was changed"))
    }
}

/// Declines, since there is no terminal to ask at.
struct NoTerminal;

#[async_trait]
impl Ask for NoTerminal {
    async fn ask(&self, _question: &str) -> healthimaging::Result<UserReply> {
        Err(Error::validation(
            "this call has to be confirmed, and there is no terminal to ask at; nothing was changed. Add --yes \
             to confirm it, or \"dry_run\": true to get the plan",
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{INDENTED, outcome, parse, text};
    use crate::outcome::Outcome;

    #[test]
    fn arguments_are_one_object() {
        assert_eq!(parse(r#"{"max_results": 5}"#).unwrap()["max_results"], 5);
        assert!(parse("[1]").unwrap_err().to_string().contains("not an object"));
        assert!(parse("{").unwrap_err().to_string().contains("not JSON"));
        let twice = parse(r#"{"image_set_id": "a", "image_set_id": "b"}"#).unwrap_err();
        assert!(twice.to_string().contains("two members of one name"), "{twice}");
    }

    #[test]
    fn a_call_fails_with_its_job_or_with_all_of_its_items() {
        let of = |answer: Value| outcome(answer.as_object().unwrap());
        assert_eq!(of(json!({ "datastore_id": "d" })), Outcome::Done);
        assert_eq!(of(json!({ "job_status": "FAILED" })), Outcome::Failed);
        assert_eq!(of(json!({ "job_status": "CANCELLED" })), Outcome::Failed);
        for (done, failed, expected) in [
            (0, 0, Outcome::Done),
            (2, 0, Outcome::Done),
            (2, 1, Outcome::Partly),
            (2, 2, Outcome::Failed),
        ] {
            let job =
                json!({ "job_status": "COMPLETED", "items_done": done, "items_failed": failed });
            assert_eq!(of(job), expected, "{done} {failed}");
            let job =
                json!({ "job_status": "COMPLETED", "files_done": done, "files_failed": failed });
            assert_eq!(of(job), expected, "{done} {failed}");
        }
        // What is held back waits for a person, by whatever tool.
        let held = json!({ "job_status": "COMPLETED", "files_done": 0, "files_held_back": 2 });
        assert_eq!(of(held), Outcome::Partly);
        let report = json!({ "instances_held_back": 2 });
        let held = json!({ "job_status": "COMPLETED", "items_done": 2, "report": report });
        assert_eq!(of(held), Outcome::Partly);
        assert_eq!(of(json!({ "stored": 0, "failed": 2 })), Outcome::Failed);
        assert_eq!(of(json!({ "stored": 1, "failed": 2 })), Outcome::Partly);
    }

    #[test]
    fn indentation_makes_no_answer_long() {
        let list = |items: usize| json!({ "items": vec!["0123456789"; items] });
        assert!(text(&list(10)).unwrap().contains('\n'));
        // 13 bytes an item without indentation.
        let long = text(&list(4_500)).unwrap();
        assert!(long.len() <= INDENTED && !long.contains('\n'), "{}", long.len());
    }
}
