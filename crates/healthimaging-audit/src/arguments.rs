//! What is recorded of arguments: IDs of this server and of AWS as they are, identifiers of patients and their objects as
//! keyed digests, numbers and switches; of anything else only that it was given.

use serde_json::{Map, Value, json};

use healthimaging::Named;

use crate::keys::Keys;

/// Most values of a list that are recorded; the rest is counted.
const LISTED: usize = 50;

/// Arguments whose values are IDs of this server or of AWS.
const IDS: &[&str] = &[
    "datastore_id",
    "image_set_id",
    "image_set_ids",
    "source_image_set_id",
    "destination_image_set_id",
    "image_frame_id",
    "job_id",
    "version_id",
    "latest_version_id",
];

/// Ends of the names of arguments whose values identify a patient or objects of one, or are paths.
const IDENTIFYING: &[&str] = &[
    "patientid",
    "patientids",
    "patientname",
    "accessionnumber",
    "studyid",
    "uid",
    "uids",
    "uri",
    "path",
    "paths",
    "file",
    "files",
    "folder",
    "prefix",
];

/// Members of arguments that are recorded by name, lower-case and without `_`: those that identify. Names of other members may be
/// chosen by the caller, such as keys of tags.
const MEMBERS: [&str; 7] = [
    "patientid",
    "patientname",
    "accessionnumber",
    "studyid",
    "studyinstanceuid",
    "seriesinstanceuid",
    "sopinstanceuid",
];

/// What is recorded of arguments or objects.
#[derive(Debug, Clone, Default)]
pub struct Recorded(pub(crate) Map<String, Value>);

impl Recorded {
    /// Adds a number.
    #[must_use]
    pub fn with_count(mut self, name: &str, count: u64) -> Self {
        self.0.insert(name.to_owned(), json!(count));
        self
    }

    /// Adds IDs as they are.
    #[must_use]
    pub fn with_ids<'a>(mut self, name: &str, ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ids = ids.into_iter();
        let listed: Vec<&str> = ids.by_ref().take(LISTED).collect();
        let more = ids.count();
        if more > 0 {
            self.0.insert(format!("{name}_not_listed"), json!(more));
        }
        match listed[..] {
            [] => {}
            [only] if !name.ends_with('s') => drop(self.0.insert(name.to_owned(), json!(only))),
            _ => drop(self.0.insert(name.to_owned(), json!(listed))),
        }
        self
    }

    /// Adds values as keyed digests.
    #[must_use]
    pub fn with_digests<'a>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a str>,
        keys: &Keys,
    ) -> Self {
        let mut values = values.into_iter();
        let listed: Vec<String> =
            values.by_ref().take(LISTED).map(|value| keys.digest(value)).collect();
        let more = values.count();
        if more > 0 {
            self.0.insert(format!("{name}_not_listed"), json!(more));
        }
        if !listed.is_empty() {
            self.0.insert(name.to_owned(), json!(listed));
        }
        self
    }

    /// Returns what is recorded of a request or an answer of the contract.
    pub(crate) fn of(named: &Named, keys: &Keys) -> Self {
        let mut members = Map::new();
        for (name, id) in &named.ids {
            add(&mut members, name, json!(id));
        }
        for (name, value) in &named.identifying {
            add(&mut members, name, json!(keys.digest(value)));
        }
        for (name, count) in &named.counts {
            members.insert((*name).to_owned(), json!(count));
        }
        for name in &named.given {
            members.entry((*name).to_owned()).or_insert(Value::Null);
        }
        Self(members)
    }
}

/// Adds a value; several of one name become a list, up to a maximum.
fn add(members: &mut Map<String, Value>, name: &str, value: Value) {
    match members.get_mut(name) {
        None => drop(members.insert(name.to_owned(), value)),
        Some(Value::Array(list)) if list.len() < LISTED => list.push(value),
        Some(Value::Array(_)) => {
            let more = members.entry(format!("{name}_not_listed")).or_insert(json!(0));
            *more = json!(more.as_u64().unwrap_or_default() + 1);
        }
        Some(one) => *one = json!([one.take(), value]),
    }
}

/// Returns what is recorded of the arguments of a tool, all of which the tool knows by name.
pub fn recorded(arguments: &Map<String, Value>, keys: &Keys) -> Recorded {
    let named = arguments.iter().map(|(name, value)| (name.clone(), value_of(name, value, keys)));
    Recorded(named.collect())
}

fn members(object: &Map<String, Value>, keys: &Keys) -> Value {
    let members: Map<String, Value> = object
        .iter()
        .filter(|(name, _)| MEMBERS.contains(&&*plain(name)))
        .map(|(name, value)| (name.clone(), value_of(name, value, keys)))
        .collect();
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}

/// A name in lower case without `_`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase()
}

fn value_of(name: &str, value: &Value, keys: &Keys) -> Value {
    match value {
        Value::Bool(_) => value.clone(),
        Value::Object(object) => members(object, keys),
        Value::Array(list) => {
            let listed = list.iter().take(LISTED).map(|one| value_of(name, one, keys));
            let listed: Vec<Value> = listed.filter(|one| !one.is_null()).collect();
            if listed.is_empty() { Value::Null } else { Value::Array(listed) }
        }
        Value::Number(number) if is_identifying(name) => json!(keys.digest(&number.to_string())),
        Value::Number(_) if name.starts_with("max_") || IDS.contains(&name) => value.clone(),
        Value::String(text) if IDS.contains(&name) && is_id(text) => value.clone(),
        Value::String(text) if is_identifying(name) => json!(keys.digest(text)),
        Value::Null | Value::Number(_) | Value::String(_) => Value::Null,
    }
}

fn is_identifying(name: &str) -> bool {
    let plain = plain(name);
    IDENTIFYING.iter().any(|end| plain.ends_with(end))
}

/// Whether a text is an ID of AWS HealthImaging or the number of a version.
fn is_id(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == 32 && text.bytes().all(is_hex))
        || (text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit()))
}
