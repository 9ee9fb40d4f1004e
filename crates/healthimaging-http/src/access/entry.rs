//! The entries of an access file.

use std::fmt;

use chrono::{DateTime, Utc};
use healthimaging::{
    DatastoreId, Effect, Error, Grant, Limit, RedactionLevel, Result, Rights, is_datastore_name,
    read_json,
};
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::keys::parse_key;
use crate::token::{check_token, digest};

/// Longest name of a credential in characters.
const LONGEST_NAME: usize = 64;

/// A credential: who it is, by what, and what it grants.
#[derive(Clone, PartialEq)]
pub(super) struct Credential {
    pub(super) name: String,
    pub(super) proof: Proof,
    scope: Effect,
    datastores: Option<Vec<String>>,
    redaction: Option<RedactionLevel>,
    expires: Option<DateTime<Utc>>,
}

/// What a caller presents.
#[derive(Clone, PartialEq)]
pub(super) enum Proof {
    /// The token with this SHA-256.
    Token([u8; 32]),
    /// A signature by this access key.
    Key { id: String, secret: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    credentials: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    token: Option<String>,
    token_sha256: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    scope: Scope,
    datastores: Option<Vec<String>>,
    #[serde(default)]
    redact: Redact,
    expires: Option<DateTime<Utc>>,
}

/// `false`, `true` or `"strict"`.
#[derive(Clone, Copy, Default)]
struct Redact(Option<RedactionLevel>);

impl<'de> Deserialize<'de> for Redact {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        source.deserialize_any(RedactVisitor)
    }
}

struct RedactVisitor;

impl Visitor<'_> for RedactVisitor {
    type Value = Redact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or \"strict\"")
    }

    fn visit_bool<E: de::Error>(self, redacts: bool) -> std::result::Result<Redact, E> {
        Ok(Redact(redacts.then_some(RedactionLevel::On)))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> std::result::Result<Redact, E> {
        match word {
            "strict" => Ok(Redact(Some(RedactionLevel::Strict))),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    Read,
    Write,
    Destroy,
}

impl Credential {
    /// Returns what it grants.
    pub(super) fn grant(&self) -> Grant {
        let Self { name, scope, datastores, redaction, expires, .. } = self;
        let rights = match (scope, datastores) {
            (Effect::Destroys, None) => Rights::unlimited(),
            (_, datastores) => {
                let refusal = format!(
                    "the scope of the credential {name} is {}, which does not include this request",
                    word(*scope)
                );
                let limit = Limit::new(*scope, refusal);
                Rights::unlimited().and(match datastores {
                    Some(named) => limit.only(named.iter().cloned()),
                    None => limit,
                })
            }
        };
        Grant::new(name.clone(), rights, expires.map(Into::into)).redacting(*redaction)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("name", &self.name)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The word of an access file for an effect.
pub(super) const fn word(scope: Effect) -> &'static str {
    match scope {
        Effect::Reads => "read",
        Effect::Writes => "write",
        Effect::Destroys => "destroy",
    }
}

/// Parses an access file. Errors name the entry by its name, and repeat no secret.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Credential>> {
    let Document { credentials } = read_json("access file", text)?;
    credentials.into_iter().map(Entry::checked).collect()
}

impl Entry {
    fn checked(self) -> Result<Credential> {
        let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        let is_name = (1..=LONGEST_NAME).contains(&self.name.len())
            && self.name.bytes().all(is_in_name)
            && self.name != "token";
        if !is_name {
            return Err(Error::validation(format!(
                "invalid access file: a name has 1 to {LONGEST_NAME} letters, digits and ._@- and is not `token`"
            )));
        }
        let name = self.name.clone();
        self.read().map_err(|why| {
            Error::validation(format!("invalid access file: credential {name}: {why}"))
        })
    }

    fn read(self) -> std::result::Result<Credential, String> {
        let proof =
            match (&self.token, &self.token_sha256, &self.access_key_id, &self.secret_access_key) {
                (Some(token), None, None, None) => {
                    check_token(token).map_err(|error| error.message().to_owned())?;
                    Proof::Token(digest(token))
                }
                (None, Some(hash), None, None) => {
                    let mut bytes = [0; 32];
                    hex::decode_to_slice(hash, &mut bytes)
                        .map_err(|_| "token_sha256 must have 64 hexadecimal digits")?;
                    Proof::Token(bytes)
                }
                (None, None, Some(id), Some(secret)) => {
                    let (id, secret) =
                        parse_key(id, secret).map_err(|error| error.message().to_owned())?;
                    Proof::Key { id, secret }
                }
                _ => {
                    return Err(
                    "it needs either token, or token_sha256, or access_key_id and secret_access_key"
                        .to_owned(),
                );
                }
            };
        if let Some(named) = &self.datastores {
            let is_fine = |one: &String| {
                DatastoreId::try_from(one.as_str()).is_ok() || is_datastore_name(one)
            };
            if named.is_empty() || !named.iter().all(is_fine) {
                return Err("datastores lists at least one ID or name of a data store".to_owned());
            }
        }
        if self.redact.0.is_some() && matches!(proof, Proof::Key { .. }) {
            return Err(
                "redact needs a token: signed requests are for the AWS API and DICOMweb, which \
                 a credential with redact does not reach"
                    .to_owned(),
            );
        }
        Ok(Credential {
            name: self.name,
            proof,
            scope: match self.scope {
                Scope::Read => Effect::Reads,
                Scope::Write => Effect::Writes,
                Scope::Destroy => Effect::Destroys,
            },
            datastores: self.datastores,
            redaction: self.redact.0,
            expires: self.expires,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(entry: &Value) -> Result<Vec<Credential>> {
        parse(json!({ "credentials": [entry] }).to_string().as_bytes())
    }

    #[test]
    fn entries_are_checked_and_errors_repeat_no_secret() {
        let token = "a-secret-token-of-the-test";
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for fine in [
            json!({ "name": "a", "token": token, "scope": "read" }),
            json!({ "name": "a", "token_sha256": hash, "scope": "write", "datastores": ["main"] }),
            json!({ "name": "a", "token": token, "scope": "destroy", "redact": true }),
            json!({ "name": "a", "token": token, "scope": "destroy", "redact": "strict" }),
            json!({ "name": "a.b@c-d_1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": token,
                "scope": "destroy", "expires": "2030-01-01T00:00:00+01:00", "redact": false }),
        ] {
            assert!(parsed(&fine).is_ok(), "{fine}");
        }
        for wrong in [
            json!({ "name": "", "token": token, "scope": "read" }),
            json!({ "name": "token", "token": token, "scope": "read" }),
            json!({ "name": "two words", "token": token, "scope": "read" }),
            json!({ "name": "a", "scope": "read" }),
            json!({ "name": "a", "token": token }),
            json!({ "name": "a", "token": token, "scope": "admin" }),
            json!({ "name": "a", "token": token, "scope": "read", "datastore": "main" }),
            json!({ "name": "a", "token": token, "scope": "read", "datastores": [] }),
            json!({ "name": "a", "token": token, "scope": "read", "datastores": ["a b"] }),
            json!({ "name": "a", "token": token, "scope": "read", "redact": "on" }),
            json!({ "name": "a", "token": token, "scope": "read", "redact": token }),
            json!({ "name": "a", "token": token, "scope": "read", "redact": null }),
            json!({ "name": "a", "token": token, "scope": "read", "redact": 1 }),
            json!({ "name": "a", "access_key_id": "AKID", "secret_access_key": token, "scope": "read",
                "redact": true }),
            json!({ "name": "a", "access_key_id": "AKIDEXAMPLE", "secret_access_key": token,
                "scope": "read", "redact": "strict" }),
            json!({ "name": "a", "token": token, "scope": "read", "expires": "tomorrow" }),
            json!({ "name": "a", "token": token, "token_sha256": hash, "scope": "read" }),
            json!({ "name": "a", "token": "short", "scope": "read" }),
            json!({ "name": "a", "token_sha256": token, "scope": "read" }),
            json!({ "name": "a", "access_key_id": "AKID", "scope": "read" }),
            json!({ "name": "a", "access_key_id": "AKID", "secret_access_key": "short", "scope": "read" }),
            json!({ "name": "a", "access_key_id": "AK:ID", "secret_access_key": token, "scope": "read" }),
            json!([]),
        ] {
            let error = parsed(&wrong).unwrap_err();
            assert!(error.message().contains("access file"), "{error}");
            assert!(!error.message().contains(token), "{error}");
        }
        for wrong in ["", "[]", "{}", "{\"credentials\": {}}", "{\"credentials\": [], \"a\": 1}"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_entry_redacts_as_it_says() {
        for (redact, level) in [
            (json!(false), None),
            (json!(true), Some(RedactionLevel::On)),
            (json!("strict"), Some(RedactionLevel::Strict)),
        ] {
            let entry = json!({ "name": "a", "token": "0123456789abcdef", "scope": "read", "redact": redact });
            assert_eq!(parsed(&entry).unwrap()[0].grant().redaction(), level, "{entry}");
        }
        let entry =
            json!({ "name": "a", "token": "0123456789abcdef", "scope": "read", "redact": "full" });
        let error = parsed(&entry).unwrap_err();
        assert!(error.message().contains("expected true, false or \"strict\""), "{error}");
    }

    #[test]
    fn each_scope_includes_the_smaller_ones() {
        for (scope, most) in
            [("read", Effect::Reads), ("write", Effect::Writes), ("destroy", Effect::Destroys)]
        {
            let entry = json!({ "name": "a", "token": "0123456789abcdef", "scope": scope });
            let grant = parsed(&entry).unwrap()[0].grant();
            for effect in [Effect::Reads, Effect::Writes, Effect::Destroys] {
                assert_eq!(grant.rights().check_effect(effect).is_ok(), effect <= most, "{scope}");
            }
        }
    }
}
