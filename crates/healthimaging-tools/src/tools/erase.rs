//! Deleting studies, series and instances, wherever they are.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use healthimaging::{DatastoreId, Error, ImageSetId, Result, Uid};
use healthimaging_workflows::change::Part;
use healthimaging_workflows::change::planning::{Holders, OlderVersions, Planner};
use healthimaging_workflows::find::{Criteria, MOST_EXAMINED, Text};
use healthimaging_workflows::{Plan, traces};

use crate::arguments::{WaitSeconds, Within};
use crate::changed::{self, Changed};
use crate::context::Context;
use crate::tool::{Effect, PlannedTool, Reply};

fn planner<'a>(context: &'a Context, datastore_id: &'a DatastoreId) -> Planner<'a> {
    Planner { service: context.service(), datastore_id }
}

/// What `erase` asks for.
fn older(erase: Option<bool>) -> OlderVersions {
    if erase == Some(true) { OlderVersions::Erase } else { OlderVersions::Keep }
}

/// Delete every image set of a patient for good, all versions, and report what was erased and what is
/// left.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletePatientStudies {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// Patient ID (0010,0020), exact
    patient_id: Text,
    /// Also erase older versions of image sets that now name another patient
    erase_older_versions: Option<bool>,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for DeletePatientStudies {
    const NAME: &'static str = "delete_patient_studies";
    const TITLE: &'static str = "Delete patient's studies";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let action = "delete all studies of a patient, with all versions, for good";
        let missing = "the data store holds no image set of that patient";
        let older = older(self.erase_older_versions);
        let planner = planner(context, &self.datastore_id);
        let mut plan = planner.patient_deletion(action, &self.patient_id, older, missing).await?;
        plan.notes.extend(traces::of(context.ledger(), &plan).await?);
        Ok(plan)
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = json!({
            "patient_id": self.patient_id, "erase_older_versions": self.erase_older_versions == Some(true),
        });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}

/// Delete every image set of a study for good, all versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteStudy {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// (0020,000D)
    study_instance_uid: Uid,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for DeleteStudy {
    const NAME: &'static str = "delete_study";
    const TITLE: &'static str = "Delete study";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let criteria = Criteria::study(self.study_instance_uid.clone());
        let action = "delete a study, with all versions, for good";
        let missing = "the data store holds no image set of that study";
        planner(context, &self.datastore_id)
            .deletion(action, criteria, MOST_EXAMINED, missing)
            .await
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = json!({ "study_instance_uid": self.study_instance_uid });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}

/// Delete a series: image sets of this series alone for good, all versions; from image sets that hold
/// more it is removed, and older versions keep it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteSeriesByUid {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// (0020,000E)
    series_instance_uid: Uid,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for DeleteSeriesByUid {
    const NAME: &'static str = "delete_series_by_uid";
    const TITLE: &'static str = "Delete series";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let series = self.series_instance_uid.clone();
        planner(context, &self.datastore_id)
            .removal(
                "delete a series, wherever it is",
                Part::Series(series.clone()),
                Holders::Series(series),
                OlderVersions::Keep,
            )
            .await
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = json!({ "series_instance_uid": self.series_instance_uid });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}

/// Remove an instance from all image sets of a study, deleting those that hold nothing else. Older
/// versions keep it unless erase is true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteInstanceInStudy {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// (0020,000D)
    study_instance_uid: Uid,
    /// (0008,0018)
    sop_instance_uid: Uid,
    /// Also erase older versions that hold it
    erase: Option<bool>,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for DeleteInstanceInStudy {
    const NAME: &'static str = "delete_instance_in_study";
    const TITLE: &'static str = "Delete instance of a study";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1", "sop_instance_uid": "1.2.826.0.1.3680043.8.498.1.1.1"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let part = Part::Instance {
            series_instance_uid: None,
            sop_instance_uid: self.sop_instance_uid.clone(),
        };
        planner(context, &self.datastore_id)
            .removal(
                "delete an instance from all image sets of a study",
                part,
                Holders::Study(self.study_instance_uid.clone()),
                older(self.erase),
            )
            .await
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = json!({
            "study_instance_uid": self.study_instance_uid,
            "sop_instance_uid": self.sop_instance_uid,
        });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}

/// Remove an instance from all image sets of a series, deleting those that hold nothing else. Older
/// versions keep it unless erase is true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteInstanceInSeries {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// (0020,000E)
    series_instance_uid: Uid,
    /// (0008,0018)
    sop_instance_uid: Uid,
    /// Also erase older versions that hold it
    erase: Option<bool>,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for DeleteInstanceInSeries {
    const NAME: &'static str = "delete_instance_in_series";
    const TITLE: &'static str = "Delete instance of a series";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1", "sop_instance_uid": "1.2.826.0.1.3680043.8.498.1.1.1"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let series = &self.series_instance_uid;
        planner(context, &self.datastore_id)
            .removal(
                "delete an instance from all image sets of a series",
                instance(series, &self.sop_instance_uid),
                Holders::Series(series.clone()),
                older(self.erase),
            )
            .await
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = json!({
            "series_instance_uid": self.series_instance_uid,
            "sop_instance_uid": self.sop_instance_uid,
        });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}

fn instance(series: &Uid, sop_instance_uid: &Uid) -> Part {
    Part::Instance {
        series_instance_uid: Some(series.clone()),
        sop_instance_uid: sop_instance_uid.clone(),
    }
}

/// Remove a series from an image set, or delete the image set when it holds nothing else. Older versions
/// keep it unless erase is true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveSeriesFromImageSet {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// Image set ID
    image_set_id: ImageSetId,
    /// (0020,000E)
    series_instance_uid: Uid,
    /// Also erase older versions that hold it
    erase: Option<bool>,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for RemoveSeriesFromImageSet {
    const NAME: &'static str = "remove_series_from_image_set";
    const TITLE: &'static str = "Remove series from image set";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        planner(context, &self.datastore_id)
            .removal(
                "remove a series from an image set",
                Part::Series(self.series_instance_uid.clone()),
                Holders::ImageSet(self.image_set_id.clone()),
                older(self.erase),
            )
            .await
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = json!({
            "image_set_id": self.image_set_id,
            "series_instance_uid": self.series_instance_uid,
        });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}

/// Remove an instance from an image set, or delete the image set when it holds nothing else. Older
/// versions keep it unless erase is true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveInstanceFromImageSet {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// Image set ID
    image_set_id: ImageSetId,
    /// (0020,000E)
    series_instance_uid: Uid,
    /// (0008,0018)
    sop_instance_uid: Uid,
    /// Also erase older versions that hold it
    erase: Option<bool>,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for RemoveInstanceFromImageSet {
    const NAME: &'static str = "remove_instance_from_image_set";
    const TITLE: &'static str = "Remove instance from image set";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1", "sop_instance_uid": "1.2.826.0.1.3680043.8.498.1.1.1"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        planner(context, &self.datastore_id)
            .removal(
                "remove an instance from an image set",
                instance(&self.series_instance_uid, &self.sop_instance_uid),
                Holders::ImageSet(self.image_set_id.clone()),
                older(self.erase),
            )
            .await
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = json!({
            "image_set_id": self.image_set_id,
            "series_instance_uid": self.series_instance_uid,
            "sop_instance_uid": self.sop_instance_uid,
        });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}

/// Delete for good every image set that meets all criteria; refused before anything is deleted when more
/// than max_deletions (100) match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkDeleteByCriteria {
    /// ID, name or ARN
    datastore_id: DatastoreId,
    /// All must hold: patient_id, patient_name, accession_number, study_id, study_instance_uid,
    /// series_instance_uid, study_description, modality, body_part, study_date_from, study_date_to,
    /// is_primary, created_at and updated_at {from, to}.
    #[schemars(with = "Map<String, Value>")]
    criteria: Criteria,
    /// 1 to 100000; default 100
    max_deletions: Option<MaxDeletions>,
    /// Seconds to wait, 0 to 600
    wait_seconds: Option<WaitSeconds>,
}

/// Most image sets that one call deletes.
type MaxDeletions = Within<1, 100_000>;

impl PlannedTool for BulkDeleteByCriteria {
    const NAME: &'static str = "bulk_delete_by_criteria";
    const TITLE: &'static str = "Delete image sets by criteria";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "criteria": {"modality": "CT", "study_date_to": "20151231"}, "max_deletions": 20}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = Changed;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        if self.criteria.is_empty() {
            return Err(Error::validation(
                "criteria are empty, which would be everything: name at least one, such as \
                 patient_id or modality",
            ));
        }
        let ceiling = self.max_deletions.map_or(100, MaxDeletions::get);
        planner(context, &self.datastore_id)
            .deletion(
                "delete the image sets that meet the criteria, with all versions, for good",
                self.criteria.clone(),
                usize::try_from(ceiling).unwrap_or(usize::MAX),
                "no image set meets the criteria",
            )
            .await
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let asked: Value = json!({ "criteria": self.criteria });
        changed::carry_out(Self::NAME, plan, context, self.wait_seconds, asked).await
    }
}
