//! Conditions on the values of attributes as SQL.

use healthimaging::{Attribute, Condition};

use super::db::Value;

/// A part of a `WHERE` clause and its values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Predicate {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Predicate {
    fn new(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self { sql: sql.into(), values }
    }

    fn joined(parts: impl IntoIterator<Item = Self>, with: &str) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.sql += if all.sql.is_empty() { "(" } else { with };
            all.sql += &part.sql;
            all.values.extend(part.values);
        }
        all.sql += ")";
        all
    }

    /// Adds what has to hold too.
    pub(crate) fn and(&mut self, other: Self) {
        if !self.sql.is_empty() {
            self.sql += " AND ";
        }
        self.sql += &other.sql;
        self.values.extend(other.values);
    }

    /// Whether the value of `column` meets the condition.
    pub(crate) fn of_column(column: &str, condition: &Condition) -> Self {
        let text = |text: &String| Value::Text(text.clone());
        match condition {
            Condition::Any => Self::new("1", Vec::new()),
            Condition::Equal(value) => Self::new(format!("{column} = ?"), vec![text(value)]),
            Condition::Pattern(pattern) => {
                // GLOB's own wildcards are DICOM's; a bracket would open a set.
                let glob = Value::Text(pattern.replace('[', "[[]"));
                let (low, high) = beginning(pattern);
                match (low.is_empty(), high) {
                    // An index is walked from the beginning of the pattern on.
                    (false, Some(high)) => Self::new(
                        format!("({column} >= ? AND {column} < ? AND {column} GLOB ?)"),
                        vec![Value::Text(low), Value::Text(high), glob],
                    ),
                    _ => Self::new(format!("{column} GLOB ?"), vec![glob]),
                }
            }
            Condition::Range(low, below) => {
                Self::new(format!("({column} >= ? AND {column} < ?)"), vec![text(low), text(below)])
            }
            Condition::Words(words) => {
                let name = format!("(' ' || replace({column}, '^', ' '))");
                let word = |word: &String| {
                    let pattern = Value::Text(format!("% {}%", like(word)));
                    Self::new(format!("{name} LIKE ? ESCAPE '!'"), vec![pattern])
                };
                Self::joined(words.iter().map(word), " AND ")
            }
            Condition::AnyOf(conditions) => {
                let equal: Option<Vec<Value>> = conditions
                    .iter()
                    .map(|one| match one {
                        Condition::Equal(value) => Some(text(value)),
                        _ => None,
                    })
                    .collect();
                match equal {
                    Some(values) => {
                        let marks = vec!["?"; values.len()].join(", ");
                        Self::new(format!("{column} IN ({marks})"), values)
                    }
                    None => Self::joined(
                        conditions.iter().map(|one| Self::of_column(column, one)),
                        " OR ",
                    ),
                }
            }
            Condition::AllOf(conditions) => {
                Self::joined(conditions.iter().map(|one| Self::of_column(column, one)), " AND ")
            }
        }
    }

    /// Whether the image set `set`, a column, has values of `attribute` that meet the condition.
    pub(crate) fn of_set(set: &str, attribute: &Attribute, condition: &Condition) -> Self {
        match condition {
            Condition::Any => Self::of_column("", condition),
            // Each may be of another value.
            Condition::AllOf(conditions) => Self::joined(
                conditions.iter().map(|one| Self::of_set(set, attribute, one)),
                " AND ",
            ),
            Condition::AnyOf(conditions) if !conditions.iter().all(is_of_one_value) => {
                Self::joined(conditions.iter().map(|one| Self::of_set(set, attribute, one)), " OR ")
            }
            of_one => {
                let Self { sql, values } = Self::of_column("found.value", of_one);
                let tag = attribute.tag;
                let sql = format!(
                    "EXISTS (SELECT 1 FROM image_set_attributes AS found
                         WHERE found.image_set = {set} AND found.attribute = {tag} AND {sql})"
                );
                Self { sql, values }
            }
        }
    }

    /// As [`Self::of_set`], but the image sets are looked up in the index of a data store; `None` where it
    /// does not help.
    pub(crate) fn looked_up(
        set: &str,
        datastore: i64,
        attribute: &Attribute,
        condition: &Condition,
    ) -> Option<Self> {
        if !attribute.is_key || !is_of_one_value(condition) || !has_beginning(condition) {
            return None;
        }
        let Self { sql, values: of_value } = Self::of_column("found.value", condition);
        let tag = attribute.tag;
        let sql = format!(
            "{set} IN (SELECT found.image_set FROM image_set_attributes AS found
                 WHERE found.datastore = ? AND found.attribute = {tag} AND {sql})"
        );
        let mut values = vec![Value::Integer(datastore)];
        values.extend(of_value);
        Some(Self { sql, values })
    }
}

/// Whether the condition is about one value.
fn is_of_one_value(condition: &Condition) -> bool {
    match condition {
        Condition::AllOf(_) => false,
        Condition::AnyOf(conditions) => conditions.iter().all(is_of_one_value),
        _ => true,
    }
}

/// Whether the values are together in the order of all.
fn has_beginning(condition: &Condition) -> bool {
    match condition {
        Condition::Equal(_) | Condition::Range(..) => true,
        Condition::Pattern(pattern) => !beginning(pattern).0.is_empty(),
        Condition::AnyOf(conditions) => conditions.iter().all(has_beginning),
        Condition::Any | Condition::Words(_) | Condition::AllOf(_) => false,
    }
}

/// What a pattern begins with, and the first text behind all that begin so.
fn beginning(pattern: &str) -> (String, Option<String>) {
    let low: String = pattern.chars().take_while(|c| !matches!(c, '*' | '?')).collect();
    let mut high: Vec<char> = low.chars().collect();
    let next = high.pop().and_then(|last| char::from_u32(u32::from(last) + 1));
    let high = next.map(|next| high.into_iter().chain([next]).collect());
    (low, high)
}

/// A text as LIKE takes it literally.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '%' | '_' | '!' => pattern.extend(['!', c]),
            _ => pattern.push(c),
        }
    }
    pattern
}
