//! Deleting studies, series and instances in all image sets that hold them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{DatastoreId, Error, ImageSetId, Result, Uid};
use healthimaging_workflows::change::Part;
use healthimaging_workflows::change::planning::{Holders, OlderVersions, Planner};
use healthimaging_workflows::find::{Criteria, MOST_EXAMINED, Text};
use healthimaging_workflows::{Plan, traces};

use crate::arguments::{WaitSeconds, Within};
use crate::changed::ChangeTool;
use crate::context::Context;
use crate::tool::Effect;

/// Declares a tool that erases: the arguments that select what, and the plan that is made of them.
macro_rules! erase_tool {
    (
        $(#[$about:meta])*
        $tool:ident($name:literal, $title:literal, $example:literal)
        { $($(#[$of_field:meta])* $field:ident: $type:ty,)* }
        |$self:ident, $planner:ident, $context:ident| $plan:expr
    ) => {
        $(#[$about])*
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $tool {
            /// ID or name
            datastore_id: DatastoreId,
            $($(#[$of_field])* $field: $type,)*
            wait_seconds: Option<WaitSeconds>,
        }

        impl ChangeTool for $tool {
            const NAME: &'static str = $name;
            const TITLE: &'static str = $title;
            const EXAMPLE: &'static str = $example;
            const EFFECT: Effect = Effect::Destroys;

            fn wait_seconds(&self) -> Option<WaitSeconds> {
                self.wait_seconds
            }

            async fn plan(&$self, $context: &Context) -> Result<Plan> {
                let $planner =
                    Planner { service: $context.service(), datastore_id: &$self.datastore_id };
                $plan
            }
        }
    };
}

/// Returns what `erase` selects.
fn older(erase: Option<bool>) -> OlderVersions {
    if erase == Some(true) { OlderVersions::Erase } else { OlderVersions::Keep }
}

fn instance(series: Option<&Uid>, sop_instance_uid: &Uid) -> Part {
    Part::Instance {
        series_instance_uid: series.cloned(),
        sop_instance_uid: sop_instance_uid.clone(),
    }
}

erase_tool! {
    /// Delete every image set of a patient permanently, with all versions, and report what was erased and
    /// what is left.
    DeletePatientStudies(
        "delete_patient_studies",
        "Delete patient's studies",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123"}"#
    )
    {
        /// Patient ID (0010,0020), exact
        patient_id: Text,
        /// Also erase older versions of image sets that now name another patient
        erase_older_versions: Option<bool>,
    }
    |self, planner, context| {
        let action = "delete all studies of a patient permanently, with all versions";
        let missing = "the data store holds no image set of that patient";
        let older = older(self.erase_older_versions);
        let mut plan = planner.patient_deletion(action, &self.patient_id, older, missing).await?;
        // Records name what identifies the patient, not its tokens.
        let real = context.redaction().map(|redaction| redaction.recorded_plan(&plan)).transpose()?;
        let traces = traces::found(context.ledger(), real.as_ref().unwrap_or(&plan)).await?;
        plan.notes.extend(traces.lines(str::to_owned));
        plan.traces = Some(traces);
        Ok(plan)
    }
}

erase_tool! {
    /// Delete every image set of a study permanently, with all versions.
    DeleteStudy(
        "delete_study",
        "Delete study",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1"}"#
    )
    {
        /// (0020,000D)
        study_instance_uid: Uid,
    }
    |self, planner, context| {
        let action = "delete a study permanently, with all versions";
        let missing = "the data store holds no image set of that study";
        let criteria = Criteria::study(self.study_instance_uid.clone());
        planner.deletion(action, criteria, MOST_EXAMINED, missing).await
    }
}

erase_tool! {
    /// Delete a series: image sets of this series alone permanently, with all versions; from other image
    /// sets it is removed, and their older versions keep it.
    DeleteSeriesByUid(
        "delete_series_by_uid",
        "Delete series",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1"}"#
    )
    {
        /// (0020,000E)
        series_instance_uid: Uid,
    }
    |self, planner, context| {
        let series = &self.series_instance_uid;
        let (part, holders) = (Part::Series(series.clone()), Holders::Series(series.clone()));
        let action = "delete a series from all image sets";
        planner.removal(action, part, holders, OlderVersions::Keep).await
    }
}

erase_tool! {
    /// Remove an instance from all image sets of a study, and delete those that hold nothing else. Older
    /// versions keep it unless erase is true.
    DeleteInstanceInStudy(
        "delete_instance_in_study",
        "Delete instance of a study",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1", "sop_instance_uid": "1.2.826.0.1.3680043.8.498.1.1.1"}"#
    )
    {
        /// (0020,000D)
        study_instance_uid: Uid,
        /// (0008,0018)
        sop_instance_uid: Uid,
        /// Also erase older versions that hold it
        erase: Option<bool>,
    }
    |self, planner, context| {
        let holders = Holders::Study(self.study_instance_uid.clone());
        let action = "delete an instance from all image sets of a study";
        let part = instance(None, &self.sop_instance_uid);
        planner.removal(action, part, holders, older(self.erase)).await
    }
}

erase_tool! {
    /// Remove an instance from all image sets of a series, and delete those that hold nothing else. Older
    /// versions keep it unless erase is true.
    DeleteInstanceInSeries(
        "delete_instance_in_series",
        "Delete instance of a series",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1", "sop_instance_uid": "1.2.826.0.1.3680043.8.498.1.1.1"}"#
    )
    {
        /// (0020,000E)
        series_instance_uid: Uid,
        /// (0008,0018)
        sop_instance_uid: Uid,
        /// Also erase older versions that hold it
        erase: Option<bool>,
    }
    |self, planner, context| {
        let series = &self.series_instance_uid;
        let holders = Holders::Series(series.clone());
        let action = "delete an instance from all image sets of a series";
        let part = instance(Some(series), &self.sop_instance_uid);
        planner.removal(action, part, holders, older(self.erase)).await
    }
}

erase_tool! {
    /// Remove a series from an image set, or delete the image set if it holds nothing else. Older versions
    /// keep it unless erase is true.
    RemoveSeriesFromImageSet(
        "remove_series_from_image_set",
        "Remove series from image set",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1"}"#
    )
    {
        /// Image set ID
        image_set_id: ImageSetId,
        /// (0020,000E)
        series_instance_uid: Uid,
        /// Also erase older versions that hold it
        erase: Option<bool>,
    }
    |self, planner, context| {
        let part = Part::Series(self.series_instance_uid.clone());
        let holders = Holders::ImageSet(self.image_set_id.clone());
        let action = "remove a series from an image set";
        planner.removal(action, part, holders, older(self.erase)).await
    }
}

erase_tool! {
    /// Remove an instance from an image set, or delete the image set if it holds nothing else. Older
    /// versions keep it unless erase is true.
    RemoveInstanceFromImageSet(
        "remove_instance_from_image_set",
        "Remove instance from image set",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1", "sop_instance_uid": "1.2.826.0.1.3680043.8.498.1.1.1"}"#
    )
    {
        /// Image set ID
        image_set_id: ImageSetId,
        /// (0020,000E)
        series_instance_uid: Uid,
        /// (0008,0018)
        sop_instance_uid: Uid,
        /// Also erase older versions that hold it
        erase: Option<bool>,
    }
    |self, planner, context| {
        let part = instance(Some(&self.series_instance_uid), &self.sop_instance_uid);
        let holders = Holders::ImageSet(self.image_set_id.clone());
        let action = "remove an instance from an image set";
        planner.removal(action, part, holders, older(self.erase)).await
    }
}

/// Most image sets that one call deletes.
type MaxDeletions = Within<1, 100_000>;

erase_tool! {
    /// Delete permanently every image set that meets all criteria; refused before anything is deleted when
    /// more than max_deletions (100) match.
    BulkDeleteByCriteria(
        "bulk_delete_by_criteria",
        "Delete image sets by criteria",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "criteria": {"modality": "CT", "study_date_to": "20151231"}, "max_deletions": 20}"#
    )
    {
        /// All must hold: patient_id, patient_name, accession_number, study_id, study_instance_uid,
        /// series_instance_uid, study_description, modality, body_part, study_date_from, study_date_to,
        /// is_primary, created_at and updated_at {from, to}.
        #[schemars(with = "Map<String, Value>")]
        criteria: Criteria,
        /// 1 to 100000; default 100
        max_deletions: Option<MaxDeletions>,
    }
    |self, planner, context| {
        if self.criteria.is_empty() {
            return Err(Error::validation(
                "criteria are empty, which would select everything: name at least one, such as \
                 patient_id or modality",
            ));
        }
        let most = self.max_deletions.map_or(100, MaxDeletions::get) as usize;
        let action = "delete the image sets that meet the criteria permanently, with all versions";
        let missing = "no image set meets the criteria";
        let mut plan = planner.deletion(action, self.criteria.clone(), most, missing).await?;
        plan.criteria = Some(Box::new(self.criteria.clone()));
        Ok(plan)
    }
}
