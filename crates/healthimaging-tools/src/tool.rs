//! What a tool is: a struct, its words, its effect, and what it does; and the table entry it becomes.
//!
//! A tool is its input. The doc comment of the struct is what the model reads.

use std::fmt;
use std::future::Future;

use bytes::Bytes;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use healthimaging::Effect;
use healthimaging::{Error, Result};

use crate::arguments;
use crate::confirm;
use crate::context::Context;
use crate::lenient;
use crate::schema;
use crate::size;
use crate::visible;
use healthimaging_workflows::Plan;

/// The arguments of a call.
pub type Arguments = Map<String, Value>;

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

/// What a tool answers with: data, and a sentence that sums it up.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    output: T,
    summary: String,
    links: Vec<Link>,
    images: Vec<Image>,
    longest: usize,
}

impl<T> Reply<T> {
    /// `summary` is brief: counts and ids, never text from a DICOM file.
    pub(crate) fn new(output: T, summary: impl Into<String>) -> Self {
        Self {
            output,
            summary: summary.into(),
            links: Vec::new(),
            images: Vec::new(),
            longest: size::LONGEST_ANSWER,
        }
    }

    /// The caller asked for so many bytes of JSON.
    pub(crate) fn up_to(mut self, longest: usize) -> Self {
        self.longest = longest;
        self
    }

    /// Adds where more can be read.
    pub(crate) fn with_link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Adds a picture to look at.
    pub(crate) fn with_image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }
}

/// A resource of this server that holds more than the answer does.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its URI.
    pub uri: String,
    /// What it is.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its content, where that is at hand; it is not sent.
    pub data: Option<Bytes>,
}

/// A picture, as the bytes of a file.
#[derive(Clone)]
pub struct Image {
    /// The file.
    pub data: Vec<u8>,
    /// Its media type.
    pub media_type: String,
}

impl fmt::Debug for Image {
    /// Leaves the picture out: it is patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("media_type", &self.media_type)
            .field("bytes", &self.data.len())
            .finish()
    }
}

/// Member of every answer that sums it up in a sentence.
pub const SUMMARY: &str = "summary";

/// The answer of any tool.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The data, as the tool's output schema says; [`SUMMARY`] is its first member.
    pub structured: Map<String, Value>,
    /// Where more can be read.
    pub links: Vec<Link>,
    /// Pictures to look at.
    pub images: Vec<Image>,
    /// How long its JSON may be, in bytes.
    pub(crate) longest: usize,
}

impl Answer {
    /// An answer of data alone, with its summary put first.
    pub(crate) fn new(mut structured: Map<String, Value>, summary: String) -> Self {
        structured.shift_insert(0, SUMMARY.to_owned(), Value::String(summary));
        let longest = size::LONGEST_ANSWER;
        Self { structured, links: Vec::new(), images: Vec::new(), longest }
    }

    /// As it leaves: with nothing in it that cannot be seen, and no longer than clients take.
    pub(crate) fn shown(mut self) -> Self {
        self.structured.values_mut().for_each(visible::show);
        if size::cut(&mut self.structured, self.longest) {
            let summary = format!("{} Lists and texts are cut to fit an answer.", self.summary());
            self.structured.insert(SUMMARY.to_owned(), Value::String(summary));
        }
        self
    }

    /// The sentence that sums it up.
    pub fn summary(&self) -> &str {
        self.structured.get(SUMMARY).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What a client is told about a tool.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What the model reads.
    pub description: String,
    /// JSON schema of the arguments.
    pub input_schema: Map<String, Value>,
    /// JSON schema of the structured answer.
    pub output_schema: Map<String, Value>,
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
        erase(tool.call(context).await?, context)
    })
}

fn act<T: JudgedTool>(arguments: Arguments, context: &Context) -> BoxFuture<'_, Result<Answer>> {
    Box::pin(async move {
        let tool: T = arguments::parse(arguments)?;
        erase(tool.act(context).await?, context)
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
        erase(tool.carry_out(plan, context).await?, context)
    })
}

/// Names the data store where the caller left it out, so that the answer says what it is about.
fn erase<T: Serialize>(reply: Reply<T>, context: &Context) -> Result<Answer> {
    let mut structured = to_object(&reply.output)?;
    let mut summary = reply.summary;
    if let Some(chosen) = context.chosen_datastore() {
        structured.entry("datastore_id").or_insert_with(|| Value::from(chosen.as_str()));
        summary = format!("{summary} Data store {chosen} was used, the only one that is active.");
    }
    let mut answer = Answer::new(structured, summary);
    (answer.links, answer.images) = (reply.links, reply.images);
    answer.longest = reply.longest;
    Ok(answer)
}

/// A value that is an object in JSON.
pub(crate) fn to_object<T: Serialize>(value: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::internal("the answer is not an object", "not an object")),
        Err(error) => Err(Error::internal("the answer could not be written as JSON", error)),
    }
}
