//! The error type: a message for the caller, and the cause for the log.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The result of every operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause, which only the log shows.
pub type Source = Box<dyn StdError + Send + Sync>;

/// What a caller can do about an error; mirrors the exceptions of the service, plus [`ErrorKind::NotSupported`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A constraint on the input is not met (`ValidationException`).
    Validation,
    /// The request is malformed (`BadRequestException`).
    BadRequest,
    /// The content is not available in the requested form (`NotAcceptableException`).
    NotAcceptable,
    /// This back end does not support the call.
    NotSupported,
    /// The data store, job, image set, version, frame or instance does not exist (`ResourceNotFoundException`).
    NotFound,
    /// The caller lacks the permission (`AccessDeniedException`).
    AccessDenied,
    /// No usable credentials were found, or they were rejected.
    Credentials,
    /// The resource's state does not allow it now: locked, stale version, not empty (`ConflictException`).
    Conflict,
    /// The rate limit was exceeded; retry later (`ThrottlingException`).
    Throttled,
    /// A quota would be exceeded (`ServiceQuotaExceededException`).
    QuotaExceeded,
    /// A fault of the service (`InternalServerException`).
    Service,
    /// A fault of this program or of the machine it runs on.
    Internal,
}

/// The five error types of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicType {
    /// The input has to change.
    ValidationError,
    /// The resource does not exist.
    NotFound,
    /// Credentials or permissions are missing.
    AuthError,
    /// The service rejected the call or failed; a retry may help.
    ServiceError,
    /// This server failed.
    ServerError,
}

impl PublicType {
    /// Returns the word on the wire, such as `validation_error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidationError => "validation_error",
            Self::NotFound => "not_found",
            Self::AuthError => "auth_error",
            Self::ServiceError => "service_error",
            Self::ServerError => "server_error",
        }
    }
}

impl ErrorKind {
    /// Returns the type that tools show for this kind.
    #[must_use]
    pub const fn public_type(self) -> PublicType {
        match self {
            Self::Validation | Self::BadRequest | Self::NotAcceptable | Self::NotSupported => {
                PublicType::ValidationError
            }
            Self::NotFound => PublicType::NotFound,
            Self::AccessDenied | Self::Credentials => PublicType::AuthError,
            Self::Conflict | Self::Throttled | Self::QuotaExceeded | Self::Service => {
                PublicType::ServiceError
            }
            Self::Internal => PublicType::ServerError,
        }
    }
}

/// Why the service behind a back end gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// It did not respond in time.
    TimedOut,
    /// It reported that it is temporarily unavailable, and after which time to try again.
    Unavailable(Option<Duration>),
}

/// An error of any operation.
///
/// Rely on [`Error::kind`], not on the text. The message is for the caller: what is wrong and
/// what to do, and holds no patient data. The source is for the log.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Source>,
    code: Option<String>,
    request_id: Option<String>,
    outage: Option<Outage>,
}

impl Error {
    /// Makes an error; `message` is what is wrong and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            code: None,
            request_id: None,
            outage: None,
        }))
    }

    /// Makes an error of kind `Validation`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Validation, message)
    }

    /// The resource does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The data store does not exist, or not for the caller.
    #[must_use]
    pub fn no_datastore() -> Self {
        Self::not_found("there is no data store with this datastore_id")
    }

    /// Makes an error of kind `Conflict`.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Makes an error of kind `NotSupported`.
    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotSupported, message)
    }

    /// Makes an error of kind `Internal`; `source` is for the log.
    pub fn internal(message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::new(ErrorKind::Internal, message).with_source(source)
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the service's name of the error, such as `ConflictException`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the request ID of the service.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.request_id = Some(request_id.into());
        self
    }

    /// Adds why the service gave no answer.
    #[must_use]
    pub fn with_outage(mut self, outage: Outage) -> Self {
        self.0.outage = Some(outage);
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the message: what is wrong and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the service's name of the error, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the request ID of the service, if it gave one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns why the service gave no answer, if that is known.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        self.0.outage
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// For the log: one line with the messages of all causes, without the internals of libraries.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, code, request_id, .. } = &*self.0;
        let mut line = format!("{kind:?}: {message}");
        for (name, value) in [("code", code), ("request id", request_id)] {
            if let Some(value) = value {
                write!(line, " ({name} {value})")?;
            }
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat the message of the cause in their own.
            if !line.contains(&text) {
                write!(line, "; cause: {text}")?;
            }
            cause = error.source();
        }
        f.write_str(&line)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_every_cause_once() {
        let cause = Error::not_found("no such bucket").with_code("NoSuchBucket");
        let middle = std::io::Error::other(Error::validation("listing: no such bucket"));
        let error = Error::internal("the import failed", middle).with_request_id("1");
        assert_eq!(
            format!("{error:?}"),
            "Internal: the import failed (request id 1); cause: listing: no such bucket"
        );
        let error = Error::internal("the import failed", cause);
        assert_eq!(format!("{error:?}"), "Internal: the import failed; cause: no such bucket");
    }
}
