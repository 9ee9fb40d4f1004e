//! Flags and their environment variables: which back end they choose, and what an empty one means.

use std::collections::BTreeSet;
use std::process::Command;

use crate::rig::{Rig, stderr, stdout, text};

/// The variables of a help text: those that it names, and those of the global options.
fn variables(help: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_uppercase() || c == '_');
    let named = help.split(word).filter(|word| {
        ["HEALTHIMAGING_", "AWS_", "RUST_"].iter().any(|start| word.starts_with(start))
    });
    let global = help.split("Global options:").nth(1).unwrap_or_default();
    let options = global.lines().filter_map(|line| {
        let option = line.trim_start().strip_prefix("--")?.split([' ', '[']).next()?;
        Some(format!("HEALTHIMAGING_{}", option.replace('-', "_").to_ascii_uppercase()))
    });
    named.map(str::to_owned).chain(options).collect()
}

/// The program with nothing in its environment but a home.
fn bare(rig: &Rig, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    command.env_clear().env("HOME", rig.folder.path()).args(words);
    command
}

#[test]
fn every_empty_variable_counts_as_absent() {
    let rig = Rig::new();
    let help = stdout(&rig.run(&["--help"]));
    let shared = variables(&help);
    assert!(shared.len() > 12 && shared.contains("HEALTHIMAGING_BACKEND"), "{shared:?}");
    let usual = bare(&rig, &["tools"]).output().unwrap();
    assert_eq!(usual.status.code(), Some(0), "{}", stderr(&usual));
    for variable in &shared {
        let output = bare(&rig, &["tools"]).env(variable, "").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{variable}: {}", stderr(&output));
        assert_eq!(stdout(&output), stdout(&usual), "{variable}");
        assert_eq!(stderr(&output), stderr(&usual), "{variable}");
    }

    // Each command has flags of its own. A store that cannot open ends them all, once the command line is read.
    let file = rig.path("file");
    std::fs::write(&file, "").unwrap();
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands = commands.lines().filter_map(|line| line.split_whitespace().next());
    let mut own = 0;
    for command in commands.filter(|command| *command != "help") {
        let help = stdout(&rig.run(&[command, "--help"]));
        for variable in variables(&help).difference(&shared) {
            own += 1;
            let words = ["--data-dir", text(&file), command];
            let output = bare(&rig, &words).env(variable, "").output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{variable}: {}", stderr(&output));
            assert!(!stderr(&output).contains(variable.as_str()), "{}", stderr(&output));
        }
    }
    assert!(own >= 4, "those of `serve`");
}

#[test]
fn empty_variables_of_aws_count_as_absent() {
    let rig = Rig::new();
    let empty = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"];
    let report =
        stdout(&rig.command(&["doctor"]).envs(empty.map(|name| (name, ""))).output().unwrap());
    assert!(report.contains("under stdio   embedded store, the default"), "{report}");
    let mut command = rig.command(&["--backend", "aws", "call", "list_datastores"]);
    command.env("AWS_EC2_METADATA_DISABLED", "true").envs(empty.map(|name| (name, "")));
    let output = command.output().unwrap();
    assert!(stderr(&output).contains("set AWS_REGION"), "{}", stderr(&output));
    // The next one in order is used.
    let mut command = rig.command(&["--backend", "aws", "doctor"]);
    command
        .env("AWS_REGION", "")
        .env("AWS_DEFAULT_REGION", "eu-west-2")
        .env("AWS_ENDPOINT_URL", "")
        .env("AWS_ENDPOINT_URL_MEDICAL_IMAGING", "http://127.0.0.1:1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let report = stdout(&command.output().unwrap());
    assert!(report.contains("eu-west-2") && report.contains("http://127.0.0.1:1"), "{report}");
}

#[test]
fn commands_print_which_back_end_they_use_and_why() {
    let rig = Rig::new();
    let scans = rig.scans();
    let out = rig.path("out");
    let commands: [&[&str]; 6] = [
        &["import", text(&scans)],
        &["call", "list_datastores"],
        &["tools"],
        &["export", "--out", text(&out)],
        &["verify"],
        &["doctor"],
    ];
    for words in commands {
        let line = |command: &mut Command| {
            let output = command.output().unwrap();
            let lines = stderr(&output);
            let mut found = lines.lines().filter(|line| line.starts_with("back end: "));
            let line = found.next().unwrap_or_default().to_owned();
            assert_eq!(found.next(), None, "{words:?}");
            line
        };
        let folder = rig.path("store");
        let usual = line(&mut rig.command(words));
        assert_eq!(usual, format!("back end: embedded store in {}, the default", text(&folder)));
        let beside = line(rig.command(words).env("AWS_PROFILE", "imaging"));
        assert!(beside.contains("embedded store"), "{words:?}: {beside}");
        assert!(
            beside.contains("`stdio` serves AWS HealthImaging, since AWS_PROFILE is set"),
            "{beside}"
        );
        let named = line(
            rig.command(words)
                .env("HEALTHIMAGING_BACKEND", "aws")
                .env("AWS_EC2_METADATA_DISABLED", "true"),
        );
        assert_eq!(named, "back end: AWS HealthImaging, as asked for", "{words:?}");
    }
}
