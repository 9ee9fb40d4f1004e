//! QIDO-RS: the six searches.

use std::str::FromStr;
use std::sync::Arc;

use axum::response::Response;
use healthimaging::model::{SearchDicomRequest, SearchLevel};
use healthimaging::{DicomWeb, Error, Result};

use http::header;

use super::{json, wants_json};
use crate::call::Call;
use crate::content::warning;

/// Results of one request.
const MOST_RESULTS: u32 = 1000;

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
    let mut notes = None;
    let mut request = SearchDicomRequest {
        datastore_id: call.path("datastoreId")?,
        level,
        filters: Vec::new(),
        include_fields: Vec::new(),
        fuzzy_matching: false,
        limit: None,
        offset: 0,
    };
    for (name, value) in call.pairs() {
        match name {
            "limit" => {
                let limit: u64 = number(name, value)?;
                let most = u64::from(MOST_RESULTS);
                notes = (limit > most).then(|| format!("limit was reduced to {MOST_RESULTS}"));
                request.limit = u32::try_from(limit.min(most)).ok();
            }
            "offset" => request.offset = number(name, value)?,
            "fuzzymatching" => request.fuzzy_matching = call.flag(name)?,
            "includefield" => request.include_fields.extend(value.split(',').map(str::to_owned)),
            // `accept` chose the media type; `_` is what libraries make an address new with.
            "accept" | "charset" | "_" => {}
            // Of a presigned request.
            _ if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("X-Amz-")) => {}
            _ => request.filters.push((name.to_owned(), value.to_owned())),
        }
    }
    let is_cut = notes.is_some() || request.limit.is_none();
    let mut found = web.search(request).await?;
    for result in &mut found {
        call.base_url.complete(result);
    }
    if is_cut && found.len() == MOST_RESULTS as usize {
        notes = Some(format!(
            "an answer holds up to {MOST_RESULTS} results; offset={MOST_RESULTS} continues behind them"
        ));
    }
    let mut response = json(call, &found).await?;
    if let Some(text) = notes.as_deref().and_then(warning) {
        response.headers_mut().insert(header::WARNING, text);
    }
    Ok(response)
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::validation(format!("{name} is a number")))
}
