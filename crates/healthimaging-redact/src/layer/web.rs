//! DICOMweb.

use async_trait::async_trait;
use healthimaging::model::{self, DicomJson, SearchLevel};
use healthimaging::{Body, DicomWeb, Error, ErrorKind, Result, read_json};

use super::Redacted;
use crate::Redactor;
use crate::attributes::{self, Treatment};
use crate::patient::class;
use crate::resolve::not_a_token;

/// Longest DICOM JSON, in bytes.
const LONGEST: u64 = 64 << 20;

fn withheld(what: &str) -> Error {
    Error::new(
        ErrorKind::AccessDenied,
        format!(
            "{what} may identify the patient, and is withheld (--redact-phi); a person can look at it with `export`"
        ),
    )
}

#[async_trait]
impl<T: DicomWeb + ?Sized> DicomWeb for Redacted<T> {
    async fn retrieve_instance(
        &self,
        _: model::RetrieveInstanceRequest,
    ) -> Result<model::RetrieveInstanceResponse> {
        Err(withheld("a DICOM file"))
    }

    async fn retrieve_frames(
        &self,
        _: model::RetrieveFramesRequest,
    ) -> Result<model::RetrieveFramesResponse> {
        Err(withheld("a frame of DICOMweb"))
    }

    async fn retrieve_bulkdata(
        &self,
        _: model::RetrieveBulkdataRequest,
    ) -> Result<model::RetrieveBulkdataResponse> {
        Err(withheld("a document or another large value"))
    }

    async fn instance_metadata(
        &self,
        request: model::InstanceMetadataRequest,
    ) -> Result<model::InstanceMetadataResponse> {
        let real = |name, uid| self.redactor.real_uid(name, uid);
        let request = model::InstanceMetadataRequest {
            study_instance_uid: real("study_instance_uid", &request.study_instance_uid)?,
            series_instance_uid: real("series_instance_uid", &request.series_instance_uid)?,
            sop_instance_uid: real("sop_instance_uid", &request.sop_instance_uid)?,
            ..request
        };
        let found = self.inner.instance_metadata(request).await?;
        self.redactor.metadata(found).await
    }

    async fn series_metadata(
        &self,
        request: model::SeriesMetadataRequest,
    ) -> Result<model::SeriesMetadataResponse> {
        let real = |name, uid| self.redactor.real_uid(name, uid);
        let request = model::SeriesMetadataRequest {
            study_instance_uid: real("study_instance_uid", &request.study_instance_uid)?,
            series_instance_uid: real("series_instance_uid", &request.series_instance_uid)?,
            ..request
        };
        let found = self.inner.series_metadata(request).await?;
        self.redactor.metadata(found).await
    }

    async fn search(
        &self,
        mut request: model::SearchDicomRequest,
    ) -> Result<model::SearchDicomResponse> {
        let real = |name, uid: &Option<_>| {
            uid.as_ref().map(|uid| self.redactor.real_uid(name, uid)).transpose()
        };
        request.level = match &request.level {
            SearchLevel::Studies => SearchLevel::Studies,
            SearchLevel::Series(study) => SearchLevel::Series(real("study_instance_uid", study)?),
            SearchLevel::Instances(study, series) => SearchLevel::Instances(
                real("study_instance_uid", study)?,
                real("series_instance_uid", series)?,
            ),
        };
        for (name, value) in &mut request.filters {
            *value = self.redactor.match_value(name, value)?;
        }
        // A name matches as a whole: it came as a token.
        request.fuzzy_matching = false;
        let found = self.inner.search(request).await?;
        Ok(self.redactor.data_sets(found))
    }

    async fn store_instances(
        &self,
        mut request: model::StoreInstancesRequest,
    ) -> Result<model::StoreInstancesResponse> {
        if let Some(study) = &request.study_instance_uid {
            request.study_instance_uid = Some(self.redactor.real_uid("study_instance_uid", study)?);
        }
        let mut answer = self.inner.store_instances(request).await?;
        let shown = |uid: &mut String| *uid = self.redactor.uid(uid).unwrap_or_default();
        for one in &mut answer.stored {
            shown(&mut one.sop_instance_uid);
            shown(&mut one.study_instance_uid);
            shown(&mut one.series_instance_uid);
        }
        answer.failed.iter_mut().filter_map(|one| one.sop_instance_uid.as_mut()).for_each(shown);
        Ok(answer)
    }
}

impl Redactor {
    /// Returns the value that a match key of QIDO-RS is compared with.
    ///
    /// What is shown as it is may be searched for; everything else must be a token. Dates are refused: a comparison with
    /// those of all patients would show them.
    fn match_value(&self, name: &str, value: &str) -> Result<String> {
        let tag = attributes::tag(name).ok_or_else(|| not_a_token(name, value))?;
        match self.rules.treatment(tag, attributes::vr(tag)) {
            Treatment::Shown | Treatment::Time => Ok(value.to_owned()),
            Treatment::Scrubbed if !value.contains(['*', '?']) => Ok(value.to_owned()),
            Treatment::Uid => self.real_uid_text(name, value),
            Treatment::Token => {
                self.tokens.open(&class(tag), value).ok_or_else(|| not_a_token(name, value))
            }
            _ => Err(Error::validation(format!(
                "{}: --redact-phi does not search by this attribute; search by a token",
                if value.is_empty() { "a key" } else { name }
            ))),
        }
    }

    async fn metadata(&self, found: Body) -> Result<Body> {
        let text = found.collect(LONGEST).await?;
        let data_sets: Vec<DicomJson> = read_json("the DICOM JSON", &text)
            .map_err(|error| Error::internal("the DICOM JSON of an instance is invalid", error))?;
        serde_json::to_vec(&self.data_sets(data_sets))
            .map(Body::from)
            .map_err(|error| Error::internal("the DICOM JSON could not be written", error))
    }
}
