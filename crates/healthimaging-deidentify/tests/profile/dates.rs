//! Modified dates: one shift a patient.

use chrono::NaiveDate;
use healthimaging_deidentify::Outcome;
use healthimaging_phantoms::{VR, tags};

use super::{data_set, instance, items, outcome, run, text};

fn day(text: &str) -> NaiveDate {
    NaiveDate::parse_from_str(text.get(..8).unwrap(), "%Y%m%d").unwrap()
}

#[test]
fn intervals_are_the_same_across_attributes_items_and_instances() {
    let item = data_set([(tags::CONTENT_DATE, text(VR::DA, "20040301"))]);
    let first = instance([
        (tags::STUDY_DATE, text(VR::DA, "20040119")),
        (tags::STUDY_TIME, text(VR::TM, "072730")),
        (tags::ACQUISITION_DATE_TIME, text(VR::DT, "20040120235959.5+0100")),
        (tags::TIMEZONE_OFFSET_FROM_UTC, text(VR::SH, "+0100")),
        (tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, items(vec![item])),
    ]);
    let second = instance([(tags::STUDY_DATE, text(VR::DA, "20050119"))]);
    let options = ["retain-modified-dates"];
    let done = run(first, &options);
    let later = run(second, &options).data_set;
    let of = |tag| done.data_set.text(tag).unwrap();
    let days = (day(of(tags::STUDY_DATE)) - day("20040119")).num_days();
    assert!((-3650..=-1).contains(&days), "{days}");
    assert_eq!(of(tags::STUDY_TIME), "072730");
    assert_eq!(of(tags::TIMEZONE_OFFSET_FROM_UTC), "+0100");
    let acquired = of(tags::ACQUISITION_DATE_TIME);
    assert_eq!((day(acquired) - day("20040120")).num_days(), days);
    assert!(acquired.ends_with("235959.5+0100"));
    let nested = format!("{:?}", done.data_set.value(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE));
    let moved = day("20040301") + chrono::Duration::days(days);
    assert!(nested.contains(&moved.format("%Y%m%d").to_string()));
    let later = day(later.text(tags::STUDY_DATE).unwrap());
    assert_eq!((later - day("20050119")).num_days(), days);
    assert_eq!(
        done.data_set.text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED),
        Some("MODIFIED")
    );
    assert_eq!(outcome(&done, "(0008,0020)"), [Outcome::DateShifted]);
}

#[test]
fn patients_have_shifts_of_their_own() {
    let shifted = |id: &str| {
        let made = instance([
            (tags::PATIENT_ID, text(VR::LO, id)),
            (tags::STUDY_DATE, text(VR::DA, "20040119")),
        ]);
        run(made, &["retain-modified-dates"]).data_set.text(tags::STUDY_DATE).unwrap().to_owned()
    };
    assert_eq!(shifted("A"), shifted("A "));
    let ids = ["A", "B", "C", "D"].map(shifted);
    assert!(ids.iter().any(|date| *date != ids[0]));
}

#[test]
fn what_is_no_date_is_not_kept() {
    for (tag, vr, value) in [
        (tags::STUDY_DATE, VR::DA, "Planted Person"),
        (tags::STUDY_TIME, VR::TM, "Planted Person"),
        (tags::ACQUISITION_DATE_TIME, VR::DT, "20040119 Planted"),
        (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "Planted"),
    ] {
        let done = run(instance([(tag, text(vr, value))]), &["retain-modified-dates"]);
        assert!(!format!("{:?}", done.data_set.value(tag)).contains("Planted"), "{tag}");
    }
}

#[test]
fn dates_of_birth_never_stay_and_ages_are_those_of_the_moved_dates() {
    let made = instance([
        (tags::PATIENT_BIRTH_DATE, text(VR::DA, "19590119")),
        (tags::PATIENT_AGE, text(VR::AS, "045Y")),
    ]);
    for dates in ["retain-modified-dates", "retain-full-dates"] {
        let done = run(made.clone(), &[dates]).data_set;
        assert_eq!(done.text(tags::PATIENT_BIRTH_DATE), None);
        assert_eq!(done.text(tags::PATIENT_AGE), None);
        let done = run(made.clone(), &[dates, "retain-patient-characteristics"]).data_set;
        assert_eq!(done.text(tags::PATIENT_BIRTH_DATE), None);
        assert_eq!(done.text(tags::PATIENT_AGE), Some("045Y"));
    }
}

#[test]
fn dates_that_were_removed_before_are_not_called_original() {
    let of = |earlier: &str, options: &[&str]| {
        let tag = tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED;
        let done = run(instance([(tag, text(VR::CS, earlier))]), options).data_set;
        done.text(tag).unwrap().to_owned()
    };
    assert_eq!(of("REMOVED", &["retain-full-dates"]), "REMOVED");
    assert_eq!(of("MODIFIED", &["retain-full-dates"]), "MODIFIED");
    assert_eq!(of("UNMODIFIED", &["retain-full-dates"]), "UNMODIFIED");
    assert_eq!(of("UNMODIFIED", &["retain-modified-dates"]), "MODIFIED");
    assert_eq!(of("UNMODIFIED", &[]), "REMOVED");
}
