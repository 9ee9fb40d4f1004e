//! Instances join a document.

use super::{Document, SplitInstance};

impl Document {
    /// Adds an instance.
    ///
    /// What the patient, study and series levels already hold stays; they take from the instance only
    /// when they are new. An instance with the same `SOPInstanceUID` in the same series is replaced.
    pub fn add(&mut self, split: SplitInstance) {
        if self.series.is_empty() {
            self.patient = split.patient;
            self.study = split.study;
        }
        let series = self.series.entry(split.series_uid).or_default();
        if series.instances.is_empty() {
            series.attributes = split.series;
        }
        series.instances.insert(split.sop_uid, split.instance);
    }
}
