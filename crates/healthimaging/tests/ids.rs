//! What makes an identifier well formed, by the patterns of the service model.

use healthimaging::{
    DatastoreId, DatastoreName, ErrorKind, JobId, NextToken, ObjectUri, Resource, ResourceArn,
    RoleArn, TagKey, Uid, VersionId,
};
use proptest::prelude::*;

const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

#[test]
fn an_id_has_32_lower_case_letters_and_digits() {
    assert_eq!(DatastoreId::try_from(ID).unwrap().as_str(), ID);
    for bad in ["", &ID[1..], &format!("{ID}0"), &ID.to_uppercase(), &ID.replace('0', "-")] {
        let error = DatastoreId::try_from(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.message().contains("datastore_id"), "{error}");
    }
}

#[test]
fn a_refusal_does_not_repeat_the_value() {
    let error = Uid::try_from("DOE^JANE\n").unwrap_err();
    assert!(!error.message().contains("DOE"), "{error}");
}

#[test]
fn a_million_characters_are_refused_in_few_words() {
    let error = DatastoreName::try_from("x".repeat(1_000_000)).unwrap_err();
    assert!(error.message().len() < 100);
}

#[test]
fn serde_checks_like_try_from() {
    assert!(serde_json::from_str::<DatastoreId>(&format!("\"{ID}\"")).is_ok());
    assert!(serde_json::from_str::<DatastoreId>("\"short\"").is_err());
    assert!(serde_json::from_str::<VersionId>("1").is_err(), "a version is a string of digits");
}

#[test]
fn arns_point_at_data_stores_and_image_sets() {
    let datastore = format!("arn:aws:medical-imaging:us-east-1:123456789012:datastore/{ID}");
    let arn = ResourceArn::try_from(datastore.as_str()).unwrap();
    assert_eq!(arn.resource(), Some(Resource::Datastore(ID.parse().unwrap())));

    let arn = ResourceArn::try_from(format!("{datastore}/imageset/{ID}")).unwrap();
    let image_set = Resource::ImageSet(ID.parse().unwrap(), ID.parse().unwrap());
    assert_eq!(arn.resource(), Some(image_set));

    for bad in [
        format!("{datastore}/imageSet/{ID}"),
        format!("{datastore}/"),
        datastore.replace("medical-imaging", "s3"),
        datastore.replace("123456789012", "1234"),
        "arn:aws".to_owned(),
    ] {
        assert!(ResourceArn::try_from(bad.as_str()).is_err(), "{bad}");
    }
}

#[test]
fn object_uris_are_s3_prefixes_or_absolute_folders() {
    for good in ["s3://bucket", "s3://my-bucket/in/", "file:///data/scans", "file:///"] {
        assert!(ObjectUri::try_from(good).is_ok(), "{good}");
    }
    for bad in ["s3://", "s3://B/x", "s3://-ab/x", "file://data", "/data", "http://x/y", ""] {
        assert!(ObjectUri::try_from(bad).is_err(), "{bad}");
    }
}

#[test]
fn other_constraints_of_the_service_model() {
    assert!(RoleArn::try_from("arn:aws:iam::123456789012:role/import").is_ok());
    assert!(RoleArn::try_from("arn:aws:iam::123456789012:user/import").is_err());
    assert!(JobId::try_from("").is_err());
    assert!(NextToken::try_from("é").is_err());
    assert!(TagKey::try_from("team:2").is_ok(), "digits lie between + and =");
    assert!(TagKey::try_from("aws:team").is_err());
    assert!(Uid::try_from("1.2.840.10008.1.2").is_ok());
}

#[test]
fn a_uid_is_what_a_file_may_hold() {
    for held in ["1".repeat(65), "1.2.x".to_owned(), "../1".to_owned(), "1 2".to_owned()] {
        assert_eq!(Uid::try_from(held.as_str()).unwrap().as_str(), held);
    }
    for bad in ["", "  ", ".", "..", "1\n2", "1\x002", &"1".repeat(257)] {
        assert!(Uid::try_from(bad).is_err(), "{bad:?}");
    }
    let uid = Uid::try_from("../é%").unwrap();
    assert_eq!(uid.path_segment(), "..%2F%C3%A9%25");
}

proptest! {
    #[test]
    fn no_text_makes_an_id_panic(text in ".{0,80}") {
        let _ = DatastoreId::try_from(text.as_str());
        let _ = ResourceArn::try_from(text.as_str());
        let _ = RoleArn::try_from(text.as_str());
        let _ = ObjectUri::try_from(text.as_str());
        let _ = TagKey::try_from(text.as_str());
    }

    #[test]
    fn what_is_accepted_survives_json(text in "[0-9][0-9.]{0,63}") {
        let uid = Uid::try_from(text).unwrap();
        let json = serde_json::to_string(&uid).unwrap();
        prop_assert_eq!(serde_json::from_str::<Uid>(&json).unwrap(), uid);
    }
}
