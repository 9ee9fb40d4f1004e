//! Format of responses: camel case, times as numbers, absent members omitted.

use healthimaging::Timestamp;
use serde::{Serialize, Serializer};

/// Declares a response: its members and, after a `;`, its optional members.
macro_rules! wire {
    ($(#[$outer:meta])* $name:ident from $from:ty {
        $($(#[$meta:meta])* $field:ident: $type:ty,)*
        $(; $($(#[$may_meta:meta])* $may:ident: $may_type:ty,)*)?
    }) => {
        $(#[$outer])*
        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $name {
            $($(#[$meta])* $field: $type,)*
            $($(
                #[serde(skip_serializing_if = "Option::is_none")]
                $(#[$may_meta])* $may: Option<$may_type>,
            )*)?
        }

        impl From<$from> for $name {
            fn from(from: $from) -> Self {
                Self {
                    $($field: from.$field.into(),)*
                    $($($may: from.$may.map(Into::into),)*)?
                }
            }
        }
    };
}
pub(super) use wire;

/// Seconds since 1970, with milliseconds as decimals.
#[derive(Debug)]
pub(super) struct EpochSeconds(Timestamp);

impl From<Timestamp> for EpochSeconds {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for EpochSeconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "exact for the next 280,000 years")]
        to.serialize_f64(self.0.timestamp_millis() as f64 / 1000.0)
    }
}

/// List of members of a response.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct List<T>(Vec<T>);

impl<T, U: Into<T>> From<Vec<U>> for List<T> {
    fn from(items: Vec<U>) -> Self {
        Self(items.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_three_decimals() {
        let at = Timestamp::from_timestamp_millis(1_680_027_126_436).unwrap();
        assert_eq!(serde_json::to_string(&EpochSeconds(at)).unwrap(), "1680027126.436");
    }
}
