//! What one record says.

use chrono::{DateTime, SecondsFormat, Utc};
use healthimaging::{Effect, Error};
use serde_json::{Map, Value, json};

use crate::actor::{Actor, os_user};
use crate::arguments::Recorded;

/// A record before it has its place in the chain.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Links the two records of a call that destroys or takes long.
    pub(crate) call: String,
    pub(crate) effect: Effect,
    /// What was called: a tool, an operation or a command.
    what: (&'static str, String),
    actor: Actor,
    arguments: Map<String, Value>,
    objects: Map<String, Value>,
    pub(crate) outcome: Option<String>,
    /// Whether a record of its begin comes first.
    is_long: bool,
}

impl Entry {
    fn new(kind: &'static str, name: &str, effect: Effect) -> Self {
        Self {
            call: healthimaging::random_hex().unwrap_or_default().chars().take(16).collect(),
            effect,
            what: (kind, name.to_owned()),
            actor: Actor::current(),
            arguments: Map::new(),
            objects: Map::new(),
            outcome: None,
            is_long: effect == Effect::Destroys,
        }
    }

    /// Has a record of its begin too, so that what is killed before it ends leaves one.
    #[must_use]
    pub fn long(self) -> Self {
        Self { is_long: true, ..self }
    }

    pub(crate) fn is_long(&self) -> bool {
        self.is_long
    }

    /// A call of a tool by the actor of the current task.
    pub fn tool(name: &str, effect: Effect) -> Self {
        Self::new("tool", name, effect)
    }

    /// An operation of a back end.
    pub fn operation(name: &str, effect: Effect) -> Self {
        Self::new("operation", name, effect)
    }

    /// A command of the command line.
    pub fn command(name: &str, effect: Effect) -> Self {
        Self::new("command", name, effect)
    }

    /// Adds arguments, by name; values only as far as they may be recorded.
    #[must_use]
    pub fn with_arguments(mut self, arguments: Recorded) -> Self {
        self.arguments.extend(arguments.0);
        self
    }

    /// Adds objects: what the call is about, or what it made.
    #[must_use]
    pub fn with_objects(mut self, objects: Recorded) -> Self {
        self.objects.extend(objects.0);
        self
    }

    /// Sets how the call was agreed to.
    #[must_use]
    pub fn agreed(mut self, how: &'static str) -> Self {
        self.actor.agreed = Some(how);
        self
    }

    /// Sets the outcome.
    #[must_use]
    pub fn ended(mut self, error: Option<&Error>) -> Self {
        self.outcome = Some(match error {
            None => "done".to_owned(),
            Some(error) => format!("failed: {}", error.kind().public_type().as_str()),
        });
        self
    }

    /// Sets an outcome that is neither success nor an error.
    #[must_use]
    pub fn with_outcome(mut self, outcome: &str) -> Self {
        self.outcome = Some(outcome.to_owned());
        self
    }

    /// What the call does to the data.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The actor of the calls that the call makes.
    pub fn actor(&self) -> Actor {
        let tool = (self.what.0 == "tool").then(|| self.what.1.clone());
        Actor { tool: tool.or_else(|| self.actor.tool.clone()), ..self.actor.clone() }
    }

    /// As [`actor`](Self::actor), of a call whose record is durable.
    pub fn announced(&self) -> Actor {
        Actor { is_announced: true, ..self.actor() }
    }

    /// Whether a durable record names what this call destroys.
    pub(crate) fn is_announced(&self) -> bool {
        self.actor.is_announced
    }

    /// Returns the line up to its hash.
    pub(crate) fn line(&self, sequence: u64, previous: &str, time: DateTime<Utc>) -> String {
        let mut record = Map::new();
        record.insert("sequence".to_owned(), json!(sequence));
        let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        record.insert("time".to_owned(), json!(time));
        let event = match (&self.outcome, self.is_long) {
            (None, _) => "begin",
            (Some(_), true) => "end",
            (Some(_), false) => "call",
        };
        record.insert("event".to_owned(), json!(event));
        record.insert("call".to_owned(), json!(self.call));
        let Actor { door, credential, client, client_version, session, .. } = &self.actor;
        record.insert("user".to_owned(), json!(os_user()));
        let mut text = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                record.insert(name.to_owned(), json!(value));
            }
        };
        text("door", *door);
        text("credential", credential.as_deref());
        text("client", client.as_deref());
        text("client_version", client_version.as_deref());
        text("session", session.as_deref());
        text("request_id", self.actor.request_id.as_deref());
        text("job", self.actor.job.as_deref());
        if self.what.0 == "operation" {
            text("tool", self.actor.tool.as_deref());
        }
        text(self.what.0, Some(&self.what.1));
        text("effect", Some(self.effect.as_str()));
        text("agreed", self.actor.agreed);
        for (name, members) in [("arguments", &self.arguments), ("objects", &self.objects)] {
            if !members.is_empty() {
                record.insert(name.to_owned(), json!(members));
            }
        }
        if let Some(outcome) = &self.outcome {
            record.insert("outcome".to_owned(), json!(outcome));
        }
        record.insert("previous".to_owned(), json!(previous));
        let mut line = Value::Object(record).to_string();
        // Its end, `}`, follows the hash.
        line.pop();
        line
    }
}
