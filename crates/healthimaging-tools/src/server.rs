//! The server: which tools it offers, and how it carries out a call, independent of the protocol.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use healthimaging::{
    DicomWeb, Error, ErrorKind, Grant, HealthImaging, RedactionLevel, Result, Rights, restricted,
};
use healthimaging_audit::{Actor, as_actor};
use healthimaging_redact::Redactor;
use healthimaging_workflows::{BackEnd, Ledger, Plan};

use crate::answer::Answer;
use crate::arguments::{Arguments, nearest};
use crate::audit;
use crate::confirm::{self, Consent, Decision, PlanArguments, Seals, UserReply};
use crate::context::{Caller, Context, DEFAULT_WAIT, Progress};
use crate::datastore_names;
use crate::failure;
use crate::options::{Offer, ServerOptions, ViewerAddress};
use crate::outcome::Outcome;
use crate::redaction::Redaction;
use crate::tool::{Call, CarryOut, Effect, MakePlan, Run, ToolEntry};
use crate::tools::TOOLS;
use crate::turns;
use crate::versions::{Documents, Versions};
use crate::visible;

impl Offer {
    /// The tools that it includes, by name.
    pub fn tools(self) -> impl Iterator<Item = &'static ToolEntry> {
        TOOLS.iter().filter(move |tool| self.includes(tool.effect))
    }
}

impl ServerOptions {
    /// The tools that a server with these options offers, by name.
    pub fn tools(&self) -> impl Iterator<Item = &'static ToolEntry> {
        let is_offered =
            |tool: &&ToolEntry| self.selection.includes(tool) && !self.policy.forbids(tool);
        self.offer.tools().filter(is_offered)
    }
}

/// A server over one back end; clones are the same server.
#[derive(Debug, Clone)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The back end and its jobs, or the error that prevents it.
    ledger: std::result::Result<Ledger, Unavailable>,
    options: ServerOptions,
    redaction: Option<Redaction>,
    versions: Arc<Versions>,
    seals: Arc<Seals>,
    datastores_changed: broadcast::Sender<()>,
}

/// Error that prevents a back end.
#[derive(Debug, Clone)]
struct Unavailable {
    kind: ErrorKind,
    message: String,
}

impl Server {
    /// Creates a server over the back end of a ledger; an error if the random number generator fails.
    pub fn new(ledger: Ledger, options: ServerOptions) -> Result<Self> {
        Self::of(Ok(ledger), options)
    }

    /// Creates a server without a back end: it lists its tools, and answers each call with this error, which
    /// clients show to their users. They rarely show why a server exited before `initialize`.
    pub fn unavailable(error: &Error, options: ServerOptions) -> Result<Self> {
        let why = Unavailable { kind: error.kind(), message: error.message().to_owned() };
        Self::of(Err(why), options)
    }

    fn of(
        ledger: std::result::Result<Ledger, Unavailable>,
        options: ServerOptions,
    ) -> Result<Self> {
        let (datastores_changed, _) = broadcast::channel(16);
        let seals = Arc::new(Seals::new()?);
        Ok(Self::made(ledger, options, Arc::default(), seals, datastores_changed))
    }

    fn made(
        ledger: std::result::Result<Ledger, Unavailable>,
        mut options: ServerOptions,
        versions: Arc<Versions>,
        seals: Arc<Seals>,
        datastores_changed: broadcast::Sender<()>,
    ) -> Self {
        if options.redactor.is_some() {
            // The pages of a viewer take no tokens.
            options.viewer = ViewerAddress::None;
        }
        let redaction = redaction(&ledger, &options);
        Self(Arc::new(Inner { ledger, options, redaction, versions, seals, datastores_changed }))
    }

    /// Returns the server as a caller with this grant uses it: it offers only the tools, and finds only the data
    /// stores, that its rights allow, and keeps the identity of patients from it if the grant asks for that.
    ///
    /// # Errors
    /// If this server cannot redact.
    pub(crate) fn granted(&self, grant: &Grant) -> Result<Self> {
        let limited = self.limited(grant.rights());
        let options = limited.options();
        // Of the server and the grant, the stricter one counts.
        let of_server = options.redactor.as_ref().map(|redactor| {
            if redactor.is_strict() { RedactionLevel::Strict } else { RedactionLevel::On }
        });
        let Some(level) = grant.redaction().filter(|level| of_server < Some(*level)) else {
            return Ok(limited);
        };
        let Some(source) = &options.redactor_of_grants else {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "the identity of patients is kept from this credential, and this server cannot redact",
            ));
        };
        let redactor = source.redactor(level)?;
        Ok(limited.redacting(redactor))
    }

    /// Returns the server as a caller with these rights uses it.
    fn limited(&self, rights: &Rights) -> Self {
        if rights.is_unlimited() {
            return self.clone();
        }
        let Inner { ledger, options, versions, seals, datastores_changed, .. } = &*self.0;
        let ledger = ledger.as_ref().map_err(Clone::clone).map(|ledger| {
            let BackEnd { service, dicomweb } = ledger.tools().back_end.clone();
            let (service, dicomweb) = match &options.restrictor {
                Some(restrictor) => restrictor.restrict(rights),
                None => restricted(rights, (service, dicomweb)),
            };
            ledger.restricted(rights.clone(), BackEnd { service, dicomweb })
        });
        let offer = options.offer.and(rights.most().into());
        let options = ServerOptions { offer, ..options.clone() };
        let (versions, seals) = (Arc::clone(versions), Arc::clone(seals));
        Self::made(ledger, options, versions, seals, datastores_changed.clone())
    }

    fn ledger(&self) -> Result<&Ledger> {
        let ledger = self.0.ledger.as_ref();
        ledger.map_err(|why| Error::new(why.kind, why.message.clone()))
    }

    /// Returns a server over the same jobs and back end that keeps the identity of patients from its callers. A plan
    /// that one of both showed is confirmed at that one only, since they read different arguments.
    #[must_use]
    pub fn redacting(&self, redactor: Arc<Redactor>) -> Self {
        let Inner { ledger, options, seals, datastores_changed, .. } = &*self.0;
        let options = ServerOptions { redactor: Some(redactor), ..options.clone() };
        // Documents that are shown differently are not shared.
        let (versions, seals) = (Arc::default(), Arc::clone(seals));
        Self::made(ledger.clone(), options, versions, seals, datastores_changed.clone())
    }

    fn back_end(&self) -> Result<&BackEnd> {
        let ledger = self.ledger()?;
        Ok(self.0.redaction.as_ref().map_or(&ledger.tools().back_end, Redaction::back_end))
    }

    /// Returns an error as callers may read it.
    pub(crate) fn shown_error(&self, error: Error) -> Error {
        match &self.0.redaction {
            Some(redaction) => redaction.error(&error),
            None => error,
        }
    }

    /// Returns the 18 operations of its back end.
    pub fn service(&self) -> Result<&dyn HealthImaging> {
        Ok(&*self.back_end()?.service)
    }

    /// Returns its documents, for pictures.
    pub(crate) fn documents(&self) -> Result<Documents<'_>> {
        Ok(Documents { service: self.service()?, versions: &self.0.versions })
    }

    /// Returns DICOMweb of its back end.
    pub fn dicomweb(&self) -> Result<&dyn DicomWeb> {
        Ok(&*self.back_end()?.dicomweb)
    }

    /// Returns its options.
    pub fn options(&self) -> &ServerOptions {
        &self.0.options
    }

    /// Returns the tools it offers, by name.
    pub fn tools(&self) -> impl Iterator<Item = &'static ToolEntry> {
        self.0.options.tools()
    }

    /// Subscribes to the creation and deletion of data stores.
    pub(crate) fn datastores_changed(&self) -> broadcast::Receiver<()> {
        self.0.datastores_changed.subscribe()
    }

    /// Calls a tool without a protocol and without progress.
    pub async fn call(&self, name: &str, arguments: Arguments, consent: Consent) -> Result<Answer> {
        let caller = Caller {
            progress: None,
            cancelled: CancellationToken::new(),
            wait: Some(DEFAULT_WAIT),
            has_apps: false,
        };
        self.call_as(name, arguments, consent, caller).await
    }

    /// Calls a tool and, unless the arguments limit the wait, waits for the end of the job that it starts.
    pub async fn call_to_end(
        &self,
        name: &str,
        arguments: Arguments,
        consent: Consent,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<Answer> {
        let cancelled = CancellationToken::new();
        let caller = Caller { progress, cancelled, wait: None, has_apps: false };
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
            // Only for a protocol with rounds, which calls `dispatch`.
            Outcome::Question { question, .. } => Err(Error::conflict(question)),
            Outcome::NotAgreed { error, .. } => Err(error),
        }
    }

    /// Finds a tool that is offered; the error names why it is not.
    pub(crate) fn find(&self, name: &str) -> Result<&'static ToolEntry> {
        let known = TOOLS.iter().find(|tool| tool.name == name);
        match known {
            Some(tool) if self.0.options.policy.forbids(tool) => {
                Err(Error::not_found(format!("the policy of this server forbids the tool {name}")))
            }
            Some(tool) if !self.0.options.selection.includes(tool) => {
                Err(Error::not_found(format!(
                    "the tool {name} is not offered: the server was started with --toolsets, --tools or \
                     --exclude-tools"
                )))
            }
            Some(tool) if self.0.options.offer.includes(tool.effect) => Ok(tool),
            Some(_) => Err(Error::not_found(format!(
                "the tool {name} is not offered: the server was started with --read-only or \
                 --no-delete, or the credential of the caller has a smaller scope"
            ))),
            None => {
                let offered = self.tools().map(|tool| tool.name);
                Err(Error::not_found(match nearest(name, offered) {
                    Some(near) => {
                        format!("unknown tool; perhaps {near} is meant, or list the tools")
                    }
                    None => "unknown tool; list the tools".to_owned(),
                }))
            }
        }
    }

    /// Refuses what shows the same as a tool that the policy forbids.
    ///
    /// # Errors
    /// `AccessDenied` with the name of the tool.
    pub(crate) fn check_policy(&self, shown_by: &str) -> Result<()> {
        let policy = &self.0.options.policy;
        if TOOLS.iter().any(|tool| tool.name == shown_by && policy.forbids(tool)) {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                format!(
                    "the policy of this server forbids the tool {shown_by}, and so what shows the same"
                ),
            ));
        }
        Ok(())
    }

    /// Calls a tool; errors are logged only here.
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
        tool.normalize(&mut arguments);
        let redaction = self.0.redaction.as_ref();
        let redaction = redaction.map(|one| one.begin(&mut arguments)).transpose()?;
        let context = Context::new(
            ledger,
            &self.0.options,
            caller,
            changed,
            redaction,
            Arc::clone(&self.0.versions),
        );
        let work = async {
            datastore_names::resolve(tool, context.service(), &mut arguments).await?;
            match tool.run {
                Run::Direct(call) => {
                    Box::pin(self.direct(tool, tool.effect, call, arguments, &context)).await
                }
                Run::Planned(steps) => {
                    let planned = (tool, tool.effect);
                    Box::pin(self.planned(planned, steps, arguments, &consent, &context)).await
                }
                Run::Conditional { effect_of, call, steps } => {
                    let found = effect_of(&arguments, &context).await?;
                    self.check_effect(tool, found.effect)?;
                    if found.asks || confirm::wants_plan(&arguments) {
                        let planned = (tool, found.effect);
                        let work = self.planned(planned, steps, arguments, &consent, &context);
                        return Box::pin(work).await;
                    }
                    PlanArguments::take(&mut arguments)?;
                    if self.0.options.policy.limits(tool) {
                        let plan = (steps.0)(&arguments, &context).await?;
                        self.0.options.policy.check(tool, &plan)?;
                    }
                    Box::pin(self.direct(tool, found.effect, call, arguments, &context)).await
                }
            }
        };
        let outcome = turns::with_notices(&context, work).await;
        if let Err(error) = &outcome {
            failure::log(tool.name, error);
        }
        let outcome = match context.redaction() {
            Some(redaction) => {
                outcome.map(|one| redaction.outcome(one)).map_err(|error| redaction.error(&error))
            }
            None => outcome,
        };
        outcome.map(Outcome::shown)
    }

    /// Refuses a call whose effect is not offered, although other calls of the tool are.
    fn check_effect(&self, tool: &ToolEntry, effect: Effect) -> Result<()> {
        if self.0.options.offer.includes(effect) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            format!(
                "this call of {} removes an image set, instances, series or a version, and the server was \
                 started with --no-delete or --read-only, or the credential of the caller has a smaller \
                 scope: nothing was changed",
                tool.name
            ),
        ))
    }

    async fn direct(
        &self,
        tool: &ToolEntry,
        effect: Effect,
        call: Call,
        arguments: Arguments,
        context: &Context,
    ) -> Result<Outcome> {
        let log = &self.0.options.audit;
        let entry = audit::entry(log, tool, effect, &as_recorded(context, &arguments))?;
        let answer = audit::carried_out(log, entry, call(arguments, context)).await;
        answer.map(Outcome::Answer)
    }

    async fn planned(
        &self,
        (tool, effect): (&'static ToolEntry, Effect),
        (make_plan, carry_out): (MakePlan, CarryOut),
        mut arguments: Arguments,
        consent: &Consent,
        context: &Context,
    ) -> Result<Outcome> {
        let asked = PlanArguments::take(&mut arguments)?;
        let plan = make_plan(&arguments, context).await?;
        self.0.options.policy.check(tool, &plan)?;
        if asked.dry_run == Some(true) {
            return confirm::shown(&plan, None).map(Outcome::Answer);
        }
        let Inner { options, seals, .. } = &*self.0;
        let log = &options.audit;
        let recorded =
            |how| match audit::entry(log, tool, effect, &as_recorded(context, &arguments))? {
                Some(entry) => match context.redaction() {
                    Some(redaction) => {
                        audit::planned(log, entry, &redaction.recorded_plan(&plan)?, how)
                    }
                    None => audit::planned(log, entry, &plan, how),
                }
                .map(Some),
                None => Ok(None),
            };
        let not_agreed = |arguments: &Arguments, plan: &Plan, reply| {
            if let Some(entry) = recorded("no")? {
                log.begin(entry).end_with("not agreed");
            }
            let made = seals.not_agreed(options.confirm, tool.name, arguments, plan, reply);
            made.map(|(error, more)| Outcome::NotAgreed { error, more })
        };
        match seals.decide(options.confirm, consent, tool.name, &arguments, &asked, &plan)? {
            Decision::Go => {}
            Decision::AskNow(ask) => {
                let question = self.question(make_plan, &arguments, &plan, context).await?;
                let reply = ask.ask(&visible::shown(&question)).await?;
                if reply != UserReply::Agreed {
                    return not_agreed(&arguments, &plan, reply);
                }
                // The data may have changed while the user was asked.
                if make_plan(&arguments, context).await? != plan {
                    return Err(confirm::stale());
                }
            }
            Decision::AskByAnswer { state } => {
                let question = self.question(make_plan, &arguments, &plan, context).await?;
                return Ok(Outcome::Question { question, state });
            }
            Decision::ShowPlan(answer) => return Ok(Outcome::Answer(answer)),
            Decision::NotAgreed(reply) => return not_agreed(&arguments, &plan, reply),
        }
        tracing::info!(tool = tool.name, image_sets = plan.image_sets.len(), "plan confirmed");
        let how = audit::agreement(options.confirm, consent, &asked);
        let entry = recorded(how)?;
        // Without an audit log too, a certificate states how its plan was agreed to.
        let actor = entry.is_none().then(|| Actor { agreed: Some(how), ..Actor::current() });
        let work = carry_out(arguments, plan, context);
        if let Some(actor) = actor {
            return as_actor(actor, work).await.map(Outcome::Answer);
        }
        audit::carried_out(log, entry, work).await.map(Outcome::Answer)
    }

    /// Returns the question to the user about a plan. With redaction it has tokens, unless the client is trusted to keep
    /// questions from its model; then it is about the same plan, made again with the values.
    async fn question(
        &self,
        make_plan: MakePlan,
        arguments: &Arguments,
        plan: &Plan,
        context: &Context,
    ) -> Result<String> {
        let Some(redaction) = context.redaction() else {
            return Ok(plan.question());
        };
        if !self.0.options.consent_shows_identity {
            return Ok(redaction.text(&plan.question()));
        }
        let values: Arguments = redaction.with_values(arguments)?;
        let real = make_plan(&values, &context.with_values()).await?;
        if real.versions() != plan.versions() || real.cannot_be_undone != plan.cannot_be_undone {
            return Err(confirm::stale());
        }
        Ok(real.question())
    }
}

/// Returns arguments as the audit log records them.
fn as_recorded<'a>(context: &Context, arguments: &'a Arguments) -> Cow<'a, Arguments> {
    match context.redaction() {
        Some(redaction) => redaction.recorded(arguments),
        None => Cow::Borrowed(arguments),
    }
}

/// Returns what a server with these options keeps from the model.
fn redaction(
    ledger: &std::result::Result<Ledger, Unavailable>,
    options: &ServerOptions,
) -> Option<Redaction> {
    let (redactor, ledger) = options.redactor.clone().zip(ledger.as_ref().ok())?;
    Some(Redaction::new(redactor, &ledger.tools().back_end))
}
