//! What a tool is: a struct, its words, its effect, and what it does; and the table entry it becomes.
//!
//! A tool is its input. The doc comment of the struct is what the model reads.

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

/// What a tool is about; the documentation lists the tools by it, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Data stores.
    Datastores,
    /// Bringing files in and taking them out.
    Transfer,
    /// Finding image sets.
    Search,
    /// Patients, studies and series, as image sets add up to them.
    Hierarchy,
    /// One image set.
    ImageSets,
    /// Correcting many image sets at once.
    Correct,
    /// Erasing, wherever it is.
    Erase,
    /// The jobs of this server.
    Jobs,
    /// Tags.
    Tags,
}

impl Subject {
    /// The words for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Datastores => "data stores",
            Self::Transfer => "import and export",
            Self::Search => "search",
            Self::Hierarchy => "patients, studies, series",
            Self::ImageSets => "image sets",
            Self::Correct => "correcting",
            Self::Erase => "erasing",
            Self::Jobs => "jobs of this server",
            Self::Tags => "tags",
        }
    }
}

/// A tool that acts when it is called.
pub(crate) trait Tool: DeserializeOwned + JsonSchema + Send {
    /// Name on the wire.
    const NAME: &'static str;
    /// Name for people.
    const TITLE: &'static str;
    /// Arguments of a usual call, in JSON: shown in the documentation, and read by a test.
    const EXAMPLE: &'static str;
    /// What it does to the data: never [`Effect::Destroys`].
    const EFFECT: Effect;
    /// Whether it may answer with pictures. Such an answer has no structured content: clients that read
    /// that drop the pictures.
    const HAS_PICTURES: bool = false;
    /// Whether it may answer with more than clients show, when that is asked for.
    const IS_LARGE: bool = false;
    /// What it answers with.
    type Output: Serialize + JsonSchema + Send;

    /// Does it.
    fn call(self, context: &Context) -> impl Future<Output = Result<Reply<Self::Output>>> + Send;
}

/// A tool that first says what it would do, and does it once that is confirmed.
pub(crate) trait PlannedTool: DeserializeOwned + JsonSchema + Send + Sync {
    /// Name on the wire.
    const NAME: &'static str;
    /// Name for people.
    const TITLE: &'static str;
    /// Arguments of a usual call, in JSON: shown in the documentation, and read by a test.
    const EXAMPLE: &'static str;
    /// What it does to the data.
    const EFFECT: Effect;
    /// What it answers with when it is done.
    type Output: Serialize + JsonSchema + Send;

    /// Says what would be done, by reading only.
    fn plan(&self, context: &Context) -> impl Future<Output = Result<Plan>> + Send;

    /// Does what was planned and confirmed.
    fn carry_out(
        self,
        plan: Plan,
        context: &Context,
    ) -> impl Future<Output = Result<Reply<Self::Output>>> + Send;
}

/// A tool of which the arguments say what it does: it acts at once, or is planned and confirmed first.
pub(crate) trait JudgedTool: PlannedTool {
    /// Whether some calls destroy.
    const MAY_DESTROY: bool;

    /// What a call with these arguments does.
    fn judge(&self) -> Result<Judged>;

    /// Does it, unasked.
    fn act(self, context: &Context) -> impl Future<Output = Result<Reply<Self::Output>>> + Send;
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Its effect.
    pub(crate) effect: Effect,
    /// Whether a person has to agree first.
    pub(crate) asks: bool,
}

type Call = for<'a> fn(Arguments, &'a Context) -> BoxFuture<'a, Result<Answer>>;
type Judge = fn(&Arguments) -> Result<Judged>;
pub(crate) type MakePlan = for<'a> fn(&'a Arguments, &'a Context) -> BoxFuture<'a, Result<Plan>>;
pub(crate) type CarryOut =
    for<'a> fn(Arguments, Plan, &'a Context) -> BoxFuture<'a, Result<Answer>>;

#[derive(Clone, Copy)]
pub(crate) enum Run {
    Direct(Call),
    Planned((MakePlan, CarryOut)),
    Judged { judge: Judge, call: Call, steps: (MakePlan, CarryOut) },
}

/// A tool in the table.
pub struct ToolEntry {
    /// Name on the wire.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Arguments of a usual call, in JSON.
    pub example: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// What it does to the data.
    pub effect: Effect,
    /// Whether some calls destroy, which are planned and confirmed first.
    pub may_destroy: bool,
    /// Whether it may answer with pictures, and hence without structured content.
    pub has_pictures: bool,
    /// Whether it may answer with more than clients show, when that is asked for.
    pub is_large: bool,
    pub(crate) run: Run,
    definition: fn() -> Definition,
    normalize: fn(&mut Arguments),
    check: fn(Arguments) -> Result<()>,
}

impl ToolEntry {
    /// The entry of a tool that acts when it is called.
    pub(crate) const fn of<T: Tool>(subject: Subject) -> Self {
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
            subject,
            effect: T::EFFECT,
            may_destroy: false,
            has_pictures: T::HAS_PICTURES,
            is_large: T::IS_LARGE,
            run: Run::Direct(call::<T>),
            definition: schema::definition::<T, T::Output>,
            normalize: lenient::normalize::<T>,
            check: |arguments| arguments::parse::<T>(arguments).map(drop),
        }
    }

    /// The entry of a tool that is confirmed first.
    pub(crate) const fn planned<T: PlannedTool>(subject: Subject) -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            example: T::EXAMPLE,
            subject,
            effect: T::EFFECT,
            may_destroy: matches!(T::EFFECT, Effect::Destroys),
            has_pictures: false,
            is_large: false,
            run: Run::Planned((make_plan::<T>, carry_out::<T>)),
            definition: schema::planned_definition::<T, T::Output>,
            normalize: lenient::normalize::<T>,
            check: |arguments| arguments::parse::<T>(arguments).map(drop),
        }
    }

    /// The entry of a tool of which the arguments say whether it is confirmed first.
    pub(crate) const fn judged<T: JudgedTool>(subject: Subject) -> Self {
        Self {
            may_destroy: T::MAY_DESTROY,
            run: Run::Judged {
                judge: |arguments| {
                    arguments::parse::<T>(confirm::without_asked(arguments))?.judge()
                },
                call: act::<T>,
                steps: (make_plan::<T>, carry_out::<T>),
            },
            ..Self::planned::<T>(subject)
        }
    }

    /// What a client is told about it.
    pub fn definition(&self) -> Definition {
        (self.definition)()
    }

    /// Puts arguments into the form that its schema asks for, where they differ only in that.
    pub(crate) fn normalize(&self, arguments: &mut Arguments) {
        (self.normalize)(arguments);
    }

    /// Whether arguments can be read; nothing is called.
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

fn act<T: JudgedTool>(arguments: Arguments, context: &Context) -> BoxFuture<'_, Result<Answer>> {
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
