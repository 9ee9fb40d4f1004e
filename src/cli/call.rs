//! `call`: one tool, from the shell.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use healthimaging::{Error, ErrorKind};
use healthimaging_tools::{Answer, Ask, Consent, Progress, UserReply, error_document};
use indicatif::ProgressBar;
use serde_json::{Map, Value};

use super::Outcome;
use super::serve::stop_signal;
use crate::backend::Backend;
use crate::config::Config;
use crate::terminal;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of the tool
    tool: String,

    /// Its arguments, a JSON object; `-` reads it from stdin
    #[arg(default_value = "{}", hide_default_value = true)]
    json: String,

    /// Agree to what the tool plans, unasked
    #[arg(long, short)]
    yes: bool,

    /// Write the picture, or the stored frame, to this file instead of printing it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    let from_stdin = arguments.json == "-";
    let parsed = parse(&arguments.json)?;
    let consent = if arguments.yes {
        Consent::Given
    } else if terminal::is_interactive() && !from_stdin {
        Consent::Ask(Arc::new(Prompt))
    } else {
        Consent::Ask(Arc::new(Nobody))
    };
    let backend = Backend::open(config).await?;
    let server = backend.server(config)?;
    let bar = terminal::progress_bar("{spinner} {msg}");
    let told = Arc::new(Told(bar.clone()));
    let called = tokio::select! {
        called = server.call_to_end(&arguments.tool, parsed, consent, Some(told)) => Ok(called),
        heard = stop_signal() => Err(heard),
    };
    bar.finish_and_clear();
    backend.close().await;
    let called = match called {
        Ok(called) => called,
        Err(heard) => {
            heard.context("signals cannot be heard")?;
            bail!(
                "stopped; a job that was started goes on when the store is used next (`call list_jobs` \
                 shows it, `call cancel_job` ends it)"
            );
        }
    };
    let (document, outcome) = match called {
        Ok(answer) => (set_apart(answer, arguments.output.as_deref())?, Outcome::Done),
        Err(error) => (error_document(&error), Outcome::Refused),
    };
    terminal::result(&serde_json::to_string_pretty(&Value::Object(document))?)?;
    Ok(outcome)
}

/// What is printed of an answer; pictures go to a file, as does a frame where a file is named.
fn set_apart(answer: Answer, output: Option<&Path>) -> Result<Map<String, Value>> {
    let Answer { mut structured, images, links, .. } = answer;
    let Some(path) = output else {
        if !images.is_empty() {
            terminal::note("The picture was left out; --output FILE writes it to a file.");
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
            terminal::note("The answer holds nothing for a file, so none was written.");
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
        std::io::stdin().read_to_string(&mut text).context("stdin cannot be read as text")?;
        text
    } else {
        json.to_owned()
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => bail!("the arguments must be one JSON object, such as '{{\"max_results\": 5}}'"),
        Err(error) => bail!("the arguments are not JSON: {error}"),
    }
}

/// Shows how far a call is, on a terminal.
struct Told(ProgressBar);

#[async_trait]
impl Progress for Told {
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
            .map_err(|cause| Error::internal("the question could not be put", cause))?
            .map_err(|cause| Error::internal("the answer could not be read", cause))?;
        if agrees {
            return Ok(UserReply::Agreed);
        }
        Err(Error::new(ErrorKind::AccessDenied, "you did not agree, so nothing was changed"))
    }
}

/// There is nobody to ask.
struct Nobody;

#[async_trait]
impl Ask for Nobody {
    async fn ask(&self, _question: &str) -> healthimaging::Result<UserReply> {
        Err(Error::validation(
            "this has to be agreed to, and there is no terminal to ask at; nothing was changed. Add --yes \
             to agree, or \"dry_run\": true to see the plan",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn arguments_are_one_object() {
        assert_eq!(parse(r#"{"max_results": 5}"#).unwrap()["max_results"], 5);
        assert!(parse("[1]").unwrap_err().to_string().contains("one JSON object"));
        assert!(parse("{").unwrap_err().to_string().contains("not JSON"));
    }
}
