//! `export --deidentify`: the key, what is held back, what a person decides, and the linkage file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use dicom_dictionary_std::tags;
use healthimaging_phantoms::{Phantom, PhantomFile, VR, write_to};
use serde_json::{Value, json};

use crate::rig::{Rig, stderr, text};

const SERIES: &str = "2.25.7.1";

/// A store with a capture of 8 rows of 10, in which every sample is 200.
fn captured() -> Rig {
    let rig = Rig::new();
    let capture = Phantom::ct()
        .size(8, 10)
        .bits(8, 8)
        .unsigned()
        .pixels(vec![200; 80])
        .patient("SECRET^NAME", "SECRET-MRN")
        .study_uid("2.25.7")
        .series_uid(SERIES)
        .sop_uid("2.25.7.1.1")
        .with(tags::MODALITY, VR::CS, "OT");
    let file = PhantomFile { relative_path: "1.dcm".into(), bytes: capture.build() };
    write_to(&rig.path("scans"), [file]).unwrap();
    let imported = rig.run(&["import", text(&rig.path("scans"))]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    rig
}

fn export(rig: &Rig, out: &Path, more: &[&str]) -> Output {
    let mut words = vec!["export", "--out", text(out), "--deidentify", "basic"];
    words.extend(more);
    rig.run(&words)
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "dcm") {
                found.insert(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found
}

const PIXELS: &str = "clean-pixel-data";

#[test]
fn a_profile_of_aws_is_no_profile_of_deidentification() {
    let rig = captured();
    let plain = rig.path("plain");
    let exported = rig
        .command(&["export", "--out", text(&plain)])
        .env("HEALTHIMAGING_PROFILE", "basic")
        .output()
        .unwrap();
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    assert!(!plain.join("DEIDENTIFICATION").exists());
    assert_eq!(files(&plain), BTreeSet::from([PathBuf::from("2.25.7/2.25.7.1/2.25.7.1.1.dcm")]));
    // Held back: the profile of AWS changes nothing of it.
    let exported = export(&rig, &rig.path("out"), &["--profile", "absent"]);
    assert_eq!(exported.status.code(), Some(3), "{}", stderr(&exported));
}

#[test]
fn what_is_held_back_is_exported_once_a_person_has_seen_it() {
    let rig = captured();
    let out = rig.path("out");
    let held = export(&rig, &out, &["--deidentify-options", PIXELS]);
    assert_eq!(held.status.code(), Some(3), "{}", stderr(&held));
    assert!(stderr(&held).contains("1 file held back"), "{}", stderr(&held));
    assert!(stderr(&held).contains("of image set"), "{}", stderr(&held));
    assert!(!stderr(&held).contains("SECRET"), "{}", stderr(&held));
    assert!(files(&out).is_empty());
    // The tool counts the reasons, too.
    let asked = json!({ "output_s3_uri": format!("file://{}/", text(&out)),
        "deidentify": { "profile": "basic", "options": [PIXELS] } });
    let held = rig.run(&[
        "--allow-path",
        text(&out),
        "call",
        "start_dicom_export_job",
        &asked.to_string(),
    ]);
    assert_eq!(held.status.code(), Some(3), "{}", stderr(&held));
    let held: Value = serde_json::from_slice(&held.stdout).unwrap();
    let reasons = held["held_back_reasons"].as_object().unwrap();
    assert_eq!(reasons.values().map(Value::as_u64).collect::<Vec<_>>(), [Some(1)], "{held}");
    assert!(held["summary"].as_str().unwrap().contains("report.ndjson"), "{held}");

    let reviewed = rig.path("reviewed");
    let words = ["--deidentify-options", PIXELS, "--series", SERIES, "--reviewed"];
    let passed = export(&rig, &reviewed, &words);
    assert_eq!(passed.status.code(), Some(0), "{}", stderr(&passed));
    assert_eq!(samples(&reviewed), vec![200; 80]);

    let blanked = rig.path("blanked");
    let words = ["--deidentify-options", PIXELS, "--series", SERIES, "--blank", "2,1,3,2"];
    let passed = export(&rig, &blanked, &words);
    assert_eq!(passed.status.code(), Some(0), "{}", stderr(&passed));
    let is_inside = |at: usize| (2..5).contains(&(at % 10)) && (1..3).contains(&(at / 10));
    let expected: Vec<u8> = (0..80).map(|at| if is_inside(at) { 0 } else { 200 }).collect();
    assert_eq!(samples(&blanked), expected);
    assert_eq!(files(&reviewed), files(&blanked), "the same key gives the same names");

    // Whoever gave this rectangle saw other frames.
    let outside = rig.path("outside");
    let words = ["--deidentify-options", PIXELS, "--series", SERIES, "--blank", "10,0,2,2"];
    let held = export(&rig, &outside, &words);
    assert_eq!(held.status.code(), Some(3), "{}", stderr(&held));
    assert!(files(&outside).is_empty());
}

/// A text in the bits above Bits Stored (0028,0101), which viewers do not show.
#[test]
fn unused_bits_of_samples_are_cleared() {
    let rig = Rig::new();
    let hidden: [u16; 4] = [0x0123, 0xF456, 0x0789, 0x1ABC];
    let scan = Phantom::ct()
        .size(2, 2)
        .bits(16, 12)
        .unsigned()
        .pixels(hidden.iter().flat_map(|sample| sample.to_le_bytes()).collect());
    let file = PhantomFile { relative_path: "1.dcm".into(), bytes: scan.build() };
    write_to(&rig.path("scans"), [file]).unwrap();
    let imported = rig.run(&["import", text(&rig.path("scans"))]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let out = rig.path("out");
    let exported = export(&rig, &out, &["--deidentify-options", PIXELS]);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    let cleared: Vec<u8> =
        hidden.iter().flat_map(|sample| (sample & 0x0FFF).to_le_bytes()).collect();
    assert_eq!(samples(&out), cleared);
}

/// The decoded samples of the one file below a folder.
fn samples(folder: &Path) -> Vec<u8> {
    let files = files(folder);
    let name = files.first().unwrap();
    let object = dicom_object::open_file(folder.join(name)).unwrap();
    let burned_in = object.element(tags::BURNED_IN_ANNOTATION).unwrap().to_str().unwrap();
    assert_eq!(burned_in.trim(), "NO");
    if object.meta().transfer_syntax() == "1.2.840.10008.1.2.1" {
        return object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    }
    // Frames that were not touched are as the store has them.
    let fragments = object.element(tags::PIXEL_DATA).unwrap();
    assert!(!fragments.value().fragments().unwrap().is_empty());
    vec![200; 80]
}

#[test]
fn a_review_needs_one_series_and_the_option() {
    let rig = captured();
    let out = rig.path("out");
    let wrong: [(&[&str], i32, &str); 8] = [
        (&["--deidentify-options", PIXELS, "--reviewed"], 1, "name one series or instance"),
        (&["--deidentify-options", PIXELS, "--blank", "0,0,1,1"], 1, "name one series or instance"),
        (&["--series", SERIES, "--reviewed"], 1, "needs clean-pixel-data"),
        (&["--series", SERIES, "--blank", "0,0,0,1"], 2, "X,Y,WIDTH,HEIGHT"),
        (&["--series", SERIES, "--blank", "4294967295,0,2,1"], 2, "X,Y,WIDTH,HEIGHT"),
        (&["--series", SERIES, "--blank", "1,2,3"], 2, "X,Y,WIDTH,HEIGHT"),
        (&["--deidentify-options", "clean-all"], 1, "clean-pixel-data, clean-graphics"),
        (
            &["--deidentify-options", "retain-full-dates,retain-modified-dates"],
            1,
            "exclude each other",
        ),
    ];
    for (words, code, expected) in wrong {
        let output = export(&rig, &out, words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{words:?}: {}", stderr(&output));
    }
    let alone = rig.run(&["export", "--out", text(&out), "--reviewed"]);
    assert_eq!(alone.status.code(), Some(2), "{}", stderr(&alone));
    assert!(!rig.path("store/deidentify.key").exists() || files(&out).is_empty());
}

#[test]
fn the_key_is_made_once_or_given_and_wrong_ones_are_refused() {
    let rig = captured();
    let words = ["--deidentify-options", PIXELS, "--series", SERIES, "--reviewed"];
    let (first, second, other) = (rig.path("1"), rig.path("2"), rig.path("3"));
    assert_eq!(export(&rig, &first, &words).status.code(), Some(0));
    let key = rig.path("store/deidentify.key");
    let made = fs::read_to_string(&key).unwrap();
    assert_eq!(made.trim().len(), 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let given = rig.path("given.key");
    let with_key = |out: &Path| {
        let mut more = words.to_vec();
        more.extend(["--deidentify-key", text(&given)]);
        export(&rig, out, &more)
    };
    fs::write(&given, &made).unwrap();
    assert_eq!(with_key(&second).status.code(), Some(0));
    assert_eq!(files(&first), files(&second));
    fs::write(&given, "0f".repeat(32)).unwrap();
    assert_eq!(with_key(&other).status.code(), Some(0));
    assert!(files(&first).is_disjoint(&files(&other)));
    for wrong in ["0f".repeat(16), "0f".repeat(33), "secret".to_owned(), String::new()] {
        fs::write(&given, &wrong).unwrap();
        let output = with_key(&rig.path("4"));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("64 hexadecimal digits"), "{}", stderr(&output));
        assert!(wrong.is_empty() || !stderr(&output).contains(&wrong));
    }
    fs::remove_file(&given).unwrap();
    assert_eq!(with_key(&rig.path("4")).status.code(), Some(1));
    assert_eq!(fs::read_to_string(&key).unwrap(), made, "the key of the data folder stays");
}

#[test]
fn the_linkage_file_is_written_only_where_it_is_named_and_never_in_the_export() {
    let rig = captured();
    let out = rig.path("out");
    let words = |linkage: &Path| {
        let named = text(linkage).to_owned();
        let more = ["--deidentify-options", PIXELS, "--series", SERIES, "--reviewed", "--linkage"];
        let more: Vec<&str> = more.into_iter().chain([named.as_str()]).collect();
        export(&rig, &out, &more)
    };
    fs::create_dir_all(out.join("inner")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(out.join("inner"), rig.path("innocent")).unwrap();
    let mut refused = vec![out.join("linkage"), out.join("inner/linkage")];
    #[cfg(unix)]
    refused.push(rig.path("innocent/linkage"));
    for inside in refused {
        let output = words(&inside);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("inside of the export"), "{}", stderr(&output));
        assert!(!inside.exists() && files(&out).is_empty());
    }
    let linkage = rig.path("linkage.ndjson");
    let output = words(&linkage);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let line: Value = serde_json::from_str(&fs::read_to_string(&linkage).unwrap()).unwrap();
    assert_eq!(line["patient_id"], "SECRET-MRN");
    assert_eq!(line["sop_instance_uid"], "2.25.7.1.1");
    let name = PathBuf::from(line["file"].as_str().unwrap());
    assert_eq!(files(&out), BTreeSet::from([name.clone()]));
    let object = dicom_object::open_file(out.join(name)).unwrap();
    for (tag, member) in [
        (tags::PATIENT_ID, "new_patient_id"),
        (tags::STUDY_INSTANCE_UID, "new_study_instance_uid"),
        (tags::SERIES_INSTANCE_UID, "new_series_instance_uid"),
        (tags::SOP_INSTANCE_UID, "new_sop_instance_uid"),
    ] {
        let value = object.element(tag).unwrap().to_str().unwrap();
        assert_eq!(value.trim(), line[member].as_str().unwrap(), "{member}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&linkage).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = words(&linkage);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    assert!(stderr(&again).contains("the file exists"), "{}", stderr(&again));
}
