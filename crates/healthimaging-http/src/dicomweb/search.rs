//! QIDO-RS: the six searches.

use std::str::FromStr;
use std::sync::Arc;

use axum::response::Response;
use healthimaging::model::{SearchDicomRequest, SearchLevel};
use healthimaging::{DicomWeb, Error, Result};

use super::{json, wants_json};
use crate::call::Call;

/// All studies.
pub(super) async fn studies(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    search(web, call, SearchLevel::Studies).await
}

/// Series of a study, or of all.
pub(super) async fn series(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    let level = SearchLevel::Series(call.path_if("study")?);
    search(web, call, level).await
}

/// Instances of a series, of a study, or of all.
pub(super) async fn instances(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    let level = SearchLevel::Instances(call.path_if("study")?, call.path_if("series")?);
    search(web, call, level).await
}

async fn search(web: Arc<dyn DicomWeb>, call: Call, level: SearchLevel) -> Result<Response> {
    wants_json(&call.headers)?;
    let mut request = SearchDicomRequest {
        datastore_id: call.path("datastoreId")?,
        level,
        filters: Vec::new(),
        include_fields: Vec::new(),
        fuzzy_matching: false,
        limit: None,
        offset: 0,
        host: call.here.0.clone(),
    };
    for (name, value) in call.pairs() {
        match name {
            "limit" => request.limit = Some(number(name, value)?),
            "offset" => request.offset = number(name, value)?,
            "fuzzymatching" => request.fuzzy_matching = call.flag(name)?,
            "includefield" => request.include_fields.extend(value.split(',').map(str::to_owned)),
            // Of a presigned request.
            _ if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("X-Amz-")) => {}
            _ => request.filters.push((name.to_owned(), value.to_owned())),
        }
    }
    json(&web.search(request).await?)
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::validation(format!("{name} is a number")))
}
