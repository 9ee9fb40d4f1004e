//! `doctor` and `demo`: their reports, and that they leave nothing.

use crate::rig::{Rig, stderr, stdout};

#[test]
fn doctor_changes_nothing() {
    let rig = Rig::new();
    let before = rig.run(&["doctor"]);
    assert_eq!(before.status.code(), Some(0));
    assert!(stdout(&before).contains("embedded store, the default"));
    assert!(!rig.path("store").exists(), "a look creates no store");
    std::fs::create_dir(rig.path("store")).unwrap();
    assert!(stdout(&rig.run(&["doctor"])).contains("does not exist yet"));
    let inside = std::fs::read_dir(rig.path("store")).unwrap().count();
    assert_eq!(inside, 0, "an empty folder stays empty");
    // A region chooses AWS for `stdio` alone, and a flag for every command.
    let aws = |words: &[&str]| {
        let mut command = rig.command(words);
        command
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL_MEDICAL_IMAGING", "http://127.0.0.1:1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        stdout(&command.output().unwrap())
    };
    let report = aws(&["doctor"]);
    assert!(report.contains("back end      embedded store, the default"), "{report}");
    assert!(
        report.contains("under stdio   AWS HealthImaging, since AWS_REGION is set"),
        "{report}"
    );
    let report = aws(&["--backend", "aws", "doctor"]);
    assert!(report.contains("back end      AWS HealthImaging, as asked for"), "{report}");
    assert!(report.contains("http://127.0.0.1:1"), "{report}");
    let report = aws(&["--backend", "local", "doctor"]);
    assert!(report.contains("under stdio   embedded store, as asked for"), "{report}");
}

#[test]
fn doctor_names_what_is_missing_for_aws() {
    let rig = Rig::new();
    let report = |variables: &[(&str, &str)]| {
        let mut command = rig.command(&["--backend", "aws", "doctor"]);
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", rig.path("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", rig.path("credentials"))
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stdout(&output)
    };
    std::fs::write(rig.path("config"), "[profile one]\nregion = eu-west-2\n").unwrap();
    std::fs::write(rig.path("credentials"), "").unwrap();
    assert!(report(&[]).contains("no AWS region is configured"));
    let missing = report(&[("AWS_PROFILE", "one")]);
    assert!(missing.contains("eu-west-2"), "{missing}");
    assert_eq!(missing.matches("no credentials found").count(), 1, "{missing}");
    assert!(missing.contains("since credentials are missing"), "{missing}");
    let other = report(&[("AWS_PROFILE", "two"), ("AWS_REGION", "eu-west-2")]);
    assert!(other.contains("there is no profile `two`"), "{other}");
}

#[test]
fn the_demo_succeeds_and_leaves_nothing() {
    let rig = Rig::new();
    let output = rig.command(&["demo"]).env("HEALTHIMAGING_READ_ONLY", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("Everything was as expected"));
    assert!(!stdout(&output).contains('\x1b'), "colors are for terminals");
    assert_eq!(std::fs::read_dir(rig.folder.path()).unwrap().count(), 0, "nothing is left");
}
