//! Match keys as SQL (`PS3.4 §C.2.2.2`, `PS3.18 §8.3.4`).

use healthimaging::model::SearchDicomRequest;
use healthimaging::{ATTRIBUTES, Attribute, Condition, Error, Matching, QueryLevel, Result, Uid};

use super::keys::{self, MODALITIES_IN_STUDY, column};
use crate::index::predicate::Predicate;

/// Key attributes, those first of whose values the fewest image sets have.
const BY_RARITY: [&str; 7] = [
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "StudyID",
    "StudyDate",
];

/// The primary image sets of a data store, and their instances, that match a request for results of
/// `level` within a study and a series. Attributes below the level find what holds a series or an instance that has them.
pub(super) fn wanted(
    datastore: i64,
    request: &SearchDicomRequest,
    level: QueryLevel,
    study: Option<&Uid>,
    series: Option<&Uid>,
) -> Result<Predicate> {
    let mut conditions = Vec::new();
    for (keyword, uid) in [("StudyInstanceUID", study), ("SeriesInstanceUID", series)] {
        let attribute = Attribute::named(keyword);
        if let Some((attribute, uid)) = attribute.zip(uid) {
            conditions.push((attribute, attribute.matching.exactly(uid.as_ref())));
        }
    }
    let mut modalities = Vec::new();
    for (name, value) in &request.filters {
        if keys::is(name, MODALITIES_IN_STUDY) {
            modalities.push(modality(value)?);
            continue;
        }
        let attribute = Attribute::named(name).ok_or_else(not_a_key)?;
        conditions.push((attribute, condition(attribute, value, request.fuzzy_matching)?));
    }
    conditions.retain(|(_, condition)| *condition != Condition::Any);
    let is_of_instances = conditions
        .iter()
        .any(|(attribute, condition)| attribute.keyword == "SOPInstanceUID" && is_exact(condition));
    let leader = if is_of_instances { None } else { leader(datastore, &conditions) };
    // An index of the data store would be taken for that of what leads.
    let plus = if is_of_instances || leader.is_some() { "+" } else { "" };
    // Nearly all sets are primary: the `+` keeps indexes of that out of the choice.
    let mut matching = Predicate {
        sql: format!(
            "image_set.state <> 'DELETED' AND +image_set.is_primary = 1 AND {plus}image_set.datastore = ?"
        ),
        values: vec![datastore.into()],
    };
    let leads = leader.as_ref().map(|(number, _)| *number);
    let mut of_instances = Predicate::default();
    for (number, (attribute, condition)) in conditions.iter().enumerate() {
        if leads != Some(number) {
            match column(attribute) {
                Some(column) => of_instances.and(of_instance(column, condition)),
                None => matching.and(Predicate::of_set("image_set.row", attribute, condition)),
            }
        }
    }
    if !of_instances.sql.is_empty() {
        let Predicate { sql, values } = of_instances;
        let sql = match level {
            QueryLevel::Instance => sql,
            _ if is_of_instances => {
                format!("image_set.row IN (SELECT instance.image_set FROM instance WHERE {sql})")
            }
            _ => format!(
                "EXISTS (SELECT 1 FROM instance WHERE instance.image_set = image_set.row AND {sql})"
            ),
        };
        matching.and(Predicate { sql, values });
    }
    if let Some((_, leading)) = leader {
        matching.and(leading);
    }
    for condition in modalities.iter().filter(|condition| **condition != Condition::Any) {
        matching.and(in_study(condition));
    }
    Ok(matching)
}

/// The condition whose index leads to the fewest image sets.
fn leader(datastore: i64, conditions: &[(&Attribute, Condition)]) -> Option<(usize, Predicate)> {
    BY_RARITY.iter().find_map(|keyword| {
        let number = conditions.iter().position(|(attribute, _)| attribute.keyword == *keyword)?;
        let (attribute, condition) = conditions.get(number)?;
        let leading = Predicate::looked_up("image_set.row", datastore, attribute, condition)?;
        Some((number, leading))
    })
}

fn is_exact(condition: &Condition) -> bool {
    match condition {
        Condition::Equal(_) => true,
        Condition::AnyOf(conditions) => conditions.iter().all(is_exact),
        _ => false,
    }
}

fn condition(attribute: &Attribute, value: &str, fuzzy: bool) -> Result<Condition> {
    // Most instances have no warning, and `*` asks for those that have.
    if attribute.keyword == "WarningReason" && value.trim() == "*" {
        return Ok(Condition::Pattern("*".to_owned()));
    }
    let condition = attribute.matching.condition(value, fuzzy);
    condition.map_err(|error| {
        let message = format!("{}: {}", attribute.keyword, error.message());
        Error::validation(message)
    })
}

/// As [`Predicate::of_column`], of a column of instances.
fn of_instance(column: &str, condition: &Condition) -> Predicate {
    match condition {
        Condition::Pattern(all) if all == "*" => {
            Predicate { sql: format!("{column} IS NOT NULL"), values: Vec::new() }
        }
        condition => Predicate::of_column(column, condition),
    }
}

/// Modalities in a list: `CT,MR` and `CT\MR` ask for either.
fn modality(value: &str) -> Result<Condition> {
    Matching::Text.condition(&value.replace(',', "\\"), false)
}

/// Whether any primary image set of the same study has such a modality.
fn in_study(condition: &Condition) -> Predicate {
    let [study, modality] = ["StudyInstanceUID", "Modality"]
        .map(|keyword| ATTRIBUTES.iter().find(|attribute| attribute.keyword == keyword));
    let (Some(study), Some(modality)) = (study, modality) else {
        return Predicate::of_column("", &Condition::Any);
    };
    let Predicate { sql, values } = Predicate::of_set("other.row", modality, condition);
    let tag = study.tag;
    let sql = format!(
        "EXISTS (SELECT 1 FROM image_set_attributes AS same
             CROSS JOIN image_set AS other ON other.row = same.image_set
             WHERE same.datastore = image_set.datastore AND same.attribute = {tag}
                 AND same.value = image_set.study_instance_uid AND same.updated_at IS NOT NULL
                 AND other.is_primary = 1 AND other.state <> 'DELETED' AND {sql})"
    );
    Predicate { sql, values }
}

fn not_a_key() -> Error {
    let known = ATTRIBUTES.iter().map(|attribute| attribute.keyword).chain([MODALITIES_IN_STUDY.1]);
    let known: Vec<&str> = known.collect();
    Error::validation(format!("a match key is not supported; known are {}", known.join(", ")))
}
