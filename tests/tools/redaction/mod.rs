//! `--redact-phi`: nothing that identifies a patient leaves, tools work by tokens, and guesses find nothing.

mod conversations;
mod dates;
mod every_tool;
mod guesses;
mod tokens;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use healthimaging_redact::Redactor;
use healthimaging_tools::{Consent, Server, error_document};
use healthimaging_workflows::deidentify::data_folder_key;
use serde_json::Value;

use crate::rig::Rig;

pub(crate) use conversations::conversations_by_tokens_show_nothing_and_do_their_work;
pub(crate) use dates::dates_keep_their_intervals;
pub(crate) use every_tool::no_tool_shows_what_identifies_a_patient;
pub(crate) use guesses::guesses_find_nothing;
pub(crate) use tokens::tokens_open_as_their_attribute_only;

/// A server with redaction, and what must not leave it.
pub(crate) struct Veil<'a> {
    rig: &'a Rig,
    pub(crate) server: Server,
    redactor: Arc<Redactor>,
    secrets: BTreeSet<String>,
    /// Tools that were called.
    pub(crate) called: Mutex<BTreeSet<String>>,
}

impl<'a> Veil<'a> {
    pub(crate) fn new(
        rig: &'a Rig,
        is_strict: bool,
        secrets: impl IntoIterator<Item = String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A known key: by a random one, the shifted date of a patient may be the real one of another.
        let file = folder.path().join("deidentify.key");
        std::fs::write(&file, "5a".repeat(32)).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let key = data_folder_key(folder.path()).unwrap();
        let redactor = Arc::new(Redactor::new(&key, is_strict).unwrap());
        let server = rig.redacting(Arc::clone(&redactor));
        let secrets = secrets.into_iter().collect();
        Self { rig, server, redactor, secrets, called: Mutex::default() }
    }

    pub(crate) fn token(&self, attribute: &str, value: &str) -> String {
        self.redactor.token(attribute, value).unwrap()
    }

    pub(crate) fn uid(&self, uid: &str) -> String {
        self.token("StudyInstanceUID", uid)
    }

    /// Fails if a text holds a secret.
    fn check(&self, about: &str, text: &str) {
        if let Some(secret) = self.found(text) {
            panic!("{about} shows {secret}: {text}");
        }
    }

    /// The first secret that a text holds as a word; UIDs and dates count anywhere.
    pub(crate) fn found(&self, text: &str) -> Option<&str> {
        let lower = text.to_lowercase();
        let is_in = |secret: &&String| {
            let is_date = secret.len() == 8 && secret.bytes().all(|byte| byte.is_ascii_digit());
            let is_anywhere = is_date || secret.matches('.').count() > 1;
            let wanted = secret.to_lowercase();
            lower.match_indices(&wanted).any(|(at, _)| {
                let before = lower[..at].chars().next_back();
                let after = lower[at + wanted.len()..].chars().next();
                let is_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
                is_anywhere || !is_word(before) && !is_word(after)
            })
        };
        self.secrets.iter().find(is_in).map(String::as_str)
    }

    /// Calls a tool, and looks through all of the answer or of the error.
    pub(crate) async fn try_call(&self, tool: &str, arguments: &Value) -> Result<Value, Value> {
        let Value::Object(given) = arguments.clone() else { panic!("not an object") };
        self.called.lock().unwrap().insert(tool.to_owned());
        match self.server.call(tool, given, Consent::Unavailable).await {
            Ok(answer) => {
                let links: Vec<_> = answer.links.iter().map(|link| &link.uri).collect();
                self.check(tool, &format!("{links:?}"));
                // A picture may have texts beside its pixels.
                for image in &answer.images {
                    self.check(tool, &String::from_utf8_lossy(&image.data));
                }
                let structured = Value::Object(answer.structured);
                self.check(tool, &structured.to_string());
                Ok(structured)
            }
            Err(error) => {
                let error = Value::Object(error_document(&error));
                self.check(tool, &error.to_string());
                Err(error)
            }
        }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.try_call(tool, &arguments).await;
        answer.unwrap_or_else(|error| panic!("{tool} {arguments}: {error}"))
    }

    async fn refusal(&self, tool: &str, arguments: Value) -> String {
        match self.try_call(tool, &arguments).await {
            Ok(answer) => panic!("{tool} did it: {arguments} {answer}"),
            Err(error) => {
                assert_eq!(error["type"], "validation_error", "{tool}: {error}");
                error["message"].as_str().unwrap().to_owned()
            }
        }
    }

    /// A call that is planned, and confirmed with the token.
    async fn confirmed(&self, tool: &str, mut arguments: Value) -> Value {
        let planned = self.call(tool, arguments.clone()).await;
        arguments["confirmation_token"] = planned["confirmation_token"].clone();
        self.call(tool, arguments).await
    }
}

/// What identifies the patients of [`filled`](crate::conversations::filled).
fn of_conversations() -> Vec<String> {
    let mut secrets: Vec<String> = [
        "DOE^JANE", "ROE^MARY", "POE^RITA", "DOE", "JANE", "ROE", "MARY", "POE", "RITA", "MRN-1",
        "MRN-2", "MRN-20", "MRN-4", "A0", "A1", "B1", "C1", "C2", "2.25.100", "2.25.101",
        "2.25.200", "2.25.201", "2.25.400", "2.25.91", "2.25.92", "2.25.93",
    ]
    .map(str::to_owned)
    .into();
    for day in ["19700101", "19550505", "19600202", "20240301", "20220301", "20250110", "20250401"]
    {
        secrets.push(day.to_owned());
        secrets.push(format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]));
    }
    secrets
}
