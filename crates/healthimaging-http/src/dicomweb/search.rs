//! QIDO-RS.

use std::str::FromStr;
use std::sync::Arc;

use axum::response::Response;
use healthimaging::model::{SearchDicomRequest, SearchLevel};
use healthimaging::{DicomWeb, Error, Result};
use http::header;

use super::{is_common, json, require_json};
use crate::call::Call;
use crate::content::warning;

/// Results of one request.
const MAX_RESULTS: u32 = 1000;

/// Searches studies.
pub(super) async fn studies(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    search(web, call, SearchLevel::Studies).await
}

/// Searches the series of a study, or of all.
pub(super) async fn series(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    let level = SearchLevel::Series(call.path_if("study")?);
    search(web, call, level).await
}

/// Searches the instances of a series, of a study, or of all.
pub(super) async fn instances(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    let level = SearchLevel::Instances(call.path_if("study")?, call.path_if("series")?);
    search(web, call, level).await
}

async fn search(web: Arc<dyn DicomWeb>, call: Call, level: SearchLevel) -> Result<Response> {
    require_json(&call.headers)?;
    let mut notes = None;
    let mut request = SearchDicomRequest::all(call.path("datastoreId")?, level);
    for name in ["limit", "offset"] {
        call.once(name)?;
    }
    for (name, value) in call.pairs() {
        if value.contains(char::is_control) {
            return Err(Error::validation("the value of a parameter has a control character"));
        }
        match name {
            "limit" => {
                let limit: u64 = number(name, value)?;
                let max = u64::from(MAX_RESULTS);
                notes = (limit > max).then(|| format!("limit was reduced to {MAX_RESULTS}"));
                request.limit = u32::try_from(limit.min(max)).ok();
            }
            "offset" => request.offset = number(name, value)?,
            "fuzzymatching" => request.fuzzy_matching = call.flag(name)?,
            "includefield" => request.include_fields.extend(value.split(',').map(str::to_owned)),
            _ if is_common(name) => {}
            _ => request.filters.push((name.to_owned(), value.to_owned())),
        }
    }
    let is_cut = notes.is_some() || request.limit.is_none();
    let mut found = web.search(request).await?;
    for result in &mut found {
        call.base_url.complete(result);
    }
    if is_cut && found.len() == MAX_RESULTS as usize {
        notes = Some(format!(
            "a response has up to {MAX_RESULTS} results; continue with offset={MAX_RESULTS}"
        ));
    }
    let mut response = json(call, &found).await?;
    if let Some(text) = notes.as_deref().and_then(warning) {
        response.headers_mut().insert(header::WARNING, text);
    }
    Ok(response)
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| Error::validation(format!("{name} must be 0 or a greater whole number")))
}
