//! The server with the Model Context Protocol, in both eras: with `initialize`, and without.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams,
    CompleteResult, ContentBlock, DiscoverResult, Extensions, GetPromptRequestParams,
    GetPromptResponse, Icon, Implementation, InitializeRequestParams, InitializeResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    MetaObject, PaginatedRequestParams, ProgressNotificationParam, ProgressToken, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, Resource, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool, ToolAnnotations,
};
use rmcp::service::{Peer, RequestContext, ServiceError, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use healthimaging::{Error, Grant, Result, random_hex};
use healthimaging_audit::{Actor, as_actor};
use healthimaging_viewer::{RESOURCE_MEDIA_TYPE, RESOURCE_URI};

use crate::answer::Answer;
use crate::arguments::Arguments;
use crate::base64_text;
use crate::complete;
use crate::context::{Caller, DEFAULT_WAIT, Progress};
use crate::elicitation::{ask_by_answer, consent};
use crate::failure::error_document;
use crate::instructions::instructions;
use crate::options::{ResultForm, Schemas, ServerOptions};
use crate::outcome::Outcome;
use crate::prompts;
use crate::resources;
use crate::server::Server;
use crate::tool::{Effect, ToolEntry};

/// How long clients may cache the list of tools, in milliseconds: it never changes.
const TOOLS_FRESH_MS: u64 = 3_600_000;

/// Metadata by which Claude Code accepts longer answers of a tool, in characters, and its maximum.
const MAX_RESULT_SIZE: &str = "anthropic/maxResultSizeChars";
const LARGEST_RESULT: u32 = 500_000;

/// Metadata by which Claude loads a tool at the start where others are searched for.
const ALWAYS_LOAD: &str = "anthropic/alwaysLoad";

/// The extension by which clients show MCP Apps.
const UI_EXTENSION: &str = "io.modelcontextprotocol/ui";

/// Slices behind each other.
const ICON: &str = include_str!("icon.svg");

/// The server as a handler of the protocol.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    server: Server,
    /// The tools as clients list them, described once.
    tools: Arc<OnceLock<Vec<Tool>>>,
    /// Identifies the conversation over stdio in the audit log.
    session: String,
}

impl Handler {
    pub(crate) fn new(server: Server) -> Self {
        let session = random_hex().unwrap_or_default().chars().take(16).collect();
        Self { server, tools: Arc::default(), session }
    }

    /// Who makes a request: over HTTP, what the server of HTTP found out; the client as it names itself.
    fn actor(&self, context: &RequestContext<RoleServer>) -> Actor {
        let head = context.extensions.get::<http::request::Parts>();
        let actor = match head {
            Some(head) => head.extensions.get::<Actor>().cloned().unwrap_or_default(),
            None => Actor {
                session: Some(self.session.clone()),
                request_id: Some(context.id.to_string()),
                ..Actor::at("mcp stdio")
            },
        };
        match context.client_info() {
            Some(client) => actor.with_client(&client.name, Some(&client.version)),
            None => actor,
        }
    }

    /// The server as the caller of a request may use it.
    fn server(&self, context: &RequestContext<RoleServer>) -> Result<Server, ErrorData> {
        self.server
            .granted(&granted(&context.extensions))
            .map_err(|error| ErrorData::internal_error(error.message().to_owned(), None))
    }

    fn tools(&self) -> &[Tool] {
        let options = self.server.options();
        self.tools.get_or_init(|| self.server.tools().map(|tool| describe(tool, options)).collect())
    }
}

/// What the server of HTTP grants the caller of a request; over stdio everything.
fn granted(extensions: &Extensions) -> Grant {
    let head = extensions.get::<http::request::Parts>();
    head.and_then(|head| head.extensions.get::<Grant>()).cloned().unwrap_or_default()
}

impl ServerHandler for Handler {
    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut answer = self.negotiate_initialize(&request)?;
        answer.instructions = Some(instructions(self.server(&context)?.options()));
        Ok(answer)
    }

    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_prompts()
            .enable_completions()
            .build();
        let mut info =
            ServerConfig::new(capabilities).with_instructions(instructions(self.server.options()));
        info.server_info =
            Implementation::new("healthimaging-mcp-server", env!("CARGO_PKG_VERSION"));
        let title = if self.server.options().is_embedded {
            "HealthImaging with the embedded store"
        } else {
            "AWS HealthImaging"
        };
        info.server_info.title = Some(title.to_owned());
        info.server_info.icons = Some(vec![icon()]);
        info
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let info =
            self.get_info().with_instructions(instructions(self.server(&context)?.options()));
        Ok(DiscoverResult::from_server_info(versions, info)
            .with_ttl_ms(TOOLS_FRESH_MS)
            .with_cache_scope(cache_scope(&context)))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let server = self.server(&context)?;
        let is_offered = |tool: &&Tool| server.find(&tool.name).is_ok();
        let tools = self.tools().iter().filter(is_offered).cloned().collect();
        Ok(ListToolsResult::with_all_items(tools)
            .with_ttl_ms(TOOLS_FRESH_MS)
            .with_cache_scope(cache_scope(&context)))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let server = self.server(&context)?;
        let tool = server
            .find(&request.name)
            .map_err(|error| ErrorData::invalid_params(error.message().to_owned(), None))?;
        let consent = consent(&request, &context);
        let caller = Caller {
            progress: context.meta.get_progress_token().map(|token| {
                Arc::new(ProgressNotifier {
                    peer: context.peer.clone(),
                    token,
                    is_delivered: AtomicBool::new(true),
                }) as Arc<dyn Progress>
            }),
            cancelled: context.ct.clone(),
            wait: Some(DEFAULT_WAIT),
            has_apps: has_apps(&context),
        };
        let mut changes = server.datastores_changed();
        let arguments = request.arguments.unwrap_or_default();
        let work = Box::pin(server.dispatch(tool, arguments, consent, caller));
        let outcome = as_actor(self.actor(&context), work).await;
        if changes.try_recv().is_ok() && !is_modern(&context) {
            deliver(context.peer.notify_resource_list_changed(), NOTIFICATION_TIMEOUT).await;
        }
        match outcome {
            Ok(Outcome::Answer(answer)) => {
                Ok(success(tool, answer, server.options().result)?.into())
            }
            Ok(Outcome::Question { question, state }) => {
                Ok(ask_by_answer(question, state).unwrap_or_else(|error| failure(&error).into()))
            }
            Ok(Outcome::NotAgreed { error, more }) => Ok(failure_with(&error, more).into()),
            Err(error) => Ok(failure(&error).into()),
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list(&self.server(&context)?, request.and_then(|page| page.cursor)).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.server(&context)?, &request.uri).await.map(Into::into)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(prompts::list(self.server(&context)?.options()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(self.server(&context)?.options(), &request).map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        complete::complete(&self.server(&context)?, &request).await.map(CompleteResult::new)
    }

    fn accepted_subscription_filter(&self, _: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().resources_list_changed().build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.server.datastores_changed();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => match change {
                    // Missed changes count as one.
                    Ok(()) | Err(RecvError::Lagged(_)) => {
                        if context.sink().notify_resource_list_changed().await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }
}

/// The icon of the server, in itself, so that no client has to fetch it.
fn icon() -> Icon {
    let source = format!("data:image/svg+xml;base64,{}", base64_text::encoded(ICON.as_bytes()));
    Icon::new(source).with_mime_type("image/svg+xml").with_sizes(vec!["any".to_owned()])
}

fn describe(tool: &ToolEntry, options: &ServerOptions) -> Tool {
    let definition = tool.definition();
    // Defaults of the protocol are left out: the list of tools is paid for in every conversation.
    let annotations = match tool.effect {
        Effect::Reads => ToolAnnotations::new().read_only(true),
        Effect::Writes | Effect::Destroys => ToolAnnotations::new().destructive(tool.may_destroy),
    };
    let mut described = Tool::new(tool.name, definition.description, definition.input_schema);
    described.title = Some(tool.title.to_owned());
    described.output_schema = (options.schemas == Schemas::Full
        && has_structure(tool, options.result))
    .then(|| Arc::new(definition.output_schema));
    described.annotations = Some(annotations);
    let mut meta = MetaObject::new();
    if tool.is_always_loaded {
        meta.insert(ALWAYS_LOAD.to_owned(), json!(true));
    }
    if tool.is_large {
        meta.insert(MAX_RESULT_SIZE.to_owned(), json!(LARGEST_RESULT));
    }
    if tool.has_viewer {
        meta.insert("ui".to_owned(), json!({ "resourceUri": RESOURCE_URI }));
        // Hosts of before 2026 read this key.
        meta.insert("ui/resourceUri".to_owned(), json!(RESOURCE_URI));
    }
    described.meta = (!meta.is_empty()).then_some(meta);
    described
}

/// Whether the answers of a tool have structured content.
fn has_structure(tool: &ToolEntry, form: ResultForm) -> bool {
    form != ResultForm::Text && !tool.has_pictures
}

/// Returns the answer as text, structured content, or both: clients give the model only one of them.
fn success(
    tool: &ToolEntry,
    answer: Answer,
    form: ResultForm,
) -> Result<CallToolResult, ErrorData> {
    let has_structure = has_structure(tool, form);
    let text = if has_structure && form == ResultForm::Structured {
        answer.summary().to_owned()
    } else {
        serde_json::to_string(&answer.structured).map_err(|_| {
            ErrorData::internal_error("the answer could not be written as JSON", None)
        })?
    };
    let mut content = vec![ContentBlock::text(text)];
    content.extend(
        answer
            .images
            .into_iter()
            .map(|image| ContentBlock::image(base64_text::encoded(&image.data), image.media_type)),
    );
    content.extend(answer.links.into_iter().map(|link| {
        let resource =
            Resource::new(link.uri, link.name).with_mime_type(link.media_type).with_size(link.size);
        ContentBlock::resource_link(resource)
    }));
    let mut result = CallToolResult::success(content);
    result.structured_content = has_structure.then(|| Value::Object(answer.structured));
    Ok(result)
}

/// Returns an error as JSON text. Structured content would not match the output schema of the tool, and
/// clients that validate it would replace the error with their own.
fn failure(error: &Error) -> CallToolResult {
    failure_with(error, Arguments::new())
}

/// Returns an error with more members.
fn failure_with(error: &Error, more: Arguments) -> CallToolResult {
    let mut document = error_document(error);
    document.extend(more);
    let document = Value::Object(document);
    CallToolResult::error(vec![ContentBlock::text(document.to_string())])
}

/// Whether the client of a request shows MCP Apps of the viewer's media type.
fn has_apps(context: &RequestContext<RoleServer>) -> bool {
    let capabilities = context.client_capabilities();
    let extensions = capabilities.as_ref().and_then(|can| can.extensions.as_ref());
    let Some(ui) = extensions.and_then(|extensions| extensions.get(UI_EXTENSION)) else {
        return false;
    };
    let types = ui.get("mimeTypes").and_then(Value::as_array);
    types.is_none_or(|types| types.iter().any(|one| one == RESOURCE_MEDIA_TYPE))
}

/// Whether caches may share an answer between callers: with limited rights or redaction it is that of the caller.
fn cache_scope(context: &RequestContext<RoleServer>) -> CacheScope {
    let grant = granted(&context.extensions);
    if grant.rights().is_unlimited() && !grant.redacts() {
        CacheScope::Public
    } else {
        CacheScope::Private
    }
}

pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    // Versions are dates, which sort as text.
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Timeout of a notification. A client that has closed its end receives none, but still waits for answers.
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends a notification, and returns whether it was delivered in time.
async fn deliver(
    notification: impl Future<Output = Result<(), ServiceError>>,
    within: Duration,
) -> bool {
    matches!(timeout(within, notification).await, Ok(Ok(())))
}

/// Notifies the client of the progress of a call.
struct ProgressNotifier {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    is_delivered: AtomicBool,
}

#[async_trait]
impl Progress for ProgressNotifier {
    async fn report(&self, done: f64, total: Option<f64>, message: String) {
        let mut progress =
            ProgressNotificationParam::new(self.token.clone(), done).with_message(message);
        progress.total = total;
        // A client that does not receive delays the work only once.
        let is_delivered = self.is_delivered.load(Ordering::Relaxed);
        let within = if is_delivered { NOTIFICATION_TIMEOUT } else { Duration::ZERO };
        let is_delivered = deliver(self.peer.notify_progress(progress), within).await;
        self.is_delivered.store(is_delivered, Ordering::Relaxed);
    }
}
