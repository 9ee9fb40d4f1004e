//! Checked identifiers: a value of such a type is well formed.
//!
//! Constraints are those of the service model `medical-imaging/2023-07-19`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Declares a checked string: its rule, its error, and its JSON schema.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:expr, $length:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                let length: std::ops::RangeInclusive<usize> = $length;
                let check: fn(&str) -> bool = $check;
                if length.contains(&text.chars().count()) && check(&text) {
                    Ok(Self(text))
                } else {
                    Err(refusal($what, &text, $pattern, &length))
                }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self, Error> {
                Self::try_from(text.to_owned())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": concat!("^", $pattern, "$") })
            }
        }
    };
}

/// Makes the error for a value that breaks a rule. The value may be patient data, so only its length is shown.
fn refusal(
    what: &str,
    text: &str,
    pattern: &str,
    length: &std::ops::RangeInclusive<usize>,
) -> Error {
    let (low, high) = (length.start(), length.end());
    let count = text.chars().count();
    if length.contains(&count) {
        Error::validation(format!("{what} must match the pattern {pattern}"))
    } else if low == high {
        Error::validation(format!("{what} must have {low} characters, but has {count}"))
    } else {
        Error::validation(format!("{what} must have {low} to {high} characters, but has {count}"))
    }
}

fn all(text: &str, allowed: fn(char) -> bool) -> bool {
    text.chars().all(allowed)
}

fn is_hex_id(text: &str) -> bool {
    all(text, |c| c.is_ascii_digit() || c.is_ascii_lowercase())
}

fn is_name(text: &str) -> bool {
    all(text, |c| c.is_ascii_alphanumeric() || "._/#-".contains(c))
}

checked_text!(
    /// Id of a data store: 32 lower-case letters and digits.
    DatastoreId, "datastore_id", "[0-9a-z]{32}", 32..=32, is_hex_id
);
checked_text!(
    /// Id of an image set: 32 lower-case letters and digits.
    ImageSetId, "image_set_id", "[0-9a-z]{32}", 32..=32, is_hex_id
);
checked_text!(
    /// Id of an image frame: 32 lower-case letters and digits.
    ImageFrameId, "imageFrameId", "[0-9a-z]{32}", 32..=32, is_hex_id
);
checked_text!(
    /// Id of an import or export job.
    JobId, "job_id", "[0-9a-z]{1,32}", 1..=32, is_hex_id
);
checked_text!(
    /// Version of an image set: a string of digits, `"1"` for the first.
    VersionId, "version_id", "[0-9]{1,10}", 1..=10, |t| all(t, |c| c.is_ascii_digit())
);
checked_text!(
    /// Idempotency token of a caller.
    ClientToken, "client_token", "[A-Za-z0-9._-]{1,64}", 1..=64,
    |t| all(t, |c| c.is_ascii_alphanumeric() || "._-".contains(c))
);
checked_text!(
    /// Name of a data store.
    DatastoreName, "datastore_name", "[A-Za-z0-9._/#-]{1,256}", 1..=256, is_name
);
checked_text!(
    /// Name of a job.
    JobName, "job_name", "[A-Za-z0-9._/#-]{1,64}", 1..=64, is_name
);
checked_text!(
    /// ARN of the IAM role that the service assumes to read and write S3.
    RoleArn, "data_access_role_arn", "arn:aws(-[^:]+)?:iam::[0-9]{12}:role/.+", 20..=2048, is_role_arn
);
checked_text!(
    /// ARN of a KMS key or alias.
    KmsKeyArn, "kms_key_arn", "arn:aws[a-zA-Z-]{0,16}:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+", 1..=512,
    is_kms_key_arn
);
checked_text!(
    /// ARN of the Lambda function that checks bearer tokens for DICOMweb.
    LambdaArn, "lambda_authorizer_arn",
    "arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:.+", 1..=512, is_lambda_arn
);
checked_text!(
    /// ARN of a data store or of an image set.
    ResourceArn, "resource_arn",
    "arn:aws[a-z-]*:medical-imaging:[a-z0-9-]+:[0-9]{12}:datastore/[0-9a-z]{32}(/imageset/[0-9a-z]{32})?",
    1..=1011, |t| parse_resource_arn(t).is_some()
);
checked_text!(
    /// The twelve digits of an AWS account.
    AccountId, "input_owner_account_id", "[0-9]{12}", 12..=12, |t| all(t, |c| c.is_ascii_digit())
);
checked_text!(
    /// Token of the next page; opaque.
    NextToken, "next_token", "[ -~]{1,8192}", 1..=8192, |t| all(t, |c| c.is_ascii_graphic() || c == ' ')
);
checked_text!(
    /// Key of a tag: 1 to 128 characters, not starting with `aws:`.
    TagKey, "tag key", "[a-zA-Z+-=._:/]{1,128}", 1..=128,
    |t| !t.starts_with("aws:") && all(t, |c| c.is_ascii_alphabetic() || ('+'..='=').contains(&c) || "._:/".contains(c))
);
checked_text!(
    /// Value of a tag: up to 256 characters.
    TagValue, "tag value", ".{0,256}", 0..=256, |_| true
);
checked_text!(
    /// A DICOM unique identifier, as a file holds it: up to 256 characters, none of them a control, and
    /// not `.` or `..`.
    ///
    /// The standard allows 64 digits and dots (`PS3.5 §9`). Stored files break that, and must be
    /// found, retrieved and exported, so a UID is not safe as the name of a file or a part
    /// of a URL: use [`path_segment`].
    Uid, "UID", r"[^\x00-\x1F\x7F]{1,256}", 1..=256,
    |t| !matches!(t.trim(), "" | "." | "..") && all(t, |c| !c.is_control())
);
checked_text!(
    /// Location of objects: `s3://bucket/prefix`, or `file:///folder` if the back end can read folders.
    ObjectUri, "S3 URI", "(s3://[a-z0-9][.a-z0-9-]{1,61}[a-z0-9](/.*)?|file:///.*)", 1..=1024, is_object_uri
);

/// Returns 32 random hexadecimal digits, the form of new ids.
pub fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("the random number generator failed", error))?;
    Ok(hex::encode(bytes))
}

macro_rules! random {
    ($($name:ident),*) => {
        $(impl $name {
            /// Makes a new id.
            pub fn random() -> Result<Self> {
                random_hex().map(Self)
            }
        })*
    };
}
random!(DatastoreId, ImageSetId, ImageFrameId, JobId);

/// Returns text as one segment of a path or URL: all but letters, digits, `-`, `_`, `.` and `~` is
/// percent-encoded in UTF-8 (RFC 3986 §2.1), and so are the dots of `.` and `..`.
///
/// ```
/// use healthimaging::path_segment;
/// assert_eq!(path_segment("1.2.840"), "1.2.840");
/// assert_eq!(path_segment("../a b"), "..%2Fa%20b");
/// assert_eq!(path_segment(".."), "%2E%2E");
/// ```
#[must_use]
pub fn path_segment(text: &str) -> Cow<'_, str> {
    match text {
        "." => Cow::Borrowed("%2E"),
        ".." => Cow::Borrowed("%2E%2E"),
        text => utf8_percent_encode(text, SEGMENT).into(),
    }
}

/// All but the unreserved characters (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Uid {
    /// Returns the UID as one segment of a path or URL.
    #[must_use]
    pub fn path_segment(&self) -> Cow<'_, str> {
        path_segment(&self.0)
    }
}

impl VersionId {
    /// Returns the version as a number.
    #[must_use]
    pub fn number(&self) -> u64 {
        // Ten digits always fit.
        self.0.parse().unwrap_or(u64::MAX)
    }
}

impl From<u32> for VersionId {
    fn from(number: u32) -> Self {
        Self(number.to_string())
    }
}

/// The resource of a [`ResourceArn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A data store.
    Datastore(DatastoreId),
    /// An image set.
    ImageSet(DatastoreId, ImageSetId),
}

impl ResourceArn {
    /// Returns the resource; `None` only for an ARN that cannot exist.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        parse_resource_arn(&self.0)
    }
}

fn parse_resource_arn(text: &str) -> Option<Resource> {
    let mut parts = text.splitn(6, ':');
    let scheme = parts.next()? == "arn" && parts.next()?.starts_with("aws");
    let service = parts.next()? == "medical-imaging";
    let region = parts.next()?;
    let account = parts.next()?;
    let mut path = parts.next()?.split('/');
    let well_formed = scheme
        && service
        && is_region(region)
        && account.len() == 12
        && all(account, |c| c.is_ascii_digit())
        && path.next()? == "datastore";
    if !well_formed {
        return None;
    }
    let datastore = DatastoreId::try_from(path.next()?).ok()?;
    match (path.next(), path.next(), path.next()) {
        (None, None, None) => Some(Resource::Datastore(datastore)),
        (Some("imageset"), Some(id), None) => {
            Some(Resource::ImageSet(datastore, ImageSetId::try_from(id).ok()?))
        }
        _ => None,
    }
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && all(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Checks the name of an AWS region. `source` is what set it: a flag, a variable, or a file and line.
///
/// # Errors
/// `Validation`, which names the source.
pub fn check_region(region: &str, source: &str) -> Result<()> {
    if is_region(region) {
        return Ok(());
    }
    Err(Error::validation(format!(
        "{source}: `{region}` is not an AWS region; a region has lower-case letters, digits and hyphens, such as us-east-1"
    )))
}

/// The six colon-separated parts of an ARN of `service`, account and resource checked.
fn arn_resource<'a>(text: &'a str, service: &str) -> Option<(&'a str, &'a str)> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [scheme, partition, found, region, account, resource] = parts[..] else {
        return None;
    };
    let well_formed = scheme == "arn"
        && (partition == "aws" || partition.starts_with("aws-"))
        && found == service
        && account.len() == 12
        && all(account, |c| c.is_ascii_digit());
    well_formed.then_some((region, resource))
}

fn is_role_arn(text: &str) -> bool {
    arn_resource(text, "iam").is_some_and(|(region, resource)| {
        region.is_empty() && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
    })
}

fn is_kms_key_arn(text: &str) -> bool {
    arn_resource(text, "kms").is_some_and(|(region, resource)| {
        let name = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"));
        !region.is_empty() && name.is_some_and(|name| !name.is_empty())
    })
}

fn is_lambda_arn(text: &str) -> bool {
    arn_resource(text, "lambda").is_some_and(|(region, resource)| {
        !region.is_empty()
            && resource.strip_prefix("function:").is_some_and(|name| !name.is_empty())
    })
}

fn is_object_uri(text: &str) -> bool {
    if let Some(path) = text.strip_prefix("file://") {
        return path.starts_with('/');
    }
    let Some(rest) = text.strip_prefix("s3://") else {
        return false;
    };
    let bucket = rest.split('/').next().unwrap_or_default();
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&bucket.len())
        && bucket.starts_with(edge)
        && bucket.ends_with(edge)
        && all(bucket, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-')
}
