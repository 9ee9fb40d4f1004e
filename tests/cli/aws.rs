//! The program on AWS: what it says when it cannot go there.

use std::process::Command;

use serde_json::Value;

use crate::rig::{Rig, stderr, stdout};

/// The program on AWS, whose place nobody has taken: nothing listens at the endpoint.
fn on_aws(rig: &Rig, words: &[&str]) -> Command {
    let mut command = rig.command(&["--backend", "aws", "--endpoint-url", "http://127.0.0.1:1"]);
    command.args(words).env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[test]
fn aws_without_a_region_or_credentials_says_what_to_set() {
    let rig = Rig::new();
    let output = on_aws(&rig, &["call", "list_datastores"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("set AWS_REGION"), "{}", stderr(&output));
    let mut command = on_aws(&rig, &["call", "list_datastores"]);
    let output = command.env("AWS_REGION", "us-east-1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["type"], "auth_error");
    assert!(error["message"].as_str().unwrap().contains("`aws configure`"), "{error}");
}

#[test]
fn aws_out_of_reach_is_told_by_call_and_doctor() {
    let rig = Rig::new();
    let output = |words: &[&str]| {
        let mut command = on_aws(&rig, words);
        command
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret");
        command.output().unwrap()
    };
    let called = output(&["call", "list_datastores"]);
    let error: Value = serde_json::from_slice(&called.stdout).unwrap();
    assert_eq!(error["type"], "service_error");
    assert!(error["message"].as_str().unwrap().contains("cannot be reached"), "{error}");
    let told = output(&["doctor"]);
    assert_eq!(told.status.code(), Some(1));
    let text = stdout(&told);
    for part in ["AWS HealthImaging, as asked for", "eu-west-1", "http://127.0.0.1:1", "FAILED"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("AKIDEXAMPLE") && !text.contains("secret"));
}

#[test]
fn a_command_of_the_embedded_store_says_so_on_aws() {
    let rig = Rig::new();
    let output = on_aws(&rig, &["verify"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("embedded store"), "{}", stderr(&output));
}
