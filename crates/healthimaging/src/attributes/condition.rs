//! Conditions on the values of an attribute.

/// A condition on the values of an attribute, in the form in which values are compared
/// ([`Matching::stored`](super::Matching::stored)); one matching value is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Anything, even absent (universal matching, `PS3.4 §C.2.2.2.3`).
    Any,
    /// This value.
    Equal(String),
    /// A value that matches a pattern, in which `*` stands for any characters and `?` for one
    /// (`PS3.4 §C.2.2.2.4`).
    Pattern(String),
    /// A value from the first on and below the second, in the order of their characters
    /// (`PS3.4 §C.2.2.2.5`).
    Range(String, String),
    /// A name with words that begin with each of these (fuzzy matching, `PS3.18 §8.3.4.2`).
    Words(Vec<String>),
    /// Any of these conditions.
    AnyOf(Vec<Condition>),
    /// All of these conditions.
    AllOf(Vec<Condition>),
}

impl Condition {
    /// Any of these; the condition itself where there is one.
    pub(super) fn any_of(mut conditions: Vec<Self>) -> Self {
        match (conditions.pop(), conditions.is_empty()) {
            (Some(only), true) => only,
            (None, _) => Self::Any,
            (Some(last), false) => {
                conditions.push(last);
                if conditions.contains(&Self::Any) { Self::Any } else { Self::AnyOf(conditions) }
            }
        }
    }

    /// All of these; the condition itself where there is one.
    pub(super) fn all_of(conditions: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Self> = conditions.into_iter().filter(|one| *one != Self::Any).collect();
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => only,
            (None, _) => Self::Any,
            (Some(last), false) => {
                all.push(last);
                Self::AllOf(all)
            }
        }
    }
}
