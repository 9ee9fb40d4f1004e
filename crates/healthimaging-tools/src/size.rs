//! Limits of answers: clients truncate or drop longer ones, and the model has to read them.

use healthimaging::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::visible;

/// Longest answer unless the caller asks for more, in bytes of its JSON.
pub(crate) const LONGEST_ANSWER: usize = 60_000;

/// Longest list of such an answer; the rest is for its other members.
pub(crate) const LONGEST_PART: usize = 50_000;

/// Lists and texts of up to so many bytes are never cut.
const NEVER_CUT: usize = 200;

/// Returns the bytes of a value as JSON, as it is shown.
pub(crate) fn size(value: &Value) -> usize {
    visible::shown_document(value.to_string()).len()
}

/// Returns the bytes of any item as JSON, as it is shown.
pub(crate) fn size_of<T: Serialize>(item: &T) -> Result<usize> {
    let value = serde_json::to_value(item);
    value
        .map(|value| size(&value))
        .map_err(|error| Error::internal("the answer could not be written as JSON", error))
}

/// Counts the items that fit in so many bytes.
pub(crate) fn fitting<T: Serialize>(items: &[T], mut room: usize) -> Result<usize> {
    for (at, item) in items.iter().enumerate() {
        let length = size_of(item)? + 1;
        if length > room {
            return Ok(at);
        }
        room -= length;
    }
    Ok(items.len())
}

/// Cuts an answer that is still too long, as it is shown: the longest lists lose their ends, then the
/// longest texts. Returns whether anything was cut.
pub(crate) fn cut(answer: &mut Map<String, Value>, longest: usize) -> bool {
    let mut is_cut = false;
    while length(answer) > longest {
        let mut largest = (0, None);
        let mut path = Vec::new();
        for (name, value) in answer.iter() {
            path.push(Step::Key(name.clone()));
            find_largest(value, &mut path, &mut largest);
            path.pop();
        }
        let Some(found) = largest.1.and_then(|path: Vec<Step>| at(answer, &path)) else {
            break;
        };
        halve(found);
        is_cut = true;
    }
    is_cut
}

fn length(answer: &Map<String, Value>) -> usize {
    serde_json::to_string(answer).map_or(0, |text| text.len())
}

/// Step of a path into a value.
#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// Finds the list or text with the most bytes.
fn find_largest(value: &Value, path: &mut Vec<Step>, largest: &mut (usize, Option<Vec<Step>>)) {
    let own = match value {
        Value::Array(items) if items.len() > 1 => value.to_string().len(),
        Value::String(text) => text.len(),
        _ => 0,
    };
    if own > largest.0.max(NEVER_CUT) {
        *largest = (own, Some(path.clone()));
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
                find_largest(item, path, largest);
                path.pop();
            }
        }
        Value::Object(object) => {
            for (name, inner) in object {
                path.push(Step::Key(name.clone()));
                find_largest(inner, path, largest);
                path.pop();
            }
        }
        _ => {}
    }
}

fn at<'a>(answer: &'a mut Map<String, Value>, path: &[Step]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    let Step::Key(name) = first else { return None };
    rest.iter().try_fold(answer.get_mut(name)?, |value, step| match step {
        Step::Key(name) => value.get_mut(name),
        Step::Index(index) => value.get_mut(index),
    })
}

fn halve(value: &mut Value) {
    match value {
        Value::Array(items) => items.truncate(items.len() / 2),
        Value::String(text) => {
            let cut: String = text.chars().take(text.chars().count() / 2).collect();
            *text = format!("{cut}…");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_long_is_cut_at_its_longest() {
        let mut answer = Map::new();
        answer.insert("summary".to_owned(), json!("3 things."));
        answer.insert("few".to_owned(), json!([1, 2, 3]));
        answer.insert("many".to_owned(), json!(vec!["x".repeat(100); 3_000]));
        answer.insert("inner".to_owned(), json!({ "text": "y".repeat(100_000) }));
        assert!(cut(&mut answer, LONGEST_ANSWER));
        assert!(length(&answer) <= LONGEST_ANSWER);
        assert_eq!((&answer["summary"], &answer["few"]), (&json!("3 things."), &json!([1, 2, 3])));
        assert!(answer["many"].as_array().unwrap().len() > 50);
        let before = answer.clone();
        assert!(!cut(&mut answer, LONGEST_ANSWER));
        assert_eq!(answer, before);
    }

    #[test]
    fn hidden_characters_count_as_they_are_shown() {
        assert_eq!(size(&json!("\u{202E}")), "\"\\\\u{202E}\"".len());
        assert_eq!(fitting(&["aa", "aa", "aa"], 10).unwrap(), 2);
    }
}
