//! Calls of a server that keeps the identity of patients from the model: tokens become values where a job or a record
//! needs them, and everything that leaves is searched once more.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use healthimaging::{Error, Result};
use healthimaging_redact::{Redacted, Redactor, Sent};
use healthimaging_workflows::{BackEnd, Plan};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::arguments::Arguments;
use crate::outcome::Outcome;

/// What a server keeps from the model, and how.
#[derive(Debug, Clone)]
pub(crate) struct Redaction {
    redactor: Arc<Redactor>,
    /// The back end that tools see.
    back_end: BackEnd,
}

/// The same for one call.
#[derive(Debug, Clone)]
pub(crate) struct CallRedaction {
    of_server: Redaction,
    sent: Arc<Sent>,
}

impl Redaction {
    pub(crate) fn new(redactor: Arc<Redactor>, back_end: &BackEnd) -> Self {
        let service = Redacted::new(Arc::clone(&redactor), Arc::clone(&back_end.service));
        let dicomweb = Redacted::new(Arc::clone(&redactor), Arc::clone(&back_end.dicomweb));
        let back_end = BackEnd { service: Arc::new(service), dicomweb: Arc::new(dicomweb) };
        Self { redactor, back_end }
    }

    pub(crate) fn back_end(&self) -> &BackEnd {
        &self.back_end
    }

    /// Begins a call: refuses values where tokens have to be, and opens the tokens of paths.
    pub(crate) fn begin(&self, arguments: &mut Arguments) -> Result<CallRedaction> {
        let mut given = Value::Object(std::mem::take(arguments));
        let sent = Arc::new(self.redactor.sent(&given));
        self.redactor.resolve(&mut given.clone())?;
        self.redactor.open_paths(&mut given);
        if let Value::Object(given) = given {
            *arguments = given;
        }
        Ok(CallRedaction { of_server: self.clone(), sent })
    }

    /// Returns an error without what identifies a patient.
    pub(crate) fn error(&self, error: &Error) -> Error {
        shown(error, &self.redactor.text(error.message(), &Sent::default()))
    }
}

/// Returns an error with another message.
fn shown(error: &Error, message: &str) -> Error {
    let mut shown = Error::new(error.kind(), message);
    if let Some(code) = error.code() {
        shown = shown.with_code(code);
    }
    if let Some(request_id) = error.request_id() {
        shown = shown.with_request_id(request_id);
    }
    match error.outage() {
        Some(outage) => shown.with_outage(outage),
        None => shown,
    }
}

impl CallRedaction {
    fn redactor(&self) -> &Redactor {
        &self.of_server.redactor
    }

    pub(crate) fn back_end(&self) -> &BackEnd {
        &self.of_server.back_end
    }

    /// Returns a message without what identifies a patient.
    pub(crate) fn text(&self, text: &str) -> String {
        self.redactor().text(text, &self.sent)
    }

    pub(crate) fn error(&self, error: &Error) -> Error {
        shown(error, &self.text(error.message()))
    }

    /// Returns arguments with values, for the audit log.
    pub(crate) fn recorded<'a>(&self, arguments: &'a Arguments) -> Cow<'a, Arguments> {
        let mut real = Value::Object(arguments.clone());
        match (self.redactor().resolve(&mut real), real) {
            (Ok(()), Value::Object(real)) => Cow::Owned(real),
            _ => Cow::Borrowed(arguments),
        }
    }

    /// Returns a plan with the values of the identifiers that records name.
    pub(crate) fn recorded_plan(&self, plan: &Plan) -> Result<Plan> {
        let real = |name, tokens: &BTreeSet<String>| {
            let open = |token: &String| match token.trim() {
                "" => Ok(String::new()),
                token => self.redactor().value(name, token),
            };
            tokens.iter().map(open).collect::<Result<BTreeSet<String>>>()
        };
        Ok(Plan {
            patient_ids: real("patient_id", &plan.patient_ids)?,
            study_instance_uids: real("study_instance_uid", &plan.study_instance_uids)?,
            ..plan.clone()
        })
    }

    /// Returns arguments, or what a job does, with values in place of tokens.
    pub(crate) fn with_values<T: DeserializeOwned>(&self, given: &impl Serialize) -> Result<T> {
        let lost = |cause| Error::internal("the request could not be read with its values", cause);
        let mut written = serde_json::to_value(given).map_err(lost)?;
        let criteria = match written.get_mut("criteria") {
            Some(Value::Object(criteria)) => Some(std::mem::take(criteria)),
            _ => None,
        };
        self.redactor().resolve(&mut written)?;
        if let Some(mut criteria) = criteria {
            self.redactor().resolve_criteria(&mut criteria)?;
            if let Some(to) = written.get_mut("criteria") {
                *to = Value::Object(criteria);
            }
        }
        serde_json::from_value(written).map_err(lost)
    }

    /// Returns the part of an image set that is copied, with values in place of tokens.
    pub(crate) fn copied(&self, copiable_attributes: &str) -> Result<String> {
        self.redactor().copied(copiable_attributes)
    }

    /// Searches what leaves the server once more.
    pub(crate) fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Answer(mut answer) => {
                self.members(&mut answer.structured);
                Outcome::Answer(answer)
            }
            // It was redacted where it was made, unless the user may read values.
            Outcome::Question { .. } => outcome,
            Outcome::NotAgreed { error, mut more } => {
                self.members(&mut more);
                Outcome::NotAgreed { error: self.error(&error), more }
            }
        }
    }

    fn members(&self, members: &mut Map<String, Value>) {
        self.redactor().scrub(members, &self.sent);
    }
}
