//! Consent: a plan is carried out only after it is confirmed.
//!
//! The user is asked through the client. If the client cannot ask, the answer is the plan with a token
//! that is bound to the tool, the arguments and the plan; a second call with the token carries the plan
//! out. A plan that has changed since is refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmcp::model::{RequestStateCodec, RequestStateError, SealOptions};
use serde::Deserialize;
use serde_json::Value;

use healthimaging::{Error, ErrorKind, Result, fingerprint};

use healthimaging_workflows::Plan;

use crate::answer::Answer;
use crate::arguments::{self, Arguments};

/// How long a plan can be confirmed.
const LIFE: Duration = Duration::from_mins(10);

/// When a planned tool carries out its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// After the user agreed through the client; by token if the client cannot ask.
    #[default]
    Auto,
    /// Only after the user agreed through the client.
    Always,
    /// At once.
    Never,
}

/// Reply to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserReply {
    /// Agreed.
    Agreed,
    /// Accepted the form without ticking `agree`.
    Unticked,
    /// Declined, by the user or by the client itself.
    Declined,
    /// Dismissed the question without an answer.
    Dismissed,
    /// The client could not ask, although it offers elicitation.
    NotAsked,
}

/// Asks the user.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Returns the reply; an error if the question cannot be asked.
    async fn ask(&self, question: &str) -> Result<UserReply>;
}

/// How the user of a call agrees.
#[derive(Clone)]
pub enum Consent {
    /// The user has agreed already.
    Given,
    /// The user cannot be asked.
    Unavailable,
    /// The user can be asked while the call waits.
    Ask(Arc<dyn Ask>),
    /// The answer is the question, and the next call brings the reply with the state that was sent.
    Rounds(Option<Round>),
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given => "Given",
            Self::Unavailable => "Unavailable",
            Self::Ask(_) => "Ask",
            Self::Rounds(_) => "Rounds",
        })
    }
}

/// What the second round brings.
#[derive(Debug, Clone)]
pub struct Round {
    /// The state that was sent with the question.
    pub state: String,
    /// The reply to the question.
    pub reply: UserReply,
}

/// What to do with a plan.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Carry it out.
    Go,
    /// Ask during the call, then check that the plan is unchanged.
    AskNow(Arc<dyn Ask>),
    /// Answer with a question.
    AskByAnswer { state: String },
    /// Answer with the plan.
    ShowPlan(Answer),
    /// The user did not agree.
    NotAgreed(UserReply),
}

impl fmt::Debug for dyn Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}

/// Names of the fields of [`PlanArguments`].
const PLAN_ARGUMENTS: [&str; 2] = ["dry_run", "confirmation_token"];

/// Arguments that every planned tool has in addition to its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PlanArguments {
    pub(crate) dry_run: Option<bool>,
    pub(crate) confirmation_token: Option<String>,
}

impl PlanArguments {
    /// Removes them from the arguments.
    pub(crate) fn take(arguments: &mut Arguments) -> Result<Self> {
        let own: Arguments = PLAN_ARGUMENTS
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), arguments.shift_remove(name)?)))
            .collect();
        arguments::read(own)
    }
}

/// The arguments of the tool itself.
pub(crate) fn without_plan_arguments(arguments: &Arguments) -> Arguments {
    let own = arguments.iter().filter(|(name, _)| !PLAN_ARGUMENTS.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether the caller asks for a plan, or sends its token, although the tool would act at once.
pub(crate) fn wants_plan(arguments: &Arguments) -> bool {
    arguments.get("dry_run") == Some(&Value::Bool(true))
        || arguments.contains_key("confirmation_token")
}

/// Seals tokens and states; the key lives as long as the process.
#[derive(Debug)]
pub(crate) struct Seals(RequestStateCodec);

/// Two kinds of seal, so that a token cannot be used as the reply of a user.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Token,
    Round,
}

impl Seals {
    pub(crate) fn new() -> Result<Self> {
        let mut key = [0_u8; 32];
        getrandom::fill(&mut key)
            .map_err(|error| Error::internal("the random number generator failed", error))?;
        let mut name = [0_u8; 8];
        getrandom::fill(&mut name)
            .map_err(|error| Error::internal("the random number generator failed", error))?;
        // The name of the key shows whether another process made a token.
        let name = format!("{:x}", u64::from_ne_bytes(name));
        RequestStateCodec::new_with_keyring(name.clone(), [(name, key)])
            .map(Self)
            .map_err(|error| Error::internal("the key for confirmations is bad", error))
    }

    /// Returns what a seal is bound to.
    fn binding(kind: Kind, tool: &str, arguments: &Arguments) -> String {
        let mut arguments = arguments.clone();
        // How long to wait does not change what is done.
        arguments.shift_remove("wait_seconds");
        let arguments = fingerprint(&Value::Object(arguments));
        format!("{kind:?}|{tool}|{arguments}")
    }

    fn seal(&self, kind: Kind, tool: &str, arguments: &Arguments, plan: &str) -> String {
        let binding = Self::binding(kind, tool, arguments);
        let options = SealOptions::new().associated_data(binding.as_bytes()).ttl(LIFE);
        self.0.seal_with(plan.as_bytes(), &options)
    }

    /// Checks that `sealed` was made for this tool, these arguments and this plan.
    fn check(
        &self,
        kind: Kind,
        sealed: &str,
        tool: &str,
        arguments: &Arguments,
        plan: &str,
    ) -> Result<()> {
        let binding = Self::binding(kind, tool, arguments);
        let opened = self.0.open_with(sealed, binding.as_bytes()).map_err(|error| match error {
            RequestStateError::Expired => "is older than 10 minutes",
            RequestStateError::UnknownKeyId => {
                "was made by another server process, or before this one was restarted"
            }
            RequestStateError::IntegrityCheckFailed => {
                "does not belong to this tool and these arguments"
            }
            _ => "is not one that this server made",
        });
        let opened = opened.map_err(|why| {
            Error::validation(format!(
                "the confirmation (confirmation_token) {why}; nothing was changed. Call without \
                 confirmation_token for a new plan"
            ))
        })?;
        if opened == plan.as_bytes() { Ok(()) } else { Err(stale()) }
    }

    /// Decides about a plan; `arguments` are without [`PlanArguments`].
    pub(crate) fn decide(
        &self,
        confirm: Confirm,
        consent: &Consent,
        tool: &str,
        arguments: &Arguments,
        asked: &PlanArguments,
        plan: &Plan,
    ) -> Result<Decision> {
        if confirm == Confirm::Never {
            return Ok(Decision::Go);
        }
        let print = plan.fingerprint()?;
        // If the user could not be asked, or the client declined by itself, the plan came with a token.
        if let (Consent::Ask(_) | Consent::Rounds(None), Confirm::Auto, Some(token)) =
            (consent, confirm, &asked.confirmation_token)
        {
            self.check(Kind::Token, token, tool, arguments, &print)?;
            return Ok(Decision::Go);
        }
        match consent {
            Consent::Given => Ok(Decision::Go),
            Consent::Ask(ask) => Ok(Decision::AskNow(Arc::clone(ask))),
            Consent::Rounds(None) => {
                Ok(Decision::AskByAnswer { state: self.seal(Kind::Round, tool, arguments, &print) })
            }
            Consent::Rounds(Some(round)) => {
                self.check(Kind::Round, &round.state, tool, arguments, &print)?;
                Ok(match round.reply {
                    UserReply::Agreed => Decision::Go,
                    reply => Decision::NotAgreed(reply),
                })
            }
            Consent::Unavailable if confirm == Confirm::Always => Err(Error::new(
                ErrorKind::AccessDenied,
                "this server asks the user before it carries out a plan (--confirm always), and the \
                 client cannot ask; use a client with elicitation, or the command line",
            )),
            Consent::Unavailable => {
                if let Some(token) = &asked.confirmation_token {
                    self.check(Kind::Token, token, tool, arguments, &print)?;
                    return Ok(Decision::Go);
                }
                let token = self.seal(Kind::Token, tool, arguments, &print);
                shown(plan, Some(token)).map(Decision::ShowPlan)
            }
        }
    }

    /// Returns why nothing was done, and beside it the plan and a token.
    pub(crate) fn not_agreed(
        &self,
        confirm: Confirm,
        tool: &str,
        arguments: &Arguments,
        plan: &Plan,
        reply: UserReply,
    ) -> Result<(Error, Arguments)> {
        let mut more = Arguments::new();
        more.insert("plan".to_owned(), Value::Object(plan.shown()?));
        if confirm == Confirm::Auto {
            let token = self.seal(Kind::Token, tool, arguments, &plan.fingerprint()?);
            more.insert("confirmation_token".to_owned(), Value::from(token));
        }
        Ok((not_agreed(confirm, reply), more))
    }
}

/// Returns the plan as an answer.
pub(crate) fn shown(plan: &Plan, token: Option<String>) -> Result<Answer> {
    let mut structured = Arguments::new();
    structured.insert("plan".to_owned(), Value::Object(plan.shown()?));
    let summary = match token {
        None => format!("Nothing was changed. The plan: {}.", plan.action),
        Some(token) => {
            structured.insert("confirmation_token".to_owned(), Value::from(token));
            format!(
                "Nothing was changed yet. The plan: {}. Show the plan to the user; when the user \
                 agrees, call again with the same arguments and confirmation_token (valid for 10 \
                 minutes).",
                plan.action
            )
        }
    };
    Ok(Answer::new(structured, summary))
}

fn not_agreed(confirm: Confirm, reply: UserReply) -> Error {
    let what = match reply {
        // Not reached: the plan is carried out.
        UserReply::Agreed => "the plan was not carried out",
        UserReply::Unticked => "the form came back without the tick at `agree`",
        UserReply::Declined => {
            "the client answered that the user declined (decline). Do not try again unless the user \
             asks for it; some clients decline without asking"
        }
        UserReply::Dismissed => "the question was dismissed without an answer (cancel)",
        UserReply::NotAsked => "the client could not ask the user, although it offers elicitation",
    };
    let way_on = if confirm == Confirm::Auto {
        "show the plan to the user; when the user agrees, call again with the same arguments and \
         confirmation_token (valid for 10 minutes). With --confirm never this server does not ask"
    } else {
        "use a client that asks its user, or the command line: this server carries out a plan only \
         after the user agreed in the client (--confirm always); --confirm auto also accepts a token"
    };
    let message = format!("nothing was changed: {what}. To continue, {way_on}");
    Error::new(ErrorKind::AccessDenied, message)
}

/// The plan no longer matches the data.
pub(crate) fn stale() -> Error {
    Error::conflict(
        "image sets of the plan have changed since it was made; nothing was done. Call again for a new plan",
    )
}
