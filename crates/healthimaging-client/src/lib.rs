#![doc = include_str!("../README.md")]

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::ServiceExt as _;
use rmcp::model::{
    CallToolRequestParams, ImageContent, ReadResourceRequestParams, ResourceContents,
};
use rmcp::service::{RoleClient, RunningService, ServiceError};
use rmcp::transport::TokioChildProcess;
use serde_json::{Map, Value};
use tokio::process::Command;

use healthimaging::{Error, ErrorKind, Result};

/// A client of one server process, which ends with it. It cannot ask its user anything.
#[derive(Debug)]
pub struct Client(RunningService<RoleClient, ()>);

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
        let Self { data, media_type } = self;
        write!(f, "Image({media_type}, {} bytes)", data.len())
    }
}

/// Answer of a tool.
#[derive(Debug, Clone)]
pub struct ToolAnswer {
    /// The data: the structured content or, where there is none, the JSON of the first text block;
    /// `null` when there is neither.
    pub structured: Value,
    /// The text blocks, one a line.
    pub text: String,
    /// The pictures.
    pub images: Vec<Image>,
    /// Whether it is an error.
    pub is_error: bool,
}

/// How a server introduces itself.
#[derive(Debug, Clone)]
pub struct ServerIntroduction {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How to use it, for a model.
    pub instructions: String,
}

impl Client {
    /// Starts a server and initializes the session; its standard error stays the caller's.
    pub async fn spawn(command: Command) -> Result<Self> {
        let process = TokioChildProcess::new(command)
            .map_err(|error| Error::internal("the server could not be started", error))?;
        let running = ()
            .serve(process)
            .await
            .map_err(|error| Error::internal("the server did not answer `initialize`", error))?;
        Ok(Self(running))
    }

    /// The introduction of the server, if it sent one.
    pub fn server(&self) -> Option<ServerIntroduction> {
        let info = self.0.peer_info()?;
        let server = info.server_info.clone()?;
        Some(ServerIntroduction {
            name: server.name,
            version: server.version,
            instructions: info.instructions.clone().unwrap_or_default(),
        })
    }

    /// Names of the tools.
    pub async fn tools(&self) -> Result<Vec<String>> {
        let tools = self.0.list_all_tools().await.map_err(failed)?;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Name and URI of the resources.
    pub async fn resources(&self) -> Result<Vec<(String, String)>> {
        let resources = self.0.list_all_resources().await.map_err(failed)?;
        Ok(resources.into_iter().map(|resource| (resource.name, resource.uri)).collect())
    }

    /// The text of a resource.
    pub async fn read_resource(&self, uri: &str) -> Result<String> {
        let request = ReadResourceRequestParams::new(uri);
        let read = self.0.read_resource(request).await.map_err(failed)?;
        let texts = read.contents.into_iter().filter_map(|content| match content {
            ResourceContents::TextResourceContents { text, .. } => Some(text),
            _ => None,
        });
        Ok(texts.collect())
    }

    /// The bytes of a resource.
    pub async fn read_resource_bytes(&self, uri: &str) -> Result<Vec<u8>> {
        let request = ReadResourceRequestParams::new(uri);
        let read = self.0.read_resource(request).await.map_err(failed)?;
        let mut bytes = Vec::new();
        for content in read.contents {
            if let ResourceContents::BlobResourceContents { blob, .. } = content {
                let decoded = STANDARD.decode(blob);
                bytes.extend(
                    decoded
                        .map_err(|error| Error::internal("the resource is not base64", error))?,
                );
            }
        }
        Ok(bytes)
    }

    /// Calls a tool; an error of the tool is returned as an answer.
    pub async fn call_tool(&self, name: &str, arguments: Map<String, Value>) -> Result<ToolAnswer> {
        let request = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let result = self.0.call_tool(request).await.map_err(failed)?;
        let texts: Vec<&str> = result
            .content
            .iter()
            .filter_map(|block| block.as_text())
            .map(|block| block.text.as_str())
            .collect();
        let from_text = || texts.first().and_then(|text| serde_json::from_str(text).ok());
        let images = result.content.iter().filter_map(|block| block.as_image());
        Ok(ToolAnswer {
            images: images.map(picture).collect::<Result<_>>()?,
            structured: result.structured_content.clone().or_else(from_text).unwrap_or_default(),
            text: texts.join("\n"),
            is_error: result.is_error == Some(true),
        })
    }

    /// Closes the session and waits for the server to end.
    pub async fn close(self) -> Result<()> {
        let ended = self.0.cancel().await;
        ended.map_err(|error| Error::internal("the server did not end cleanly", error))?;
        Ok(())
    }
}

fn picture(block: &ImageContent) -> Result<Image> {
    let data = STANDARD
        .decode(&block.data)
        .map_err(|error| Error::internal("the picture is not base64", error))?;
    Ok(Image { data, media_type: block.mime_type.clone() })
}

fn failed(error: ServiceError) -> Error {
    match error {
        ServiceError::McpError(refusal) => {
            Error::new(ErrorKind::BadRequest, refusal.message.clone().into_owned())
                .with_source(refusal)
        }
        error => Error::internal("the connection to the server broke", error),
    }
}
