//! Asking the user of a client: by a request of the server, or by an answer that the client completes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ElicitRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationCapability, ElicitationSchema, InputRequest, InputRequests,
    InputRequiredResult,
};
use rmcp::service::{Peer, RequestContext};
use serde::Deserialize;
use serde_json::{Value, json};

use healthimaging::{Error, Result};

use crate::confirm::{Ask, Consent, Round, UserReply};
use crate::protocol::is_modern;

/// Name of the question in a round.
const AGREEMENT: &str = "agreement";

/// How long a call waits for the reply of the user.
const REPLY_TIMEOUT: Duration = Duration::from_mins(10);

/// Returns how the user of a request can be asked.
pub(crate) fn consent(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Consent {
    let capabilities = context.client_capabilities();
    let elicitation = capabilities.as_ref().and_then(|can| can.elicitation.as_ref());
    if !elicitation.is_some_and(has_forms) {
        return Consent::Unavailable;
    }
    if !is_modern(context) {
        return Consent::Ask(Arc::new(Elicitation(context.peer.clone())));
    }
    let reply = request.input_responses.as_ref().and_then(|replies| replies.get(AGREEMENT));
    let reply = reply.and_then(|reply| ElicitResult::deserialize(reply).ok());
    // Without a valid reply the question is asked again.
    Consent::Rounds(
        reply
            .zip(request.request_state.clone())
            .map(|(reply, state)| Round { state, reply: meaning(&reply) }),
    )
}

/// Neither form nor URL means forms.
fn has_forms(elicitation: &ElicitationCapability) -> bool {
    elicitation.form.is_some() || elicitation.url.is_none()
}

/// Interprets a reply: an accepted form counts only if the box is ticked.
fn meaning(reply: &ElicitResult) -> UserReply {
    let ticked = reply.content.as_ref().and_then(|content| content.get("agree"));
    match reply.action {
        ElicitationAction::Accept if ticked == Some(&Value::Bool(true)) => UserReply::Agreed,
        ElicitationAction::Accept => UserReply::Unticked,
        ElicitationAction::Cancel => UserReply::Dismissed,
        _ => UserReply::Declined,
    }
}

fn form(question: String) -> Result<ElicitRequestParams> {
    let schema = json!({
        "type": "object",
        "properties": {
            "agree": { "type": "boolean", "title": "I agree" }
        },
        "required": ["agree"]
    });
    let requested_schema = ElicitationSchema::deserialize(schema)
        .map_err(|error| Error::internal("the form is invalid", error))?;
    Ok(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question,
        requested_schema,
    })
}

/// Returns the answer that asks the user, in the era without `initialize`.
pub(crate) fn ask_by_answer(question: String, state: String) -> Result<CallToolResponse> {
    let request = InputRequest::Elicitation(ElicitRequest::new(form(question)?));
    let requests = InputRequests::from([(AGREEMENT.to_owned(), request)]);
    Ok(InputRequiredResult::new(Some(requests), Some(state)).into())
}

/// Asks through the client while the call waits, in the era of `initialize`.
struct Elicitation(Peer<RoleServer>);

#[async_trait]
impl Ask for Elicitation {
    async fn ask(&self, question: &str) -> Result<UserReply> {
        let form = form(question.to_owned())?;
        match self.0.create_elicitation_with_timeout(form, Some(REPLY_TIMEOUT)).await {
            Ok(reply) => Ok(meaning(&reply)),
            Err(error) => {
                tracing::info!(%error, "the client could not ask its user");
                Ok(UserReply::NotAsked)
            }
        }
    }
}
