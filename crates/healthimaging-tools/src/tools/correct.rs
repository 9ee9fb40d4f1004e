//! Corrections of the data of a patient or a study in all its image sets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{DatastoreId, Error, Result, Uid};
use healthimaging_workflows::Plan;
use healthimaging_workflows::change::planning::{Planner, Reassignment};
use healthimaging_workflows::change::{SeriesValues, Values};
use healthimaging_workflows::find::{Criteria, Text};

use crate::answer::{Reply, to_object};
use crate::arguments::WaitSeconds;
use crate::changed::ChangeTool;
use crate::confirm;
use crate::context::Context;
use crate::tool::{CallEffect, ConditionalTool, Effect, PlannedTool};

/// Attributes by keyword.
type Attributes = Map<String, Value>;

/// Set Patient and Study level attributes in every image set of a study, the primary ones at once. A change of PatientID is
/// confirmed first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdatePatientStudyMetadata {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// (0020,000D)
    study_instance_uid: Uid,
    /// Keyword to value, Patient level
    #[serde(default)]
    patient_updates: Attributes,
    /// Keyword to value, Study level
    #[serde(default)]
    study_updates: Attributes,
    wait_seconds: Option<WaitSeconds>,
}

impl ChangeTool for UpdatePatientStudyMetadata {
    const NAME: &'static str = "update_patient_study_metadata";
    const TITLE: &'static str = "Update patient and study metadata";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1", "patient_updates": {"PatientName": "DOE^JANE"}, "study_updates": {"StudyDescription": "CT CHEST"}}"#;
    const EFFECT: Effect = Effect::Writes;

    fn wait_seconds(&self) -> Option<WaitSeconds> {
        self.wait_seconds
    }

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        let planner = Planner { service: context.service(), datastore_id: &datastore_id };
        let mut plan = self.steps(planner).await?;
        planner.add_old_values(&mut plan).await?;
        Ok(plan)
    }
}

impl UpdatePatientStudyMetadata {
    fn values(&self) -> Result<Values> {
        Values::of_levels(self.patient_updates.clone(), self.study_updates.clone())
    }

    async fn steps(&self, planner: Planner<'_>) -> Result<Plan> {
        planner
            .update(
                "set attributes in all image sets of a study",
                Criteria::study(self.study_instance_uid.clone()),
                self.values()?,
                "the data store holds no image set of that study",
            )
            .await
    }
}

impl ConditionalTool for UpdatePatientStudyMetadata {
    const MAY_DESTROY: bool = false;

    /// A new Patient ID moves the study to another patient, so the user has to agree.
    async fn call_effect(&self, _: &Context) -> Result<CallEffect> {
        let asks = self.values()?.keywords().any(|keyword| keyword == "PatientID");
        Ok(CallEffect { effect: Effect::Writes, asks })
    }

    async fn act(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        let planner = Planner { service: context.service(), datastore_id: &datastore_id };
        let plan = self.steps(planner).await?;
        self.carry_out(plan, context).await
    }
}

/// Set Series and Instance level attributes in every image set of a series. Where the service needs it, a changed copy
/// replaces the image set (new ID, no older versions), planned first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateSeriesMetadata {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    series_instance_uid: Uid,
    /// The only instance to change
    sop_instance_uid: Option<Uid>,
    /// Keyword to value
    metadata_updates: Attributes,
    wait_seconds: Option<WaitSeconds>,
}

impl ChangeTool for UpdateSeriesMetadata {
    const NAME: &'static str = "update_series_metadata";
    const TITLE: &'static str = "Update series metadata";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1", "metadata_updates": {"Laterality": "L"}, "wait_seconds": 60}"#;
    const EFFECT: Effect = Effect::Writes;

    fn wait_seconds(&self) -> Option<WaitSeconds> {
        self.wait_seconds
    }

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let values = SeriesValues::new(
            self.series_instance_uid.clone(),
            self.sop_instance_uid.clone(),
            self.metadata_updates.clone(),
        )?;
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        let planner = Planner { service: context.service(), datastore_id: &datastore_id };
        planner.series_update("set attributes in all image sets of a series", values).await
    }
}

impl ConditionalTool for UpdateSeriesMetadata {
    const MAY_DESTROY: bool = true;

    /// An image set that the service does not change is replaced, so the user has to agree.
    async fn call_effect(&self, context: &Context) -> Result<CallEffect> {
        // What is there decides, and not what the model is shown of it.
        let plan = match context.redaction() {
            Some(redaction) => {
                let real: Self = redaction.with_values(&to_object(self)?)?;
                ChangeTool::plan(&real, &context.with_values()).await?
            }
            None => ChangeTool::plan(self, context).await?,
        };
        let destroys = plan.cannot_be_undone;
        let effect = if destroys { Effect::Destroys } else { Effect::Writes };
        Ok(CallEffect { effect, asks: destroys })
    }

    async fn act(self, context: &Context) -> Result<Reply<Self::Output>> {
        let plan = ChangeTool::plan(&self, context).await?;
        if plan.cannot_be_undone {
            // An image set became primary during the call.
            return Err(confirm::stale());
        }
        self.carry_out(plan, context).await
    }
}

/// Set Patient and Study level attributes in every image set of a patient, study by study.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkUpdatePatientMetadata {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Patient ID (0010,0020), exact
    patient_id: Text,
    /// Keyword to value, Patient or Study level
    metadata_updates: Attributes,
    wait_seconds: Option<WaitSeconds>,
}

impl ChangeTool for BulkUpdatePatientMetadata {
    const NAME: &'static str = "bulk_update_patient_metadata";
    const TITLE: &'static str = "Update a patient's metadata";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123", "metadata_updates": {"PatientName": "DOE^JANE"}}"#;
    const EFFECT: Effect = Effect::Writes;

    fn wait_seconds(&self) -> Option<WaitSeconds> {
        self.wait_seconds
    }

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let values = Values::of_keywords(self.metadata_updates.clone())?;
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        let planner = Planner { service: context.service(), datastore_id: &datastore_id };
        let mut plan = planner
            .update(
                "set attributes in all image sets of a patient",
                Criteria::patient(self.patient_id.clone()),
                values,
                "the data store holds no image set of that patient",
            )
            .await?;
        planner.add_old_values(&mut plan).await?;
        Ok(plan)
    }
}

/// Move a study, or all studies of a patient (merge), to another patient: sets all Patient-level attributes to those of
/// that patient or to given ones. The plan compares both patients and names conflicts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReassignStudy {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// (0020,000D)
    study_instance_uid: Option<Uid>,
    /// With all_studies: the patient that is merged into the other
    patient_id: Option<Text>,
    /// All studies of patient_id
    all_studies: Option<bool>,
    /// Patient ID to move to
    to_patient_id: Text,
    /// Keyword to value, in place of those of that patient; all, if there is none
    #[serde(default)]
    patient: Attributes,
    wait_seconds: Option<WaitSeconds>,
}

impl ChangeTool for ReassignStudy {
    const NAME: &'static str = "reassign_study";
    const TITLE: &'static str = "Reassign study to another patient";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1", "to_patient_id": "PATIENT456"}"#;
    const EFFECT: Effect = Effect::Writes;

    fn wait_seconds(&self) -> Option<WaitSeconds> {
        self.wait_seconds
    }

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let (studies, action, missing) = self.studies()?;
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        let planner = Planner { service: context.service(), datastore_id: &datastore_id };
        let reassignment =
            Reassignment { studies, to: self.to_patient_id.clone(), given: self.patient.clone() };
        planner.reassignment(action, reassignment, missing).await
    }
}

impl ReassignStudy {
    /// What moves, in words, and the error if there is none.
    fn studies(&self) -> Result<(Criteria, &'static str, &'static str)> {
        match (&self.study_instance_uid, &self.patient_id, self.all_studies == Some(true)) {
            (Some(study), None, false) => Ok((
                Criteria::study(study.clone()),
                "move a study to another patient",
                "the data store holds no image set of that study",
            )),
            (None, Some(patient), true) if *patient == self.to_patient_id => {
                Err(Error::validation("patient_id and to_patient_id are the same patient"))
            }
            (None, Some(patient), true) => Ok((
                Criteria::patient(patient.clone()),
                "move all studies of a patient to another patient",
                "the data store holds no image set of the patient patient_id",
            )),
            _ => Err(Error::validation(
                "give study_instance_uid to move a study, or patient_id and all_studies: true to move all studies \
                 of a patient",
            )),
        }
    }
}
