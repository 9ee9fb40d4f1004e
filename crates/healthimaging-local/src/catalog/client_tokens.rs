//! Idempotency tokens: a repeated request gets the first response.

use chrono::TimeDelta;
use healthimaging::{ClientToken, Error};
use sha2::{Digest, Sha256};

use super::db::{OptionalExtension, Tx};
use crate::clock::Millis;
use crate::error::Result;

/// How long a token is kept. AWS does not document its time.
pub(crate) const LIFE: TimeDelta = TimeDelta::hours(24);

/// A request that may be a repetition.
#[derive(Debug)]
pub(crate) struct Repeat {
    operation: &'static str,
    scope: String,
    token: Option<ClientToken>,
    fingerprint: Vec<u8>,
}

impl Repeat {
    /// A request of `operation` within `scope`, whose other parameters are `parameters`.
    pub(crate) fn new(
        operation: &'static str,
        scope: &str,
        token: Option<&ClientToken>,
        parameters: &serde_json::Value,
    ) -> Self {
        Self {
            operation,
            scope: scope.to_owned(),
            token: token.cloned(),
            fingerprint: Sha256::digest(parameters.to_string()).to_vec(),
        }
    }
}

/// The result of an earlier request with the same token; other parameters are a `Conflict`.
pub(crate) fn earlier(tx: &Tx<'_>, repeat: &Repeat, at: Millis) -> Result<Option<String>> {
    let Some(token) = &repeat.token else {
        return Ok(None);
    };
    let known: Option<(Vec<u8>, String)> = tx
        .query_row(
            "SELECT fingerprint, result FROM client_token
             WHERE operation = ?1 AND scope = ?2 AND token = ?3 AND created_at > ?4",
            (repeat.operation, &repeat.scope, token.as_str(), at.minus(LIFE)),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match known {
        None => Ok(None),
        Some((fingerprint, result)) if fingerprint == repeat.fingerprint => Ok(Some(result)),
        Some(_) => {
            Err(Error::conflict("this client_token was used with other parameters; use a new one")
                .into())
        }
    }
}

/// Records the result of a request.
pub(crate) fn record(tx: &Tx<'_>, repeat: &Repeat, result: &str, at: Millis) -> Result<()> {
    if let Some(token) = &repeat.token {
        tx.execute(
            "INSERT OR REPLACE INTO client_token
                 (operation, scope, token, fingerprint, result, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (repeat.operation, &repeat.scope, token.as_str(), &repeat.fingerprint, result, at),
        )?;
    }
    Ok(())
}
