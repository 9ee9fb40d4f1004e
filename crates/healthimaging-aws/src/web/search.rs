//! QIDO-RS.

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{Result, Uid, path_segment};

use super::request::Web;
use super::retrieve::{JSON, data_sets};
use super::urls::without_host;

pub(crate) async fn search(web: &Web, request: &SearchDicomRequest) -> Result<Vec<DicomJson>> {
    let answer = web.get(&request.datastore_id, &path(request), JSON).await?;
    let mut found = data_sets(answer).await?;
    found.iter_mut().for_each(without_host);
    Ok(found)
}

fn path(request: &SearchDicomRequest) -> String {
    let (path, series) = match &request.level {
        SearchLevel::Studies => ("/studies".to_owned(), None),
        SearchLevel::Series(None) => ("/series".to_owned(), None),
        SearchLevel::Series(Some(study)) => {
            (format!("/studies/{}/series", study.path_segment()), None)
        }
        SearchLevel::Instances(Some(study), Some(series)) => {
            let [study, series] = [study, series].map(Uid::path_segment);
            (format!("/studies/{study}/series/{series}/instances"), None)
        }
        SearchLevel::Instances(Some(study), None) => {
            (format!("/studies/{}/instances", study.path_segment()), None)
        }
        // No path exists for this, but a match key.
        SearchLevel::Instances(None, series) => ("/instances".to_owned(), series.as_ref()),
    };
    let pairs = request.filters.iter().map(|(key, value)| (key.as_str(), value.clone()));
    let series = series.map(|uid| ("SeriesInstanceUID", uid.to_string()));
    let fields = request.include_fields.iter().map(|field| ("includefield", field.clone()));
    let fuzzy = request.fuzzy_matching.then(|| ("fuzzymatching", "true".to_owned()));
    let limit = request.limit.map(|limit| ("limit", limit.to_string()));
    let offset = (request.offset > 0).then(|| ("offset", request.offset.to_string()));
    let query: Vec<String> = pairs
        .chain(series)
        .chain(fields)
        .chain(fuzzy)
        .chain(limit)
        .chain(offset)
        .map(|(key, value)| format!("{}={}", path_segment(key), path_segment(&value)))
        .collect();
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}
