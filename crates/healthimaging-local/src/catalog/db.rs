//! The database under names of the catalog: what uses the catalog names no library.

use healthimaging_jobs_sqlite::is_full;
use rusqlite::Error::{
    FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
};
use rusqlite::ErrorCode;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput};

use crate::clock::Millis;

pub(crate) use rusqlite::types::{Value, ValueRef};
pub(crate) use rusqlite::{Error, OptionalExtension, Result, Row, ToSql, params_from_iter};

/// One moment of the catalog, to read from.
pub(crate) type Reader = rusqlite::Connection;
/// A write transaction.
pub(crate) type Tx<'a> = rusqlite::Transaction<'a>;

/// Kind of a failure of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk is full.
    Full,
    /// The file cannot be written to.
    ReadOnly,
    /// Another process holds the lock for too long.
    Busy,
    /// The file is damaged. A sector that cannot be read is reported as such.
    Damaged,
    /// The file cannot be opened, or a call on it failed.
    Unusable,
    /// Anything else.
    Other,
}

impl Fault {
    pub(crate) fn of(error: &Error) -> Self {
        match error.sqlite_error_code() {
            Some(_) if is_full(error) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Unusable,
            None if matches!(
                error,
                FromSqlConversionFailure(..)
                    | IntegralValueOutOfRange(..)
                    | InvalidColumnType(..)
                    | Utf8Error(..)
            ) =>
            {
                Self::Damaged
            }
            _ => Self::Other,
        }
    }
}

/// The same error once more, for one more of those that it concerns.
pub(super) fn again(error: &Error) -> Error {
    let failed = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR);
    match error {
        Error::SqliteFailure(code, message) => Error::SqliteFailure(*code, message.clone()),
        other => Error::SqliteFailure(failed, Some(other.to_string())),
    }
}

impl ToSql for Millis {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}
