//! Finds the reports of a study, series or instance.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use healthimaging::model::{
    DicomJson, GetImageSetMetadataRequest, SearchDicomRequest, SearchLevel,
};
use healthimaging::{
    DatastoreId, DicomWeb, HealthImaging, ImageSetId, Result, SearchBound, Uid, search_all,
};
use healthimaging_render::report::ReportKind;
use healthimaging_workflows::document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most instances of a series, or series of a study, that are looked through.
const BOUND: SearchBound =
    SearchBound { most: 10_000, advice: "name the report in sop_instance_uid" };

/// Searches at once.
const AT_ONCE: usize = 4;

/// Modalities whose series are images; only small ones are looked through for documents.
const IMAGES: &[&str] = &[
    "CR", "CT", "DX", "IO", "MG", "MR", "NM", "OPT", "PT", "PX", "RF", "RTDOSE", "RTIMAGE",
    "RTPLAN", "RTSTRUCT", "SEG", "SM", "US", "XA",
];

/// Instances of a series of images that may have a document among them.
const SMALL: u64 = 20;

/// A report.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    pub(super) study_instance_uid: String,
    pub(super) series_instance_uid: String,
    pub(super) sop_instance_uid: String,
    kind: Option<ReportKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_number: Option<String>,
    /// The image set that holds it, if that was named.
    #[serde(skip)]
    pub(super) image_set_id: Option<ImageSetId>,
}

/// What a call names.
pub(super) struct Wanted {
    pub(super) datastore_id: DatastoreId,
    pub(super) study: Option<Uid>,
    pub(super) series: Option<Uid>,
    pub(super) instance: Option<Uid>,
    pub(super) image_set: Option<ImageSetId>,
}

/// An instance of a metadata document.
#[derive(Debug, Deserialize)]
struct Instance {
    #[serde(rename = "DICOM", default)]
    attributes: Map<String, Value>,
}

impl Wanted {
    /// Lists the reports, series by series. An instance that is named is listed whatever it is.
    pub(super) async fn find(
        &self,
        service: &dyn HealthImaging,
        web: &dyn DicomWeb,
    ) -> Result<Vec<Found>> {
        if let Some(image_set_id) = &self.image_set {
            return self.of_image_set(service, image_set_id).await;
        }
        let (study, series) = (self.study.clone(), self.series.clone());
        if let Some(instance) = &self.instance {
            let filter = ("SOPInstanceUID".to_owned(), instance.to_string());
            let level = SearchLevel::Instances(study, series);
            return self.search(web, level, vec![filter], |one| Ok(self.read(&one))).await;
        }
        let series = match (series, study) {
            (Some(series), study) => {
                return self.of_series(web, SearchLevel::Instances(study, Some(series))).await;
            }
            (None, Some(study)) => {
                let level = SearchLevel::Series(Some(study.clone()));
                let instances = |one: DicomJson| {
                    let uid = Uid::try_from(text(&one, "0020000E")?).ok()?;
                    let level = SearchLevel::Instances(Some(study.clone()), Some(uid));
                    may_have_documents(&one).then_some(level)
                };
                self.search(web, level, Vec::new(), |one| Ok(instances(one))).await?
            }
            (None, None) => Vec::new(),
        };
        let each = stream::iter(series).map(|level| self.of_series(web, level));
        let found: Vec<Vec<Found>> = each.buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Those of an image set, which DICOMweb does not find unless it is primary.
    async fn of_image_set(
        &self,
        service: &dyn HealthImaging,
        image_set_id: &ImageSetId,
    ) -> Result<Vec<Found>> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: image_set_id.clone(),
            version_id: None,
        };
        let document = document::fetch(service, request).await?;
        let levels = document.levels();
        let is = |wanted: &Option<Uid>, uid: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.as_str() == uid)
        };
        let study = levels.study_instance_uid().unwrap_or_default();
        let mut found = Vec::new();
        let series =
            levels.series.iter().filter(|(uid, _)| is(&self.study, study) && is(&self.series, uid));
        for (series_uid, series) in series {
            for (sop_uid, text) in
                series.instances.iter().filter(|(uid, _)| is(&self.instance, uid))
            {
                let Instance { attributes } = text.parse()?;
                let class = attributes.get("SOPClassUID").and_then(Value::as_str);
                let kind = class.and_then(|class| ReportKind::of_sop_class(class.trim()));
                if kind.is_none() && self.instance.is_none() {
                    continue;
                }
                let number = attributes.get("InstanceNumber").and_then(Value::as_str);
                found.push(Found {
                    study_instance_uid: study.to_owned(),
                    series_instance_uid: series_uid.clone(),
                    sop_instance_uid: sop_uid.clone(),
                    kind,
                    instance_number: number.map(|number| number.trim().to_owned()),
                    image_set_id: Some(image_set_id.clone()),
                });
            }
        }
        Ok(found)
    }

    async fn of_series(&self, web: &dyn DicomWeb, level: SearchLevel) -> Result<Vec<Found>> {
        let series = match &level {
            SearchLevel::Instances(_, series) => series.clone(),
            _ => None,
        };
        let report = |one: DicomJson| self.read(&one).filter(|one| one.kind.is_some());
        let mut found = self.search(web, level, Vec::new(), |one| Ok(report(one))).await?;
        for one in &mut found {
            if let (true, Some(series)) = (one.series_instance_uid.is_empty(), &series) {
                one.series_instance_uid = series.to_string();
            }
        }
        Ok(found)
    }

    fn read(&self, one: &DicomJson) -> Option<Found> {
        let named = |uid: &Option<Uid>| uid.as_ref().map(Uid::to_string).unwrap_or_default();
        Some(Found {
            study_instance_uid: text(one, "0020000D").unwrap_or_else(|| named(&self.study)),
            series_instance_uid: text(one, "0020000E").unwrap_or_else(|| named(&self.series)),
            sop_instance_uid: text(one, "00080018")?,
            kind: text(one, "00080016").and_then(|uid| ReportKind::of_sop_class(&uid)),
            instance_number: text(one, "00200013"),
            image_set_id: None,
        })
    }

    async fn search<T>(
        &self,
        web: &dyn DicomWeb,
        level: SearchLevel,
        filters: Vec<(String, String)>,
        read: impl FnMut(DicomJson) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        let request = SearchDicomRequest {
            filters,
            ..SearchDicomRequest::all(self.datastore_id.clone(), level)
        };
        search_all(web, request, BOUND, read).await
    }
}

/// Whether a series may have reports: of those of images, only small ones.
fn may_have_documents(series: &DicomJson) -> bool {
    let is_small = || text(series, "00201209").and_then(|n| n.parse().ok()).unwrap_or(0) <= SMALL;
    !text(series, "00080060").is_some_and(|it| IMAGES.contains(&it.as_str())) || is_small()
}

fn text(data_set: &DicomJson, tag: &str) -> Option<String> {
    match data_set.get(tag)?.get("Value")?.get(0)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
