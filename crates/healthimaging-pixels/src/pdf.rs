//! PDF documents: their text and their pages as pictures.
//!
//! A document from outside is read where frames from outside are decoded.

use serde::{Deserialize, Serialize};

use crate::error::CodecError;

/// Whether this build reads PDF documents: the feature `pdf`.
pub const READS_PDF: bool = cfg!(feature = "pdf");

/// Longest side of the picture of a page, in pixels.
pub const LARGEST_PAGE: u32 = 2048;

/// Pages whose text is read at once.
pub const MOST_PAGES: u32 = 200;

/// Longest text of all pages that are read at once, in bytes.
pub const LONGEST_TEXT: usize = 1 << 20;

/// What is read of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PdfPart {
    /// The text of pages from this number on, from 1: at most [`MOST_PAGES`], and [`LONGEST_TEXT`] bytes.
    Text(u32),
    /// A page, from 1, as a picture with this longest side in pixels, at most [`LARGEST_PAGE`]; and its text.
    Page(u32, u32),
}

/// What was read of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PdfContent {
    /// Number of its pages.
    pub page_count: u32,
    /// Text of the pages that were read, in their order.
    pub texts: Vec<String>,
    /// The picture of the page.
    pub picture: Option<PdfPicture>,
}

/// The picture of a page on white.
#[derive(Clone, PartialEq, Eq)]
pub struct PdfPicture {
    /// Height in pixels.
    pub rows: u32,
    /// Width in pixels.
    pub columns: u32,
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

impl std::fmt::Debug for PdfPicture {
    /// Leaves the pixels out: they are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PdfPicture")
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Why a document could not be read; no message has text of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PdfError {
    /// It needs a password, or is encrypted in a way that is unknown.
    #[error("the PDF document is encrypted, and cannot be read without its password")]
    Encrypted,
    /// The feature `pdf` is off.
    #[error(
        "this build of the server does not read the pages of PDF documents (feature pdf); the document can be exported, \
         or retrieved by DICOMweb"
    )]
    Unsupported,
    /// It is no PDF document, or a damaged one.
    #[error("the document is damaged, or is not a PDF document")]
    Malformed,
    /// It has no such page.
    #[error("the PDF document has no such page; number of its pages: {0}")]
    NoSuchPage(u32),
    /// It was not read; no fault of the document is known.
    #[error("this server could not read the PDF document ({0})")]
    Failed(String),
}

impl From<CodecError> for PdfError {
    fn from(error: CodecError) -> Self {
        Self::Failed(match error {
            CodecError::TookTooLong(seconds) => format!("it took more than {seconds} seconds"),
            CodecError::Crashed => "the reader crashed, or needed too much memory".to_owned(),
            CodecError::ForbiddenCall => "its sandbox refused a system call".to_owned(),
            CodecError::NoDecoder(why) => format!("no reader could be started: {why}"),
            _ => "the reader failed".to_owned(),
        })
    }
}

impl From<PdfError> for healthimaging::Error {
    /// Keeps the message, and maps to the kind.
    fn from(error: PdfError) -> Self {
        use healthimaging::ErrorKind::{Internal, NotSupported, Validation};
        let kind = match &error {
            PdfError::Encrypted | PdfError::Unsupported => NotSupported,
            PdfError::Malformed | PdfError::NoSuchPage(_) => Validation,
            PdfError::Failed(_) => Internal,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

/// Reads a document in this process; a panic of the reader becomes an error. Blocks.
///
/// # Errors
/// As [`PdfError`].
pub fn read_pdf(data: &[u8], part: PdfPart) -> Result<PdfContent, PdfError> {
    #[cfg(feature = "pdf")]
    {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        catch_unwind(AssertUnwindSafe(|| crate::pdf_pages::read(data, part)))
            .unwrap_or_else(|_| Err(PdfError::from(CodecError::Crashed)))
    }
    #[cfg(not(feature = "pdf"))]
    {
        let _ = (data, part);
        Err(PdfError::Unsupported)
    }
}
