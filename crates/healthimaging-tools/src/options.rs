//! How a server behaves.

use std::fmt;
use std::sync::Arc;

use healthimaging::{Effect, RedactionLevel, Restrictor, Result};
use healthimaging_audit::AuditLog;
use healthimaging_pixels::Decoder;
use healthimaging_redact::Redactor;

use crate::confirm::Confirm;
use crate::policy::Policy;
use crate::selection::Selection;

/// Which tools a server offers, by their effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offer {
    /// All.
    #[default]
    All,
    /// All but those that destroy.
    NoDelete,
    /// Only those that read.
    ReadOnly,
}

impl From<Effect> for Offer {
    /// Returns the offer of tools up to an effect.
    fn from(most: Effect) -> Self {
        match most {
            Effect::Reads => Self::ReadOnly,
            Effect::Writes => Self::NoDelete,
            Effect::Destroys => Self::All,
        }
    }
}

impl Offer {
    /// Returns what both include.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::ReadOnly, _) | (_, Self::ReadOnly) => Self::ReadOnly,
            (Self::NoDelete, _) | (_, Self::NoDelete) => Self::NoDelete,
            (Self::All, Self::All) => Self::All,
        }
    }

    pub(crate) fn includes(self, effect: Effect) -> bool {
        match self {
            Self::All => true,
            Self::NoDelete => effect != Effect::Destroys,
            Self::ReadOnly => effect == Effect::Reads,
        }
    }
}

/// Where the data of an answer goes. Some clients give the model only the text content, some only the
/// structured content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResultForm {
    /// JSON as text, and the same as structured content.
    #[default]
    Both,
    /// JSON as text; tools have no output schema.
    Text,
    /// Structured content, with a sentence as text.
    Structured,
}

/// How much the list of tools states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schemas {
    /// The schemas of arguments and of answers.
    #[default]
    Full,
    /// No schemas of answers.
    Lean,
}

/// What `get_image_frame` returns unless the call names a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameFormat {
    /// A PNG, which a model can look at.
    #[default]
    Png,
    /// The bytes as they are stored, in base64, for programs.
    Stored,
}

/// Where a person looks at a series outside of the chat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ViewerAddress {
    /// Nowhere.
    #[default]
    None,
    /// In the page of this process, by its base URL with `/` at its end.
    Served(String),
    /// In the page of `serve` once that is started, by its base URL with `/` at its end.
    IfServed(String),
    /// In any DICOMweb viewer, by the base URL of DICOMweb with `/` at its end.
    DicomWeb(String),
}

/// How a server behaves.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Which effects its tools may have.
    pub offer: Offer,
    /// Which of these tools it offers.
    pub selection: Selection,
    /// How much the list of tools states.
    pub schemas: Schemas,
    /// When it acts on a plan.
    pub confirm: Confirm,
    /// Where the data of an answer goes.
    pub result: ResultForm,
    /// Which back end it uses and why, in a sentence for the model; no secrets.
    pub backend: String,
    /// Whether image sets are kept by the embedded store, and not by AWS.
    pub is_embedded: bool,
    /// Decoder of frames for pictures.
    pub decoder: Decoder,
    /// Format of frames when a call names none.
    pub frame_format: FrameFormat,
    /// Where a person looks at a series if the client shows no MCP Apps.
    pub viewer: ViewerAddress,
    /// Where its calls are recorded.
    pub audit: AuditLog,
    /// What is forbidden besides.
    pub policy: Policy,
    /// Makes the back end of callers with limited rights; without it, that of the server is restricted.
    pub restrictor: Option<Restrictor>,
    /// Keeps the identity of patients from the model.
    pub redactor: Option<Arc<Redactor>>,
    /// Whether questions to the user have the values that the model does not see.
    pub consent_shows_identity: bool,
    /// Keeps it from the callers whose grant asks for that; without it, their requests are refused.
    pub redactor_of_grants: Option<RedactorSource>,
}

/// Makes a redactor of a level when the first caller needs it: its key is made with it.
#[derive(Clone)]
pub struct RedactorSource(Arc<MakeRedactor>);

type MakeRedactor = dyn Fn(RedactionLevel) -> Result<Arc<Redactor>> + Send + Sync;

impl RedactorSource {
    /// Makes one of a function, which is called for each request that needs it.
    pub fn new(
        make: impl Fn(RedactionLevel) -> Result<Arc<Redactor>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    pub(crate) fn redactor(&self, level: RedactionLevel) -> Result<Arc<Redactor>> {
        (self.0)(level)
    }
}

impl fmt::Debug for RedactorSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactorSource").finish_non_exhaustive()
    }
}
