//! The server: which tools are offered, and how a call goes, whatever the protocol.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use healthimaging::{DicomWeb, Error, ErrorKind, HealthImaging, Result};
use healthimaging_workflows::{Ledger, Plan};

use crate::answer::Answer;
use crate::arguments::Arguments;
use crate::confirm::{self, Asked, Consent, Decision, Seals, UserReply};
use crate::context::{Caller, Context, PATIENCE, Progress};
use crate::datastore_names;
use crate::failure;
use crate::options::{Offer, ServerOptions};
use crate::tool::{CarryOut, Effect, MakePlan, Run, ToolEntry};
use crate::tools::TOOLS;
use crate::turns;
use crate::visible;

impl Offer {
    /// The tools that it includes, by name.
    pub fn tools(self) -> impl Iterator<Item = &'static ToolEntry> {
        TOOLS.iter().filter(move |tool| self.includes(tool.effect))
    }
}

/// A server over one back end; clones are the same server.
#[derive(Debug, Clone)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The back end and its jobs, or why there is none.
    ledger: std::result::Result<Ledger, Unavailable>,
    options: ServerOptions,
    seals: Seals,
    datastores_changed: broadcast::Sender<()>,
}

/// Why there is no back end.
#[derive(Debug)]
struct Unavailable {
    kind: ErrorKind,
    message: String,
}

/// What a call comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done.
    Answer(Answer),
    /// A person has to agree first; `state` comes back with the reply.
    Question { question: String, state: String },
    /// Nobody agreed: why, and beside the error the plan and the way on.
    NotAgreed { error: Error, more: Arguments },
}

impl Outcome {
    /// As it leaves: with nothing in it that cannot be seen.
    fn shown(self) -> Self {
        match self {
            Self::Answer(answer) => Self::Answer(answer.shown()),
            Self::Question { question, state } => {
                Self::Question { question: visible::shown(&question).into_owned(), state }
            }
            Self::NotAgreed { error, mut more } => {
                more.values_mut().for_each(visible::show);
                Self::NotAgreed { error, more }
            }
        }
    }
}

impl Server {
    /// A server over the back end of a ledger; an error when the system gives no random numbers.
    pub fn new(ledger: Ledger, options: ServerOptions) -> Result<Self> {
        Self::of(Ok(ledger), options)
    }

    /// A server without a back end: it lists its tools, and answers each call with this error. A client shows
    /// that to its user, and not why a server ended before it was greeted.
    pub fn unavailable(error: &Error, options: ServerOptions) -> Result<Self> {
        let why = Unavailable { kind: error.kind(), message: error.message().to_owned() };
        Self::of(Err(why), options)
    }

    fn of(
        ledger: std::result::Result<Ledger, Unavailable>,
        options: ServerOptions,
    ) -> Result<Self> {
        let (datastores_changed, _) = broadcast::channel(16);
        Ok(Self(Arc::new(Inner { ledger, options, seals: Seals::new()?, datastores_changed })))
    }

    fn ledger(&self) -> Result<&Ledger> {
        let ledger = self.0.ledger.as_ref();
        ledger.map_err(|why| Error::new(why.kind, why.message.clone()))
    }

    /// The 18 operations of its back end.
    pub fn service(&self) -> Result<&dyn HealthImaging> {
        Ok(&*self.ledger()?.tools().back_end.service)
    }

    /// DICOMweb of its back end.
    pub fn dicomweb(&self) -> Result<&dyn DicomWeb> {
        Ok(&*self.ledger()?.tools().back_end.dicomweb)
    }

    /// How it behaves.
    pub fn options(&self) -> &ServerOptions {
        &self.0.options
    }

    /// The tools it offers, by name.
    pub fn tools(&self) -> impl Iterator<Item = &'static ToolEntry> {
        self.0.options.offer.tools()
    }

    /// Tells when data stores come or go.
    pub(crate) fn datastores_changed(&self) -> broadcast::Receiver<()> {
        self.0.datastores_changed.subscribe()
    }

    /// Calls a tool without a protocol, as a client does that wants no progress.
    pub async fn call(&self, name: &str, arguments: Arguments, consent: Consent) -> Result<Answer> {
        let caller = Caller {
            progress: None,
            cancelled: CancellationToken::new(),
            patience: Some(PATIENCE),
        };
        self.call_as(name, arguments, consent, caller).await
    }

    /// Calls a tool and, unless the arguments say how long, waits for the end of what it starts.
    pub async fn call_to_end(
        &self,
        name: &str,
        arguments: Arguments,
        consent: Consent,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<Answer> {
        let caller = Caller { progress, cancelled: CancellationToken::new(), patience: None };
        self.call_as(name, arguments, consent, caller).await
    }

    async fn call_as(
        &self,
        name: &str,
        arguments: Arguments,
        consent: Consent,
        caller: Caller,
    ) -> Result<Answer> {
        let tool = self.find(name)?;
        match self.dispatch(tool, arguments, consent, caller).await? {
            Outcome::Answer(answer) => Ok(answer),
            // Only a protocol with rounds gets here, and it does not call this way.
            Outcome::Question { question, .. } => Err(Error::conflict(question)),
            Outcome::NotAgreed { error, .. } => Err(error),
        }
    }

    /// A tool that is offered; the error says which are, or why this one is not.
    pub(crate) fn find(&self, name: &str) -> Result<&'static ToolEntry> {
        let known = TOOLS.iter().find(|tool| tool.name == name);
        match known {
            Some(tool) if self.0.options.offer.includes(tool.effect) => Ok(tool),
            Some(_) => Err(Error::not_found(format!(
                "the tool {name} is not offered: the server was started with --read-only or \
                 --no-delete"
            ))),
            None => Err(Error::not_found("there is no tool of that name; list the tools")),
        }
    }

    /// Calls a tool; errors are logged here and nowhere else.
    pub(crate) async fn dispatch(
        &self,
        tool: &'static ToolEntry,
        mut arguments: Arguments,
        consent: Consent,
        caller: Caller,
    ) -> Result<Outcome> {
        let ledger = self.ledger()?.clone();
        visible::read_arguments(&mut arguments);
        let changed = self.0.datastores_changed.clone();
        let context = Context::new(ledger, &self.0.options, caller, changed);
        tool.normalize(&mut arguments);
        let work = async {
            datastore_names::resolve(tool, context.service(), &mut arguments).await?;
            match tool.run {
                Run::Direct(call) => call(arguments, &context).await.map(Outcome::Answer),
                Run::Planned(steps) => {
                    self.planned(tool, steps, arguments, &consent, &context).await
                }
                Run::Judged { judge, call, steps } => {
                    let judged = judge(&arguments)?;
                    self.check_effect(tool, judged.effect)?;
                    if judged.asks || confirm::wants_plan(&arguments) {
                        return self.planned(tool, steps, arguments, &consent, &context).await;
                    }
                    Asked::take(&mut arguments)?;
                    call(arguments, &context).await.map(Outcome::Answer)
                }
            }
        };
        let outcome = turns::telling(&context, work).await;
        if let Err(error) = &outcome {
            failure::log(tool.name, error);
        }
        outcome.map(Outcome::shown)
    }

    /// Refuses what this call does, where the tool is offered for what else it can do.
    fn check_effect(&self, tool: &ToolEntry, effect: Effect) -> Result<()> {
        if self.0.options.offer.includes(effect) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            format!(
                "this call of {} takes instances, series or a version away, and the server was started \
                 with --no-delete or --read-only: nothing was changed",
                tool.name
            ),
        ))
    }

    async fn planned(
        &self,
        tool: &'static ToolEntry,
        (make_plan, carry_out): (MakePlan, CarryOut),
        mut arguments: Arguments,
        consent: &Consent,
        context: &Context,
    ) -> Result<Outcome> {
        let asked = Asked::take(&mut arguments)?;
        let plan = make_plan(&arguments, context).await?;
        if asked.dry_run == Some(true) {
            return confirm::shown(&plan, None).map(Outcome::Answer);
        }
        let Inner { options, seals, .. } = &*self.0;
        let not_agreed = |arguments: &Arguments, plan: &Plan, reply| {
            let made = seals.not_agreed(options.confirm, tool.name, arguments, plan, reply);
            made.map(|(error, more)| Outcome::NotAgreed { error, more })
        };
        match seals.decide(options.confirm, consent, tool.name, &arguments, &asked, &plan)? {
            Decision::Go => {}
            Decision::AskNow(ask) => {
                let reply = ask.ask(&visible::shown(&plan.question())).await?;
                if reply != UserReply::Agreed {
                    return not_agreed(&arguments, &plan, reply);
                }
                // A person takes time; others may have changed what was planned.
                if make_plan(&arguments, context).await? != plan {
                    return Err(confirm::stale());
                }
            }
            Decision::AskByAnswer { question, state } => {
                return Ok(Outcome::Question { question, state });
            }
            Decision::ShowPlan(answer) => return Ok(Outcome::Answer(answer)),
            Decision::NotAgreed(reply) => return not_agreed(&arguments, &plan, reply),
        }
        tracing::info!(tool = tool.name, image_sets = plan.image_sets.len(), "plan confirmed");
        carry_out(arguments, plan, context).await.map(Outcome::Answer)
    }
}
