//! A store of format 4 with a series of 1,001 instances: `tests/stores/make_series` says what is in it.

use serde_json::Value;

use super::{Old, Store};

/// The instances of study 2.25.30, in the order of the document.
fn instances(document: &Value) -> Vec<(&str, &Value)> {
    let found = document["Study"]["Series"]["2.25.30.1"]["Instances"].as_object();
    found.unwrap().iter().map(|(uid, instance)| (uid.as_str(), instance)).collect()
}

impl Store {
    /// Checks both studies as they were written.
    async fn check_series(&self) {
        let set = self.of_study(30).await.remove(0);
        assert_eq!((set.version, set.is_primary), (Some(3), Some(true)));
        let tags = set.dicom_tags.clone().unwrap();
        assert_eq!(tags.number_of_study_related_instances, Some(1001));
        for (version, description, count) in
            [(1, "LARGE", 1000), (2, "CHANGED", 1000), (3, "CHANGED", 1001)]
        {
            let document = self.metadata(&set, Some(version)).await;
            assert_eq!(document["Patient"]["DICOM"]["PatientName"], "Synthetic^Large");
            assert_eq!(document["Study"]["DICOM"]["StudyDescription"], description);
            let instances = instances(&document);
            assert_eq!(instances.len(), count);
            for (index, (uid, instance)) in instances.into_iter().enumerate() {
                let number = index + 1;
                assert_eq!(uid, format!("2.25.30.1.{number}"));
                let shown = instance["DICOM"]["InstanceNumber"].as_str().unwrap();
                assert_eq!(shown.trim_end(), number.to_string());
                let name = (number == 1001).then(|| Value::from("Other^Name"));
                assert_eq!(instance["DICOM"].get("PatientName"), name.as_ref());
            }
        }
        let small = self.of_study(31).await.remove(0);
        assert_eq!(self.frames(&small).await, 3);
        assert_eq!(self.verified().await, []);
    }

    async fn verified(&self) -> Vec<healthimaging_local::Damage> {
        self.store.verify(|_| ()).await.unwrap().damaged
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_series_of_format_4_keeps_all_it_holds() {
    let old = Old::unpacked("format-4.tar.gz");
    old.open().await.check_series().await;
    old.open().await.check_series().await;
}
