//! `doctor` and `demo`: they tell how things are, and leave nothing.

use crate::rig::{Rig, stderr, stdout};

#[test]
fn a_doctor_changes_nothing() {
    let rig = Rig::new();
    let before = rig.run(&["doctor"]);
    assert_eq!(before.status.code(), Some(0));
    assert!(stdout(&before).contains("embedded store, the default"));
    assert!(!rig.path("store").exists(), "looking makes no store");
    std::fs::create_dir(rig.path("store")).unwrap();
    assert!(stdout(&rig.run(&["doctor"])).contains("not made yet"));
    let inside = std::fs::read_dir(rig.path("store")).unwrap().count();
    assert_eq!(inside, 0, "nor in a folder that was made for it");
    // A region chooses AWS for `stdio` alone, and a flag for every command.
    let aws = |words: &[&str]| {
        let mut command = rig.command(words);
        command
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL_MEDICAL_IMAGING", "http://127.0.0.1:1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        stdout(&command.output().unwrap())
    };
    let told = aws(&["doctor"]);
    assert!(told.contains("back end      embedded store, the default"), "{told}");
    assert!(told.contains("under stdio   AWS HealthImaging, since AWS_REGION is set"), "{told}");
    let told = aws(&["--backend", "aws", "doctor"]);
    assert!(told.contains("back end      AWS HealthImaging, as asked for"), "{told}");
    assert!(told.contains("http://127.0.0.1:1"), "{told}");
    let told = aws(&["--backend", "local", "doctor"]);
    assert!(told.contains("under stdio   embedded store, as asked for"), "{told}");
}

#[test]
fn a_doctor_says_what_is_missing_for_aws() {
    let rig = Rig::new();
    let told = |variables: &[(&str, &str)]| {
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
    assert!(told(&[]).contains("no AWS region is known"));
    let nobody = told(&[("AWS_PROFILE", "one")]);
    assert!(nobody.contains("eu-west-2"), "{nobody}");
    assert_eq!(nobody.matches("no credentials found").count(), 1, "{nobody}");
    assert!(nobody.contains("for want of credentials"), "{nobody}");
    let other = told(&[("AWS_PROFILE", "two"), ("AWS_REGION", "eu-west-2")]);
    assert!(other.contains("there is no profile `two`"), "{other}");
}

#[test]
fn the_demonstration_ends_well_and_leaves_nothing() {
    let rig = Rig::new();
    let output = rig.command(&["demo"]).env("HEALTHIMAGING_READ_ONLY", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("Everything was as expected"));
    assert!(!stdout(&output).contains('\x1b'), "no colours but on a terminal");
    assert_eq!(std::fs::read_dir(rig.folder.path()).unwrap().count(), 0, "nothing is left");
}
