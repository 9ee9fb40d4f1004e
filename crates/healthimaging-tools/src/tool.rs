//! Traits of tools, and their entries in the table.
//!
//! A tool is the struct of its arguments. The model reads the doc comments of the struct and its fields.

use std::fmt;
use std::future::Future;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use healthimaging::Effect;
use healthimaging::Result;

use healthimaging_workflows::Plan;

use crate::answer::{Answer, Reply};
use crate::arguments::{self, Arguments};
use crate::confirm;
use crate::context::Context;
use crate::lenient;
use crate::schema::{self, Definition};

/// Set of tools that can be switched on or off as a whole; the documentation lists the tools by it, in this
/// order. Each tool is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Toolset {
    /// Data stores.
    Datastores,
    /// Search for image sets, and the hierarchy of patients, studies and series.
    Search,
    /// One image set: its metadata, versions and copies.
    Images,
    /// Pictures.
    View,
    /// Documents and reports.
    Reports,
    /// Counts, tables and comparisons.
    Analyze,
    /// Import.
    Import,
    /// Export.
    Export,
    /// Changes of metadata.
    Correct,
    /// Deletion of image sets, studies, series and instances.
    Erase,
    /// Tags.
    Tags,
    /// The jobs of this server.
    Jobs,
}

impl Toolset {
    /// All, in order.
    pub const ALL: [Self; 12] = [
        Self::Datastores,
        Self::Search,
        Self::Images,
        Self::View,
        Self::Reports,
        Self::Analyze,
        Self::Import,
        Self::Export,
        Self::Correct,
        Self::Erase,
        Self::Tags,
        Self::Jobs,
    ];

    /// Returns its name, as `--toolsets` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Datastores => "datastores",
            Self::Search => "search",
            Self::Images => "images",
            Self::View => "view",
            Self::Reports => "reports",
            Self::Analyze => "analyze",
            Self::Import => "import",
            Self::Export => "export",
            Self::Correct => "correct",
            Self::Erase => "erase",
            Self::Tags => "tags",
            Self::Jobs => "jobs",
        }
    }
}

/// A tool that acts when it is called.
pub(crate) trait Tool: DeserializeOwned + JsonSchema + Send {
    /// Name on the wire.
    const NAME: &'static str;
    /// Name for people.
    const TITLE: &'static str;
    /// Arguments of a typical call, in JSON: shown in the documentation, and checked by a test.
    const EXAMPLE: &'static str;
    /// Its effect: never [`Effect::Destroys`].
    const EFFECT: Effect;
    /// Whether its answers may have pictures. They have no structured content then: clients that read it
    /// drop the pictures.
    const HAS_PICTURES: bool = false;
    /// Whether an answer may exceed what clients show, if the call asks for it.
    const IS_LARGE: bool = false;
    /// Whether clients with MCP Apps show the viewer for its answers.
    const HAS_VIEWER: bool = false;
    /// Its answer.
    type Output: Serialize + JsonSchema + Send;

    /// Carries out a call.
    fn call(self, context: &Context) -> impl Future<Output = Result<Reply<Self::Output>>> + Send;
}

/// A tool that plans first, and acts once the plan is confirmed.
pub(crate) trait PlannedTool: DeserializeOwned + JsonSchema + Send + Sync {
    /// Name on the wire.
    const NAME: &'static str;
    /// Name for people.
    const TITLE: &'static str;
    /// Arguments of a typical call, in JSON: shown in the documentation, and checked by a test.
    const EXAMPLE: &'static str;
    /// Its effect.
    const EFFECT: Effect;
    /// Its answer when the plan is carried out.
    type Output: Serialize + JsonSchema + Send;

    /// Plans, by reading only.
    fn plan(&self, context: &Context) -> impl Future<Output = Result<Plan>> + Send;

    /// Carries out a confirmed plan.
    fn carry_out(
        self,
        plan: Plan,
        context: &Context,
    ) -> impl Future<Output = Result<Reply<Self::Output>>> + Send;
}

/// A tool whose effect depends on the arguments: it acts at once, or plans and is confirmed first.
pub(crate) trait ConditionalTool: PlannedTool {
    /// Whether some calls destroy.
    const MAY_DESTROY: bool;

    /// Returns the effect of a call with these arguments, by reading only.
    fn call_effect(&self, context: &Context) -> impl Future<Output = Result<CallEffect>> + Send;

    /// Does it, unasked.
    fn act(self, context: &Context) -> impl Future<Output = Result<Reply<Self::Output>>> + Send;
}

/// Effect of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallEffect {
    /// Its effect.
    pub(crate) effect: Effect,
    /// Whether the user has to agree first.
    pub(crate) asks: bool,
}

pub(crate) type Call = for<'a> fn(Arguments, &'a Context) -> BoxFuture<'a, Result<Answer>>;
type EffectOf = for<'a> fn(&'a Arguments, &'a Context) -> BoxFuture<'a, Result<CallEffect>>;
pub(crate) type MakePlan = for<'a> fn(&'a Arguments, &'a Context) -> BoxFuture<'a, Result<Plan>>;
pub(crate) type CarryOut =
    for<'a> fn(Arguments, Plan, &'a Context) -> BoxFuture<'a, Result<Answer>>;

#[derive(Clone, Copy)]
pub(crate) enum Run {
    Direct(Call),
    Planned((MakePlan, CarryOut)),
    Conditional { effect_of: EffectOf, call: Call, steps: (MakePlan, CarryOut) },
}

/// A tool in the table.
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct ToolEntry {
    /// Name on the wire.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Arguments of a typical call, in JSON.
    pub example: &'static str,
    /// The set that it is in.
    pub toolset: Toolset,
    /// Whether it is one of the few that `--toolsets core` offers.
    pub is_core: bool,
    /// Whether clients that load tools on demand load it at the start.
    pub is_always_loaded: bool,
    /// Its effect.
    pub effect: Effect,
    /// Whether some calls destroy; these are planned and confirmed first.
    pub may_destroy: bool,
    /// Whether its answers may have pictures, and hence no structured content.
    pub has_pictures: bool,
    /// Whether an answer may exceed what clients show, if the call asks for it.
    pub is_large: bool,
    /// Whether clients with MCP Apps show the viewer for its answers.
    pub has_viewer: bool,
    pub(crate) run: Run,
    definition: fn() -> Definition,
    normalize: fn(&mut Arguments),
    check: fn(Arguments) -> Result<()>,
}

impl ToolEntry {
    /// Creates the entry of a tool that acts when it is called.
    pub(crate) const fn of<T: Tool>(toolset: Toolset) -> Self {
        const {
            assert!(
                !matches!(T::EFFECT, Effect::Destroys),
                "a tool that destroys is a PlannedTool"
            );
        }
        Self {
            name: T::NAME,
            title: T::TITLE,
            example: T::EXAMPLE,
            toolset,
            is_core: false,
            is_always_loaded: false,
            effect: T::EFFECT,
            may_destroy: false,
            has_pictures: T::HAS_PICTURES,
            is_large: T::IS_LARGE,
            has_viewer: T::HAS_VIEWER,
            run: Run::Direct(call::<T>),
            definition: schema::definition::<T, T::Output>,
            normalize: lenient::normalize::<T>,
            check: |arguments| arguments::parse::<T>(arguments).map(drop),
        }
    }

    /// Creates the entry of a tool that is confirmed first.
    pub(crate) const fn planned<T: PlannedTool>(toolset: Toolset) -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            example: T::EXAMPLE,
            toolset,
            is_core: false,
            is_always_loaded: false,
            effect: T::EFFECT,
            may_destroy: matches!(T::EFFECT, Effect::Destroys),
            has_pictures: false,
            is_large: false,
            has_viewer: false,
            run: Run::Planned((make_plan::<T>, carry_out::<T>)),
            definition: schema::planned_definition::<T, T::Output>,
            normalize: lenient::normalize::<T>,
            check: |arguments| arguments::parse::<T>(arguments).map(drop),
        }
    }

    /// Creates the entry of a tool whose effect depends on the arguments.
    pub(crate) const fn conditional<T: ConditionalTool>(toolset: Toolset) -> Self {
        Self {
            may_destroy: T::MAY_DESTROY,
            run: Run::Conditional {
                effect_of: effect_of::<T>,
                call: act::<T>,
                steps: (make_plan::<T>, carry_out::<T>),
            },
            ..Self::planned::<T>(toolset)
        }
    }

    /// Adds it to those that `core` offers.
    pub(crate) const fn core(self) -> Self {
        Self { is_core: true, ..self }
    }

    /// Adds it to those of `core` that clients load at the start.
    pub(crate) const fn always_loaded(self) -> Self {
        Self { is_always_loaded: true, ..self.core() }
    }

    /// Returns its definition for clients.
    pub fn definition(&self) -> Definition {
        (self.definition)()
    }

    /// Converts arguments to the types of its schema.
    pub(crate) fn normalize(&self, arguments: &mut Arguments) {
        (self.normalize)(arguments);
    }

    /// Checks arguments without calling the tool.
    pub fn check(&self, mut arguments: Arguments) -> Result<()> {
        self.normalize(&mut arguments);
        (self.check)(arguments)
    }
}

impl fmt::Debug for ToolEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolEntry")
            .field("name", &self.name)
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}

fn call<T: Tool>(arguments: Arguments, context: &Context) -> BoxFuture<'_, Result<Answer>> {
    Box::pin(async move {
        let tool: T = arguments::parse(arguments)?;
        tool.call(context).await?.into_answer(context.chosen_datastore())
    })
}

fn effect_of<'a, T: ConditionalTool>(
    arguments: &'a Arguments,
    context: &'a Context,
) -> BoxFuture<'a, Result<CallEffect>> {
    Box::pin(async move {
        let tool: T = arguments::parse(confirm::without_plan_arguments(arguments))?;
        tool.call_effect(context).await
    })
}

fn act<T: ConditionalTool>(
    arguments: Arguments,
    context: &Context,
) -> BoxFuture<'_, Result<Answer>> {
    Box::pin(async move {
        let tool: T = arguments::parse(arguments)?;
        tool.act(context).await?.into_answer(context.chosen_datastore())
    })
}

fn make_plan<'a, T: PlannedTool>(
    arguments: &'a Arguments,
    context: &'a Context,
) -> BoxFuture<'a, Result<Plan>> {
    Box::pin(async move {
        let tool: T = arguments::parse(arguments.clone())?;
        tool.plan(context).await
    })
}

fn carry_out<T: PlannedTool>(
    arguments: Arguments,
    plan: Plan,
    context: &Context,
) -> BoxFuture<'_, Result<Answer>> {
    Box::pin(async move {
        let tool: T = arguments::parse(arguments)?;
        tool.carry_out(plan, context).await?.into_answer(context.chosen_datastore())
    })
}
