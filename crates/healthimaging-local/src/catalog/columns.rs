//! Enumerations in columns: the service's words.

use std::str::FromStr;

use super::db::Row;
use crate::error::{Result, StoreError};

/// Reads a column that holds a word of the service.
pub(crate) fn word<T: FromStr>(row: &Row<'_>, column: &str) -> Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| StoreError::Damaged(format!("the catalog holds an unknown {column}")))
}

/// Reads a column that holds a checked text of the contract.
pub(crate) fn checked<T: TryFrom<String>>(row: &Row<'_>, column: &str) -> Result<T> {
    let text: String = row.get(column)?;
    T::try_from(text)
        .map_err(|_| StoreError::Damaged(format!("the catalog holds a malformed {column}")))
}

/// Reads a column that may hold a checked text of the contract.
pub(crate) fn checked_option<T: TryFrom<String>>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(T::try_from)
        .transpose()
        .map_err(|_| StoreError::Damaged(format!("the catalog holds a malformed {column}")))
}
