//! Match keys of a request as conditions (`PS3.4 §C.2.2.2`, `PS3.18 §8.3.4`).

use healthimaging::model::SearchDicomRequest;
use healthimaging::{ATTRIBUTES, Attribute, Condition, Error, Matching, Result, Uid};

use super::keys::{self, MODALITIES_IN_STUDY};
use super::request_attributes;

/// Conditions of a request.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) conditions: Vec<(&'static Attribute, Condition)>,
    /// Of `ModalitiesInStudy`.
    pub(super) modalities: Vec<Condition>,
}

impl Filters {
    /// Reads the match keys of a request for results within a study and a series.
    pub(super) fn parse(
        request: &SearchDicomRequest,
        study: Option<&Uid>,
        series: Option<&Uid>,
    ) -> Result<Self> {
        let mut filters = Self::default();
        for (keyword, uid) in [("StudyInstanceUID", study), ("SeriesInstanceUID", series)] {
            if let Some((attribute, uid)) = Attribute::named(keyword).zip(uid) {
                filters.conditions.push((attribute, attribute.matching.exactly(uid.as_ref())));
            }
        }
        for (name, value) in &request.filters {
            if keys::is(name, MODALITIES_IN_STUDY) {
                filters.modalities.push(modality(value)?);
                continue;
            }
            if request_attributes::keyword(name).is_some() {
                continue;
            }
            let attribute = Attribute::named(name).ok_or_else(not_a_key)?;
            let condition = condition(attribute, value, request.fuzzy_matching)?;
            filters.conditions.push((attribute, condition));
        }
        filters.conditions.retain(|(_, condition)| *condition != Condition::Any);
        filters.modalities.retain(|condition| *condition != Condition::Any);
        Ok(filters)
    }
}

fn condition(attribute: &Attribute, value: &str, fuzzy: bool) -> Result<Condition> {
    // Most instances have no warning; `*` finds those with one.
    if attribute.keyword == "WarningReason" && value.trim() == "*" {
        return Ok(Condition::Pattern("*".to_owned()));
    }
    let condition = attribute.matching.condition(value, fuzzy);
    condition.map_err(|error| {
        let message = format!("{}: {}", attribute.keyword, error.message());
        Error::validation(message)
    })
}

/// Modalities in a list: `CT,MR` and `CT\MR` mean either.
fn modality(value: &str) -> Result<Condition> {
    Matching::Text.condition(&value.replace(',', "\\"), false)
}

fn not_a_key() -> Error {
    let known = ATTRIBUTES.iter().map(|attribute| attribute.keyword).chain([MODALITIES_IN_STUDY.1]);
    let known: Vec<String> = known.map(str::to_owned).chain(request_attributes::known()).collect();
    Error::validation(format!("a match key is not supported; known are {}", known.join(", ")))
}
