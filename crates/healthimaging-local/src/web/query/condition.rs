//! Match keys as SQL (`PS3.4 §C.2.2.2`, `PS3.18 §8.3.4`).

use healthimaging::model::SearchDicomRequest;
use healthimaging::{Error, Result};
use rusqlite::types::Value;

use super::keys::{self, Key, Level, Matching};

/// A `WHERE` clause and its values.
#[derive(Debug, Clone)]
pub(super) struct Where {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

/// How names are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Wildcards,
    Fuzzy,
}

impl Where {
    /// The primary image sets of a data store. Nearly all are: the `+` keeps indexes of that out of the
    /// choice, which knows no numbers.
    pub(super) fn primary(datastore: i64) -> Self {
        Self::among("image_set.datastore", datastore)
    }

    /// As [`Self::primary`], for a search that names instances and neither study nor series: the index of
    /// instances has to be taken, and none of the data store.
    pub(super) fn of_instances(datastore: i64) -> Self {
        Self::among("+image_set.datastore", datastore)
    }

    fn among(column: &str, datastore: i64) -> Self {
        Self {
            sql: format!(
                "image_set.state <> 'DELETED' AND +image_set.is_primary = 1 AND {column} = ?"
            ),
            values: vec![Value::Integer(datastore)],
        }
    }

    /// Adds `column = value`.
    pub(super) fn and_equal(&mut self, column: &str, value: impl Into<Value>) {
        self.and(&format!("{column} = ?"), [value.into()]);
    }

    fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }

    /// Adds the match keys of a request for results of `level`.
    pub(super) fn and_filters(&mut self, request: &SearchDicomRequest, level: Level) -> Result<()> {
        let names = if request.fuzzy_matching { Names::Fuzzy } else { Names::Wildcards };
        for (name, value) in &request.filters {
            let key = keys::named(name)
                .filter(|key| key.matching != Matching::None && key.level <= level)
                .ok_or_else(|| not_a_key(level))?;
            self.and_match(key, value.trim(), names)?;
        }
        Ok(())
    }

    fn and_match(&mut self, key: &Key, value: &str, names: Names) -> Result<()> {
        let column = key.column;
        if value.is_empty() || value == "*" && key.matching != Matching::Warning {
            return Ok(());
        }
        match key.matching {
            Matching::Text => self.and_text(column, value),
            Matching::Name if names == Names::Fuzzy => self.and_fuzzy(column, value),
            Matching::Name => {
                self.and(&format!("{column} LIKE ? ESCAPE '!'"), [Value::Text(like(value))]);
            }
            Matching::Uid => self.and_list(column, value),
            Matching::DateOrTime => self.and_range(column, value)?,
            Matching::Warning if value == "*" => self.and(&format!("{column} IS NOT NULL"), []),
            Matching::Number | Matching::Warning => self.and_equal(column, number(key, value)?),
            Matching::ModalitiesInStudy => self.and_modality(value),
            Matching::None => {}
        }
        Ok(())
    }

    fn and_text(&mut self, column: &str, value: &str) {
        if value.contains(['*', '?']) {
            // GLOB's own wildcards are DICOM's; a bracket would open a set.
            let pattern = value.replace('[', "[[]");
            self.and(&format!("{column} GLOB ?"), [Value::Text(pattern)]);
        } else {
            self.and_equal(column, value.to_owned());
        }
    }

    /// Each word of `value` begins a word of the name.
    fn and_fuzzy(&mut self, column: &str, value: &str) {
        let words = value.split(['^', '=', ' ', ',']).filter(|word| !word.is_empty());
        for word in words {
            let pattern = format!("% {}%", like(word.trim_end_matches('*')));
            let name = format!("(' ' || replace(replace({column}, '^', ' '), '=', ' '))");
            self.and(&format!("{name} LIKE ? ESCAPE '!'"), [Value::Text(pattern)]);
        }
    }

    fn and_list(&mut self, column: &str, value: &str) {
        let uids: Vec<Value> =
            value.split([',', '\\']).map(|uid| Value::Text(uid.trim().to_owned())).collect();
        let marks = vec!["?"; uids.len()].join(", ");
        self.and(&format!("{column} IN ({marks})"), uids);
    }

    fn and_range(&mut self, column: &str, value: &str) -> Result<()> {
        let is_moment =
            |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.') && text.len() <= 14;
        let (low, high) = match value.split_once('-') {
            Some((low, high)) => (low.trim(), high.trim()),
            None => (value, value),
        };
        if !is_moment(low) || !is_moment(high) || low.is_empty() && high.is_empty() {
            return Err(Error::validation(
                "a date is YYYYMMDD and a time HHMMSS.FFFFFF; a range has a - between two of them, \
                 or before or after one",
            ));
        }
        if !low.is_empty() {
            self.and(&format!("{column} >= ?"), [Value::Text(low.to_owned())]);
        }
        if !high.is_empty() {
            // A shorter value stands for all that begins with it: 10 is the whole hour.
            self.and(
                &format!("{column} <> '' AND substr({column}, 1, ?) <= ?"),
                [
                    Value::Integer(high.len().try_into().unwrap_or(i64::MAX)),
                    Value::Text(high.to_owned()),
                ],
            );
        }
        Ok(())
    }

    fn and_modality(&mut self, value: &str) {
        let comparison = if value.contains(['*', '?']) { "GLOB" } else { "=" };
        self.and(
            &format!(
                "EXISTS (SELECT 1 FROM image_set AS other
                     WHERE other.datastore = image_set.datastore
                         AND other.study_instance_uid = image_set.study_instance_uid
                         AND +other.is_primary = 1 AND other.state <> 'DELETED'
                         AND other.modality {comparison} ?)"
            ),
            [Value::Text(value.replace('[', "[[]"))],
        );
    }
}

/// DICOM wildcards as those of LIKE.
fn like(value: &str) -> String {
    let mut pattern = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '%' | '_' | '!' => pattern.extend(['!', c]),
            _ => pattern.push(c),
        }
    }
    pattern
}

fn number(key: &Key, value: &str) -> Result<i64> {
    value
        .parse()
        .map_err(|_| Error::validation(format!("{} is compared with a whole number", key.keyword)))
}

fn not_a_key(level: Level) -> Error {
    let known: Vec<&str> = keys::KEYS
        .iter()
        .filter(|key| key.matching != Matching::None && key.level <= level)
        .map(|key| key.keyword)
        .collect();
    Error::validation(format!("a match key is not supported; known here are {}", known.join(", ")))
}
