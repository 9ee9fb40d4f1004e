//! Who makes a call. The face that receives a call sets it for the task that carries the call out.

use std::sync::OnceLock;

use tokio::task_local;

/// Longest text of a client that is recorded, in characters.
const LONGEST: usize = 100;

task_local! {
    static ACTOR: Actor;
}

/// Who makes a call, through which face, and how it was agreed to. None of it is patient data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// The face: `mcp stdio`, `mcp http`, `aws api`, `dicomweb`, `command line` or `job`.
    pub door: Option<&'static str>,
    /// What the caller authenticated with: `token`, or `key` and the ID of the access key; never a secret.
    pub credential: Option<String>,
    /// Name of the client.
    pub client: Option<String>,
    /// Version of the client.
    pub client_version: Option<String>,
    /// The session, as a digest.
    pub session: Option<String>,
    /// ID of the request.
    pub request_id: Option<String>,
    /// The tool or command that makes the call.
    pub tool: Option<String>,
    /// How the call was agreed to.
    pub agreed: Option<&'static str>,
    /// The job that makes the call.
    pub job: Option<String>,
    /// Whether the record of the tool that makes the call is durable and names what it destroys.
    pub is_announced: bool,
}

impl Actor {
    /// Creates the actor of a face.
    pub fn at(door: &'static str) -> Self {
        Self { door: Some(door), ..Self::default() }
    }

    /// Creates the actor of a job of this program; `tool` is the tool that started it.
    pub fn job(job_id: &str, tool: &str) -> Self {
        Self { job: Some(job_id.to_owned()), tool: Some(tool.to_owned()), ..Self::at("job") }
    }

    /// Returns the actor of the current task; an empty one if no face set any.
    pub fn current() -> Self {
        ACTOR.try_with(Self::clone).unwrap_or_default()
    }

    /// Sets the client, as it names itself; long and invisible text is shortened.
    #[must_use]
    pub fn with_client(mut self, name: &str, version: Option<&str>) -> Self {
        self.client = Some(shortened(name));
        self.client_version = version.map(shortened);
        self
    }
}

/// Runs `work` as `actor`.
pub async fn as_actor<F: Future>(actor: Actor, work: F) -> F::Output {
    ACTOR.scope(actor, work).await
}

/// Returns the visible characters of a text, up to a maximum.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// Returns the user of the operating system that runs this process.
pub fn os_user() -> &'static str {
    static USER: OnceLock<String> = OnceLock::new();
    USER.get_or_init(name_of_user)
}

#[cfg(unix)]
fn name_of_user() -> String {
    let id = nix::unistd::Uid::effective();
    match nix::unistd::User::from_uid(id) {
        Ok(Some(user)) => shortened(&user.name),
        _ => format!("uid {id}"),
    }
}

#[cfg(not(unix))]
fn name_of_user() -> String {
    shortened(&std::env::var("USERNAME").unwrap_or_default())
}
