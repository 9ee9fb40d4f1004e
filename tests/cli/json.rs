//! `--json`: one object on stdout for each command, errors too; and what shells and agents read.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use healthimaging_tools::Offer;
use serde_json::{Map, Value, json};

use crate::rig::{Rig, stderr, stdout, text};

/// The only line of stdout.
fn object(output: &Output) -> Value {
    let printed = stdout(output);
    let lines: Vec<&str> = printed.lines().collect();
    let [line] = lines[..] else { panic!("{printed}{}", stderr(output)) };
    let value: Value = serde_json::from_str(line).unwrap();
    assert!(value.is_object(), "{line}");
    value
}

fn succeeded(rig: &Rig, words: &[&str]) -> Value {
    let output = rig.run(words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", stderr(&output));
    let result = object(&output);
    assert_eq!(result["outcome"], "done", "{words:?}: {result}");
    result
}

#[test]
fn each_command_prints_its_result_as_one_object() {
    let rig = Rig::new();
    let scans = rig.scans();
    let imported = succeeded(&rig, &["import", "--json", text(&scans), "--datastore", "ward"]);
    // Two series of three slices.
    assert_eq!((&imported["files_imported"], &imported["image_sets"]), (&json!(6), &json!(2)));
    assert_eq!((&imported["files_failed"], &imported["failed"]), (&json!(0), &json!([])));
    assert_eq!(imported["datastore_name"], "ward");
    let id = imported["datastore_id"].as_str().unwrap();
    let listed = rig.call("list_datastores", &json!({}));
    assert_eq!(listed["datastore_summaries"][0]["datastore_id"], id);

    let out = rig.path("out");
    let exported = succeeded(&rig, &["--json", "export", "--out", text(&out)]);
    assert_eq!((&exported["files_written"], &exported["datastore_id"]), (&json!(6), &json!(id)));
    let verified = succeeded(&rig, &["--json", "verify"]);
    assert_eq!((&verified["image_sets"], &verified["damaged"]), (&json!(2), &json!([])));
    let backup = rig.path("backup");
    let copied = succeeded(&rig, &["--json", "backup", text(&backup)]);
    assert_eq!((&copied["folder"], &copied["verified"]["image_sets"]), (&json!(backup), &json!(2)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    command.env_clear().arg("--data-dir").arg(rig.path("second")).args(["--json", "restore"]);
    let restored = object(&command.arg(&backup).output().unwrap());
    assert_eq!(
        (&restored["outcome"], &restored["folder"]),
        (&json!("done"), &json!(rig.path("second")))
    );
    let report = succeeded(&rig, &["--json", "doctor"]);
    assert!(report["lines"].as_array().unwrap().iter().any(|line| line["name"] == "back end"));
    let by_variable = rig.command(&["doctor"]).env("HEALTHIMAGING_JSON", "true").output().unwrap();
    assert_eq!(object(&by_variable)["outcome"], "done");
}

#[test]
fn what_failed_in_part_says_what() {
    let rig = Rig::new();
    let scans = rig.scans();
    let broken = scans.join("broken.dcm");
    let mut file = std::fs::File::create(&broken).unwrap();
    file.write_all(&[&[0; 128][..], b"DICM rubbish"].concat()).unwrap();
    std::fs::write(scans.join("notes.txt"), "not an image").unwrap();
    let output = rig.run(&["--json", "import", text(&scans)]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let result = object(&output);
    assert_eq!(result["outcome"], "partly");
    assert_eq!((&result["files_failed"], &result["files_skipped"]), (&json!(1), &json!(1)));
    let failed = result["failed"][0]["file"].as_str().unwrap();
    assert!(failed.ends_with("broken.dcm"), "{failed}");
    assert!(!result["failed"][0]["message"].as_str().unwrap().is_empty());
}

#[test]
fn errors_are_objects_with_the_public_type() {
    let rig = Rig::new();
    for (words, code, kind, part) in [
        (&["--json", "verify"][..], 1, "validation_error", "no embedded store"),
        (&["verify", "--json", "--backend", "aws"], 1, "validation_error", "embedded store"),
        (&["--json", "import", "/no/such/file"], 1, "not_found", "cannot be read"),
        (
            &["--json", "export", "--out", "o", "--log-level", "loud"],
            2,
            "validation_error",
            "--log-level",
        ),
        (&["--json", "export"], 2, "validation_error", "--out"),
        (&["--json", "--toolsets", "x", "tools"], 2, "validation_error", "--toolsets"),
        (&["--json", "importt"], 2, "validation_error", "importt"),
        (&["--json", "--no-such-flag"], 2, "validation_error", "--no-such-flag"),
        (&["transfer", "--to", "x", "--all", "--json"], 2, "validation_error", "--from <NAME>"),
    ] {
        let output = rig.run(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", stderr(&output));
        let error = object(&output);
        assert_eq!((&error["error"], &error["type"]), (&json!(true), &json!(kind)), "{words:?}");
        let message = error["message"].as_str().unwrap();
        let said = stderr(&output);
        assert!(message.contains(part), "{words:?}: {message}");
        assert!(said.contains("error: "), "{said}");
    }
    let by_variable = rig.command(&["export"]).env("HEALTHIMAGING_JSON", "true").output().unwrap();
    assert_eq!(object(&by_variable)["type"], "validation_error");
    // Without the flag, stdout stays empty.
    assert!(stdout(&rig.run(&["verify"])).is_empty());
}

#[test]
fn shells_get_scripts_that_name_the_commands() {
    let rig = Rig::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = rig.run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        for word in ["healthimaging-mcp-server", "import", "doctor", "toolsets"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!rig.path("store").exists());
        if shell == "bash" {
            let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
            bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(bash.wait().unwrap().success());
        }
    }
    assert_eq!(rig.run(&["completions", "tcsh"]).status.code(), Some(2));
}

/// Commands, options, tools and arguments that the skill names exist.
#[test]
fn the_skill_names_what_there_is() {
    let skill = Path::new(env!("CARGO_MANIFEST_DIR")).join("skills/healthimaging/SKILL.md");
    let skill = std::fs::read_to_string(skill).unwrap();
    let rig = Rig::new();
    let mut commands = BTreeSet::new();
    for line in skill.lines().filter_map(|line| line.strip_prefix("$ healthimaging-mcp-server ")) {
        let (before, rest) = line.split_once('\'').unwrap_or((line, ""));
        let (json, after) = rest.rsplit_once('\'').unwrap_or(("", ""));
        let words: Vec<&str> = before.split(' ').chain(after.split(' ')).collect();
        let command = words.iter().find(|word| !word.starts_with('-') && !word.is_empty()).unwrap();
        let help = stdout(&rig.run(&[command, "--help"]));
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{line}: {option}");
        }
        commands.insert((*command).to_owned());
        if *command == "call" {
            let at = words.iter().position(|word| word == command).unwrap();
            let tool = Offer::All.tools().find(|tool| tool.name == words[at + 1]);
            let mut arguments: Map<String, Value> = serde_json::from_str(json).unwrap();
            // Of every tool that plans first.
            arguments.remove("dry_run");
            tool.unwrap_or_else(|| panic!("{line}")).check(arguments).unwrap();
        }
    }
    assert!(commands.len() >= 5, "{commands:?}");
}
