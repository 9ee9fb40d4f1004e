//! The outcome of a file, in the words of the import output of the service.

use healthimaging::{Error, ErrorKind, ImageSetId};
use healthimaging_dicom::{FrameError, ReadError, ReadWarning};
use serde::{Deserialize, Serialize};

use super::recognize::FileKind;
use crate::error::StoreError;

/// The outcome of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It is in an image set.
    Imported(Imported),
    /// It is not.
    Refused(Refusal),
}

/// Where a file went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Imported {
    pub(crate) image_set: ImageSetId,
    pub(crate) version: u32,
    pub(crate) is_primary: bool,
    pub(crate) warnings: Vec<Warning>,
}

/// Why a file was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// The service's exception.
    pub(crate) exception: String,
    /// In words without patient data.
    pub(crate) message: String,
    /// What the file is, where it is positively no DICOM instance; absent in rows of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recognized: Option<FileKind>,
}

const SERVER_FAULT: &str = "InternalServerException";
const DENIED: &str = "AccessDeniedException";

impl Refusal {
    fn new(exception: &str, message: impl Into<String>) -> Self {
        Self { exception: exception.to_owned(), message: message.into(), recognized: None }
    }

    /// The file is something else than a DICOM instance, and nothing is wrong with that.
    pub(crate) fn recognized(kind: FileKind) -> Self {
        Self { recognized: Some(kind), ..Self::invalid(kind.message()) }
    }

    /// The same for a file that a DICOMDIR names, which makes it an instance that is missing.
    pub(crate) fn of_named_file(self) -> Self {
        match self.recognized {
            Some(kind) => Self::invalid(format!(
                "a DICOMDIR names this file, and it is a {} instead of a DICOM instance",
                kind.noun()
            )),
            None => self,
        }
    }

    /// The file itself is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// The file may be right; this program or its machine failed.
    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::new(SERVER_FAULT, message)
    }

    /// Whether access to it was denied, or credentials were missing.
    pub(crate) fn is_denied(&self) -> bool {
        self.exception == DENIED
    }

    /// Whether the file is not to blame.
    pub(crate) fn is_fault(&self) -> bool {
        self.exception == SERVER_FAULT
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(_) => Self::fault(error.message()),
            _ => Self::invalid(error.message()),
        }
    }
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(_) => Self::fault(error.to_string()),
            _ => Self::invalid(error.to_string()),
        }
    }
}

/// For objects that cannot be opened, and what an override refuses.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let exception = match error.kind() {
            ErrorKind::NotFound => "ResourceNotFoundException",
            ErrorKind::AccessDenied | ErrorKind::Credentials => DENIED,
            ErrorKind::Validation => "ValidationException",
            _ => SERVER_FAULT,
        };
        Self::new(exception, error.message())
    }
}

/// Why a file has no image: its own fault, or one that stops the whole job.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This file only.
    File(Refusal),
    /// The store failed: disk full, catalog unusable.
    Store(StoreError),
}

impl<T: Into<Refusal>> From<T> for Failure {
    fn from(error: T) -> Self {
        Self::File(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A warning of the import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Warning {
    pub(crate) reason: Reason,
    /// In words without patient data.
    pub(crate) message: String,
}

/// The service's warning reasons that this store gives, with the numbers that the service's table prints in
/// decimal; for the last three that is not their hexadecimal B201, B202 and BFFF. The names are the words in
/// `warning.ndjson`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u16)]
pub(crate) enum Reason {
    CoercionOfDataElements = 45056,
    ElementsDiscarded = 45062,
    SopClassDataMismatch = 45063,
    TranscodingException = 45312,
    FramesExtractionFailure = 45328,
    FrameNumberMismatch = 45329,
    InvalidOffsetTable = 45330,
    UnsupportedTransferSyntax = 45344,
    InvalidUidFormat = 45570,
    InvalidDicomValueLength = 45571,
    Other = 47513,
}

impl Reason {
    const ALL: [Self; 11] = [
        Self::CoercionOfDataElements,
        Self::ElementsDiscarded,
        Self::SopClassDataMismatch,
        Self::TranscodingException,
        Self::FramesExtractionFailure,
        Self::FrameNumberMismatch,
        Self::InvalidOffsetTable,
        Self::UnsupportedTransferSyntax,
        Self::InvalidUidFormat,
        Self::InvalidDicomValueLength,
        Self::Other,
    ];

    /// The number of the reason.
    pub(crate) const fn code(self) -> u16 {
        self as u16
    }

    /// The reason with a code.
    pub(crate) fn of_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Whether it is about the pixels, which makes it the one that `WarningReason` shows.
    const fn is_about_pixels(self) -> bool {
        matches!(self.code(), 45312..=45344)
    }
}

impl Warning {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The warning that an oddity of the file amounts to, if any.
    pub(crate) fn of_reading(odd: &ReadWarning) -> Option<Self> {
        let reason = Reason::of_code(odd.warning_code()?)?;
        Some(Self::new(reason, odd.to_string()))
    }

    /// The one code of several that `WarningReason` (0008,1196) shows.
    pub(crate) fn shown(warnings: &[Self]) -> Option<u16> {
        let pixels = warnings.iter().find(|warning| warning.reason.is_about_pixels());
        pixels.or(warnings.first()).map(|warning| warning.reason.code())
    }
}
