//! The program on AWS: errors when it cannot be reached.

use std::process::Command;

use serde_json::Value;

use crate::rig::{Rig, stderr, stdout};

/// The program on AWS, at an endpoint where nothing listens.
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
fn a_region_that_cannot_be_one_is_named_with_its_source() {
    let rig = Rig::new();
    let config = rig.path("config");
    std::fs::write(&config, "[default]\nregion = eu_west\n").unwrap();
    let config = config.to_str().unwrap();
    let in_file = format!("{config}, line 2");
    let call = ["call", "list_datastores"];
    let on_aws = |name: &str, value: &str| {
        let mut command = on_aws(&rig, &call);
        command.env(name, value);
        command
    };
    let flag = ["--region", "eu_west", "call", "create_datastore"];
    for (mut command, source) in [
        (rig.command(&flag), "--region"),
        (on_aws("HEALTHIMAGING_REGION", "eu_west"), "HEALTHIMAGING_REGION"),
        (on_aws("AWS_REGION", "eu_west"), "AWS_REGION"),
        (on_aws("AWS_CONFIG_FILE", config), &in_file),
    ] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let says = format!("error: {source}: `eu_west` is not an AWS region");
        let found = stderr(&output);
        assert!(found.contains(&says) && found.contains("such as us-east-1"), "{found}");
    }
}

#[test]
fn a_bucket_without_credentials_is_not_blamed() {
    let rig = Rig::new();
    let mut command = rig.command(&["import", "s3://some-bucket/scans/"]);
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found = stderr(&output);
    let error = found.lines().find(|line| line.starts_with("error: ")).unwrap_or(&found);
    assert!(error.contains("no credentials found: run `aws configure`"), "{found}");
    assert!(!error.contains("bucket") && !found.contains('{'), "{found}");
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
    let report = output(&["doctor"]);
    assert_eq!(report.status.code(), Some(1));
    let text = stdout(&report);
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
