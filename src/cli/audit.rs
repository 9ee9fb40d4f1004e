//! `audit`: checks and shows the audit log.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use healthimaging_audit::{Break, FOLDER, Keys, Lines, Selection, Verified, verify};
use serde_json::{Value, json};

use crate::config::Config;
use crate::outcome::Outcome;
use crate::terminal::{self, counted};

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the chain of records and its signed head
    Verify {
        /// Folder with a copy of the log [default: that of the data folder]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,

        /// Public key of the log, hexadecimal [default: that of the data folder]
        #[arg(long, value_name = "KEY", value_parser = public_key)]
        key: Option<String>,

        /// Record that must be part of the chain, as printed by an earlier check
        #[arg(long, value_name = "NUMBER:HASH", value_parser = expected)]
        expect: Option<(u64, String)>,
    },
    /// Print records as JSON, one a line
    Show {
        /// Only calls about this Patient ID, and those of their jobs
        #[arg(long, value_name = "ID")]
        patient: Option<String>,
    },
}

fn expected(text: &str) -> Result<(u64, String), String> {
    let wrong = || "expected the number of a record and its hash, such as 12:9f…".to_owned();
    let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match sequence.parse() {
        Ok(sequence) if is_hash => Ok((sequence, hash.to_ascii_lowercase())),
        _ => Err(wrong()),
    }
}

fn public_key(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("expected a public key, 64 hexadecimal digits, as printed by audit verify".to_owned())
}

pub(super) fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    let own = config.data_dir.join(FOLDER);
    match arguments.command {
        Command::Verify { folder, key, expect } => {
            let folder = folder.unwrap_or_else(|| own.clone());
            let key = match key {
                Some(key) => key,
                None => keys(&own)?.public_key(),
            };
            let checked = verify(&folder, &key, expect.as_ref());
            report(&checked.with_context(|| missing(&folder))?, &key)
        }
        Command::Show { patient } => show(&own, patient.as_deref()),
    }
}

fn missing(folder: &Path) -> String {
    let names =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.file_name());
    // Also without those of records that were removed: a head is left of them.
    let is_of_records = |name: &OsString| !["audit.key", "lock"].iter().any(|other| name == other);
    if folder.is_dir() && !names.into_iter().any(|name| is_of_records(&name)) {
        return format!("the audit log in {} has no records yet", folder.display());
    }
    format!("the audit log in {} cannot be read", folder.display())
}

fn keys(folder: &Path) -> Result<Keys> {
    ensure!(
        folder.exists(),
        "there is no audit log in {}: check --data-dir, or name the folder of the records",
        folder.display()
    );
    let read = Keys::read(folder);
    read.with_context(|| format!("the key of the audit log in {} cannot be read", folder.display()))
}

/// Prints what was found.
fn report(checked: &Verified, key: &str) -> Result<Outcome> {
    let outcome = if checked.broken.is_none() { Outcome::Done } else { Outcome::Failed };
    terminal::document(|| document(checked, key, outcome))?;
    let Verified { records, first, last: (sequence, hash), head, broken, signed_anew } = checked;
    for record in signed_anew {
        terminal::note(&format!(
            "record {record}: the signed head was missing, and was signed anew; records before it may have been removed \
             (--expect with a head that was kept elsewhere shows whether)"
        ));
    }
    if let Some(Break { place: (file, line), sequence, why }) = broken {
        let line = if *line == 0 { String::new() } else { format!(", line {line}") };
        if !terminal::is_json() {
            terminal::result(&format!("broken at record {sequence} ({file}{line}): {why}"))?;
        }
        terminal::note(&format!("verified before it: {}", counted(*records, "record")));
        return Ok(outcome);
    }
    if !terminal::is_json() {
        terminal::result(&format!("{sequence}:{hash}"))?;
    }
    terminal::note(&format!("verified {}, {first} to {sequence}", counted(*records, "record")));
    if *first > 1 {
        terminal::note("earlier segments are not in the folder");
    }
    if let Some(head) = head {
        terminal::note(&format!(
            "the head is signed up to record {} at {}",
            head.sequence, head.time
        ));
    }
    terminal::note(&format!(
        "public key {key}; keep the printed head elsewhere, and pass it to --expect next time"
    ));
    Ok(outcome)
}

/// Returns the result as JSON.
fn document(checked: &Verified, key: &str, outcome: Outcome) -> Value {
    let Verified { records, first, last: (sequence, hash), head, broken, signed_anew } = checked;
    let broken = broken.as_ref().map(|broken| {
        let (file, line) = &broken.place;
        json!({ "sequence": broken.sequence, "file": file, "line": line, "message": broken.why })
    });
    json!({
        "outcome": outcome.as_str(),
        "records": records,
        "first": first,
        "last": sequence,
        "hash": hash,
        "signed_up_to": head.as_ref().map(|head| head.sequence),
        "public_key": key,
        "broken": broken,
        "signed_anew": signed_anew,
    })
}

/// Returns a warning if the log is not as it was written.
fn warning(folder: &Path) -> Option<String> {
    let why = match keys(folder) {
        Err(error) => terminal::explained(&error),
        Ok(keys) => match verify(folder, &keys.public_key(), None) {
            Err(error) => error.to_string(),
            Ok(checked) => {
                let Break { sequence, why, .. } = checked.broken?;
                format!("broken at record {sequence}: {why}")
            }
        },
    };
    Some(format!("warning: these records cannot be relied on: {why}; run audit verify"))
}

fn show(folder: &Path, patient: Option<&str>) -> Result<Outcome> {
    let lines = Lines::open(folder).with_context(|| missing(folder))?;
    let warning = warning(folder);
    if let Some(warning) = &warning {
        terminal::note(warning);
    }
    let selected = match patient {
        Some(id) if id.trim().is_empty() => bail!("--patient is empty; give a Patient ID"),
        Some(id) => {
            let found = Selection::find(folder, keys(folder)?.digest(id));
            Some(found.with_context(|| missing(folder))?)
        }
        None => None,
    };
    let (mut shown, mut records) = (0_u64, Vec::new());
    for line in lines {
        let line = line.with_context(|| missing(folder))?;
        if line.is_whole && selected.as_ref().is_none_or(|selected| selected.has(&line.text)) {
            shown += 1;
            if terminal::is_json() {
                records.extend(serde_json::from_str::<Value>(&line.text));
            } else {
                terminal::result(&line.text)?;
            }
        }
    }
    terminal::document(
        || json!({ "outcome": Outcome::Done.as_str(), "records": records, "warning": warning }),
    )?;
    terminal::note(&counted(shown, "record"));
    Ok(Outcome::Done)
}
