//! What changes from run to run, under names that do not: ids by kind and number, moments, the folder.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

/// Longest text that is shown.
const LONGEST: usize = 400;
/// Items of a list that are shown.
const ITEMS: usize = 2;

/// Names what it meets, the same thing by the same name.
pub(crate) struct Plain {
    folder: String,
    ids: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

impl Plain {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.display().to_string(), ids: HashMap::new(), counts: HashMap::new() }
    }

    /// A value as it is shown: named, and cut where it is long.
    pub(crate) fn value(&mut self, value: &Value) -> Value {
        let mut value = value.clone();
        // Items of a job are done side by side.
        if let Some(Value::Array(outcomes)) = value.get_mut("outcomes") {
            outcomes.sort_by_cached_key(|outcome| self.text(&outcome["item"].to_string()));
        }
        if let Some(Value::Object(counts)) = value.pointer_mut("/report/outcomes") {
            counts.sort_keys();
        }
        self.meet("", &value);
        self.named(&value)
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.replace(&self.folder, "/demo");
        for (id, name) in &self.ids {
            text = text.replace(id, name);
        }
        text
    }

    /// Names every id in a value by the key that it has.
    fn meet(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) if is_id(text) => {
                if let Some(kind) = kind(key)
                    && !self.ids.contains_key(text)
                {
                    let count = self.counts.entry(kind).or_default();
                    *count += 1;
                    self.ids.insert(text.clone(), format!("{kind}-{count}"));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.meet(key, item)),
            Value::Object(object) => object.iter().for_each(|(key, inner)| self.meet(key, inner)),
            _ => {}
        }
    }

    fn named(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if is_moment(text) => Value::from("2026-01-31T12:00:00Z"),
            Value::String(text) => {
                let text = self.text(text);
                let cut: String = text.chars().take(LONGEST).collect();
                Value::from(match text.chars().count().saturating_sub(LONGEST) {
                    0 => text,
                    more => format!("{cut}… {more} characters more"),
                })
            }
            Value::Array(items) => {
                let mut shown: Vec<Value> =
                    items.iter().take(ITEMS).map(|item| self.named(item)).collect();
                if let Some(more) = items.len().checked_sub(ITEMS).filter(|more| *more > 0) {
                    shown.push(Value::from(format!("… {more} more")));
                }
                Value::Array(shown)
            }
            Value::Object(object) => object
                .iter()
                .map(|(key, inner)| match key.as_str() {
                    "next_token" | "confirmation_token" => (key.clone(), Value::from("a-token")),
                    _ => (self.text(key), self.named(inner)),
                })
                .collect(),
            other => other.clone(),
        }
    }
}

fn kind(key: &str) -> Option<&'static str> {
    let kinds = [
        ("datastore_id", "datastore"),
        ("image_set_id", "image-set"),
        ("imageSetId", "image-set"),
        ("replaced_by", "image-set"),
        ("image_frame_id", "frame"),
        ("imageFrameId", "frame"),
        ("job_id", "job"),
    ];
    let found = kinds.iter().find(|(end, _)| key.ends_with(end));
    found.map(|(_, kind)| *kind)
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_moment(text: &str) -> bool {
    text.parse::<chrono::DateTime<chrono::Utc>>().is_ok()
}
