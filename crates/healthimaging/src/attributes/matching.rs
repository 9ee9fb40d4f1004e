//! How values are compared (`PS3.4 §C.2.2.2`, `PS3.18 §8.3.4`): both sides are normalized, and
//! the forms are compared.

use super::Condition;
use crate::{Error, Result};

/// How the values of an attribute are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matching {
    /// As they are, without the spaces around them; with wildcards.
    Text,
    /// Case-insensitively, without empty components at the end, by component group; with wildcards.
    PersonName,
    /// As they are, one or one of a list.
    Uid,
    /// By day; `2023.01.05` is the form of ACR-NEMA; single or range.
    Date,
    /// By time; `10:15:30` is the form of ACR-NEMA; single or range.
    Time,
    /// As numbers: `3.0` is 3.
    Number,
}

/// Behind every digit and before every letter.
const BEHIND_DIGITS: char = ':';

impl Matching {
    /// Returns the forms in which a value is compared, none for an empty one: those of each of several values
    /// (`A\B`), and of each component group of a name.
    ///
    /// ```
    /// use healthimaging::Matching;
    ///
    /// assert_eq!(Matching::Date.stored("2023.01.05"), ["20230105"]);
    /// assert_eq!(Matching::Number.stored(" 3.0"), ["3"]);
    /// assert_eq!(Matching::PersonName.stored("Yamada^Tarou=山田^太郎"), ["yamada^tarou", "山田^太郎"]);
    /// ```
    #[must_use]
    pub fn stored(self, value: &str) -> Vec<String> {
        let mut forms: Vec<String> = value
            .split('\\')
            .flat_map(|value| match self {
                Self::Text | Self::Uid => vec![trimmed(value).to_owned()],
                Self::PersonName => value.split('=').map(component_group).collect(),
                Self::Date => vec![date(value).unwrap_or_else(|| trimmed(value).to_owned())],
                Self::Time => {
                    vec![time(value).map_or_else(|| trimmed(value).to_owned(), whole_time)]
                }
                Self::Number => vec![number(value).unwrap_or_else(|| trimmed(value).to_owned())],
            })
            .filter(|form| !form.is_empty())
            .collect();
        forms.sort_unstable();
        forms.dedup();
        forms
    }

    /// Returns the condition of equality with a value, in which no character is a wildcard.
    #[must_use]
    pub fn exactly(self, value: &str) -> Condition {
        match &self.stored(value)[..] {
            // Nothing equals what is empty.
            [] => Condition::Equal(String::new()),
            forms => Condition::all_of(forms.iter().cloned().map(Condition::Equal)),
        }
    }

    /// Returns the condition of a match key of QIDO-RS.
    ///
    /// `Validation` if the key does not have the form of this comparison.
    pub fn condition(self, key: &str, fuzzy: bool) -> Result<Condition> {
        let key = trimmed(key);
        if key.is_empty() || key == "*" {
            return Ok(Condition::Any);
        }
        let each = |one: &str| match self {
            Self::Text => Ok(text(one)),
            Self::PersonName if fuzzy => Ok(words(one)),
            Self::PersonName => Ok(Condition::all_of(one.split('=').map(name))),
            Self::Uid => Ok(Condition::Equal(trimmed(one).to_owned())),
            Self::Date => range(one, date_or_part),
            Self::Time => range(one, time),
            Self::Number => number(one)
                .map(Condition::Equal)
                .ok_or_else(|| Error::validation("a number is compared with a number")),
        };
        let separators: &[char] = if self == Self::Uid { &[',', '\\'] } else { &['\\'] };
        let mut wanted: Vec<Condition> = key.split(separators).map(each).collect::<Result<_>>()?;
        if self == Self::Uid && key.contains(',') {
            // Also a malformed UID that has a comma, which files may hold.
            wanted.push(Condition::Equal(key.to_owned()));
        }
        Ok(Condition::any_of(wanted))
    }
}

/// Trims spaces and zeros.
fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\0'])
}

fn is_pattern(key: &str) -> bool {
    key.contains(['*', '?'])
}

fn text(key: &str) -> Condition {
    let key = trimmed(key).to_owned();
    if is_pattern(&key) { Condition::Pattern(key) } else { Condition::Equal(key) }
}

/// A component group of a name: in lower case, and without what pads its five components. Empty ones at
/// the end may be left out (`PS3.5 §6.2.1.1`), so they are.
fn component_group(group: &str) -> String {
    let components: Vec<&str> = group.split('^').map(trimmed).collect();
    components.join("^").trim_end_matches('^').to_lowercase()
}

/// The condition of one component group of a key, on any group of the name.
fn name(group: &str) -> Condition {
    let group = component_group(group);
    if group.is_empty() || group == "*" {
        return Condition::Any;
    }
    if !is_pattern(&group) {
        return Condition::Equal(group);
    }
    // `Doe^*` asks for any given name: also for the empty one, which names leave out.
    let mut forms = vec![Condition::Pattern(group.clone())];
    let mut rest = group.as_str();
    while let Some(shorter) = rest.strip_suffix("^*") {
        rest = shorter;
        forms.push(text(rest));
    }
    Condition::any_of(forms)
}

fn words(key: &str) -> Condition {
    let key = key.to_lowercase();
    let words = key.split(['^', '=', ' ', ',']).map(|word| word.trim_end_matches('*'));
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if words.is_empty() { Condition::Any } else { Condition::Words(words) }
}

/// A date as eight digits.
fn date(value: &str) -> Option<String> {
    date_or_part(value).filter(|digits| digits.len() == 8)
}

/// A date, a month or a year as digits.
fn date_or_part(value: &str) -> Option<String> {
    let value = trimmed(value);
    let digits: String = value.split('.').collect();
    let is_date = digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_date && matches!(digits.len(), 4 | 6 | 8)).then_some(digits)
}

/// A time, a minute or an hour as digits, its fraction without zeros at the end.
fn time(value: &str) -> Option<String> {
    let value = trimmed(value);
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let whole: String = whole.split(':').collect();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = digits(&whole) && digits(fraction) && matches!(whole.len(), 2 | 4 | 6);
    let fraction = fraction.trim_end_matches('0');
    match fraction {
        _ if !is_time => None,
        "" => Some(whole),
        _ => Some(format!("{whole}.{fraction}")),
    }
}

/// Fills the missing parts of a time with zeros.
fn whole_time(time: String) -> String {
    match time.len() {
        2 | 4 => format!("{time:0<6}"),
        _ => time,
    }
}

/// Normalizes a number.
fn number(value: &str) -> Option<String> {
    let value = trimmed(value);
    let is_decimal = value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.'));
    let number: f64 = if is_decimal { value.parse().ok()? } else { return None };
    // Minus zero is zero.
    Some(format!("{}", number + 0.0))
}

/// One moment, with all that begins with it, or a range of them.
fn range(key: &str, form: fn(&str) -> Option<String>) -> Result<Condition> {
    let (low, high) = match key.split_once('-') {
        Some((low, high)) => (trimmed(low), trimmed(high)),
        None => (key, key),
    };
    let bound = |text: &str| {
        form(text).ok_or_else(|| {
            Error::validation(
                "a date is YYYYMMDD and a time HHMMSS.FFFFFF; a range has a - between two of them, \
                 or before or after one",
            )
        })
    };
    let (low, high) = match (low, high) {
        ("", "") => (bound("")?, String::new()),
        ("", high) => ("0".to_owned(), bound(high)?),
        (low, "") => (bound(low)?, String::new()),
        (low, high) => (bound(low)?, bound(high)?),
    };
    // A shorter value stands for all that begins with it: 10 is the whole hour.
    Ok(Condition::Range(low, format!("{high}{BEHIND_DIGITS}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(text: &str) -> Condition {
        Condition::Equal(text.to_owned())
    }

    fn pattern(text: &str) -> Condition {
        Condition::Pattern(text.to_owned())
    }

    fn range(low: &str, below: &str) -> Condition {
        Condition::Range(low.to_owned(), below.to_owned())
    }

    #[test]
    fn values_are_brought_into_one_form() {
        for (matching, value, forms) in [
            (Matching::Text, " A*B?C ", vec!["A*B?C"]),
            (Matching::Text, "A\\ B\\\\A", vec!["A", "B"]),
            (Matching::Text, "  ", vec![]),
            (Matching::Uid, "1.2.3\0", vec!["1.2.3"]),
            (Matching::Uid, "2.25.555555.1 ", vec!["2.25.555555.1"]),
            (Matching::PersonName, "Doe^John^^^", vec!["doe^john"]),
            (Matching::PersonName, " DOE ^ JOHN ", vec!["doe^john"]),
            (Matching::PersonName, "MÜLLER^Ä=", vec!["müller^ä"]),
            (Matching::PersonName, "^^", vec![]),
            (Matching::Date, "20230105", vec!["20230105"]),
            (Matching::Date, "2023.01.05 ", vec!["20230105"]),
            (Matching::Date, "unknown", vec!["unknown"]),
            (Matching::Time, "10", vec!["100000"]),
            (Matching::Time, "10:15:30.500", vec!["101530.5"]),
            (Matching::Time, "101530.000000", vec!["101530"]),
            (Matching::Number, "3.0 ", vec!["3"]),
            (Matching::Number, " +03", vec!["3"]),
            (Matching::Number, "-0", vec!["0"]),
            (Matching::Number, "2.5", vec!["2.5"]),
            (Matching::Number, "three", vec!["three"]),
        ] {
            assert_eq!(matching.stored(value), forms, "{matching:?} {value:?}");
        }
    }

    #[test]
    fn keys_ask_for_what_the_standard_says() {
        for (matching, key, condition) in [
            (Matching::Text, "", Condition::Any),
            (Matching::Text, "*", Condition::Any),
            (Matching::Text, " P-1 ", equal("P-1")),
            (Matching::Text, "P-?", pattern("P-?")),
            (Matching::Text, "CT\\MR", Condition::AnyOf(vec![equal("CT"), equal("MR")])),
            (
                Matching::Uid,
                "1.2, 1.3",
                Condition::AnyOf(vec![equal("1.2"), equal("1.3"), equal("1.2, 1.3")]),
            ),
            (Matching::Uid, "1.2\\1.3", Condition::AnyOf(vec![equal("1.2"), equal("1.3")])),
            (Matching::PersonName, "Doe^John^^^", equal("doe^john")),
            (Matching::PersonName, "*=*", Condition::Any),
            (Matching::PersonName, "A=B", Condition::AllOf(vec![equal("a"), equal("b")])),
            (Matching::PersonName, "=山田^太郎", equal("山田^太郎")),
            (Matching::PersonName, "D?e", pattern("d?e")),
            (Matching::PersonName, "Doe^*", Condition::AnyOf(vec![pattern("doe^*"), equal("doe")])),
            (
                Matching::PersonName,
                "D*^J*^*",
                Condition::AnyOf(vec![pattern("d*^j*^*"), pattern("d*^j*")]),
            ),
            (Matching::Date, "2023.01.05", range("20230105", "20230105:")),
            (Matching::Date, "2023", range("2023", "2023:")),
            (Matching::Date, "20230101-2023.12.31", range("20230101", "20231231:")),
            (Matching::Date, "20230101-", range("20230101", ":")),
            (Matching::Date, "-20230101", range("0", "20230101:")),
            (Matching::Time, "10:15", range("1015", "1015:")),
            (Matching::Time, "10-1130.00", range("10", "1130:")),
            (Matching::Number, "3.0", equal("3")),
        ] {
            let found = matching.condition(key, false).unwrap();
            assert_eq!(found, condition, "{matching:?} {key:?}");
        }
        let words = Condition::Words(vec!["smith".to_owned(), "jo".to_owned()]);
        assert_eq!(Matching::PersonName.condition("Smith^Jo*", true).unwrap(), words);
    }

    #[test]
    fn keys_of_another_form_are_refused() {
        for (matching, key) in [
            (Matching::Date, "yesterday"),
            (Matching::Date, "2023-01-05"),
            (Matching::Date, "-"),
            (Matching::Date, "202301055"),
            (Matching::Time, "9"),
            (Matching::Number, "three"),
            (Matching::Number, "3*"),
            (Matching::Number, "1-2"),
        ] {
            assert!(matching.condition(key, false).is_err(), "{matching:?} {key:?}");
        }
    }

    #[test]
    fn an_exact_value_has_no_wildcards() {
        assert_eq!(Matching::Text.exactly("A*B?C "), equal("A*B?C"));
        assert_eq!(Matching::Text.exactly(" "), equal(""));
        let both = Condition::AllOf(vec![equal("A"), equal("B")]);
        assert_eq!(Matching::Text.exactly("A\\B"), both);
    }
}
