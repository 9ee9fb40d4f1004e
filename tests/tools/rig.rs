//! A server over a fresh store for one case, and the few steps that most cases begin with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_objects::{Objects, ObjectsConfig, file_uri};
use healthimaging_phantoms::{Archive, PhantomFile, write_to};
use healthimaging_redact::Redactor;
use healthimaging_tools::{Answer, Confirm, Consent, Offer, Server, ServerOptions};
use healthimaging_workflows::{BackEnd, Ledger, LedgerConfig, OpenPeer, Peer, Peers, Side, Tools};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a back end is opened with.
pub(crate) struct Opening {
    /// Where it keeps its data.
    pub(crate) data_dir: PathBuf,
    /// The folder that `file://` may touch.
    pub(crate) allowed: PathBuf,
}

/// How a rig opens its back end.
pub(crate) type Open = fn(Opening) -> BoxFuture<'static, BackEnd>;

/// A server over a store of its own.
pub(crate) struct Rig {
    pub(crate) server: Server,
    ledger: Ledger,
    folder: TempDir,
}

/// A small archive: two patients with two studies of two series of three slices.
pub(crate) const ARCHIVE: Archive =
    Archive { patients: 2, studies: 2, series: 2, instances: 3, size: 32, seed: 7, noise: 18.0 };

fn server(ledger: &Ledger, offer: Offer, confirm: Confirm) -> Server {
    let options = ServerOptions {
        offer,
        confirm,
        backend: "A store for tests.".to_owned(),
        ..ServerOptions::default()
    };
    Server::new(ledger.clone(), options).unwrap()
}

impl Rig {
    /// A rig with an empty store; what is planned is done at once.
    pub(crate) async fn new(open: Open) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let allowed = folder.path().join("objects");
        std::fs::create_dir(&allowed).unwrap();
        let opening = Opening { data_dir: folder.path().join("data"), allowed: allowed.clone() };
        let back_end = open(opening).await;
        let objects = Objects::new(ObjectsConfig {
            allowed_paths: vec![allowed],
            ..ObjectsConfig::default()
        });
        let ledger = folder.path().join("ledger");
        let jobs = Arc::new(JobsFile::open(&ledger).unwrap());
        let config = LedgerConfig::new(ledger, "test");
        let tools = Tools::in_process(back_end, objects, folder.path());
        let ledger = Ledger::open(config, jobs, tools).unwrap();
        Self { server: server(&ledger, Offer::All, Confirm::Never), ledger, folder }
    }

    /// The same, where what is planned needs a token.
    pub(crate) fn confirming(mut self) -> Self {
        self.server = server(&self.ledger, Offer::All, Confirm::Auto);
        self
    }

    /// A server over the same store that keeps the identity of patients from its callers.
    pub(crate) fn redacting(&self, redactor: Arc<Redactor>) -> Server {
        self.server.redacting(redactor)
    }

    /// The back end.
    pub(crate) fn back_end(&self) -> BackEnd {
        self.ledger.tools().back_end.clone()
    }

    /// A server that has this back end and the one of another rig.
    pub(crate) fn beside(&self, own: Side, other: &Self) -> Server {
        #[derive(Debug)]
        struct Other(BackEnd);
        #[async_trait::async_trait]
        impl OpenPeer for Other {
            async fn open(&self) -> healthimaging::Result<Peer> {
                Ok(Peer { key: "other".to_owned(), back_end: self.0.clone() })
            }
        }
        let folder = self.folder.path().join("ledger beside");
        let jobs = Arc::new(JobsFile::open(&folder).unwrap());
        let tools = self.ledger.tools().clone();
        let tools = Tools { peers: Peers::new(own, Box::new(Other(other.back_end()))), ..tools };
        let ledger = Ledger::open(LedgerConfig::new(folder, "beside"), jobs, tools).unwrap();
        server(&ledger, Offer::All, Confirm::Never)
    }

    /// The same, where nothing may be deleted either.
    pub(crate) fn without_deletions(mut self) -> Self {
        self.server = server(&self.ledger, Offer::NoDelete, Confirm::Auto);
        self
    }

    /// The folder that `file://` may touch.
    pub(crate) fn allowed(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    /// Where the store keeps frames.
    pub(crate) fn packs(&self) -> PathBuf {
        self.folder.path().join("data").join("packs")
    }

    /// Every file of the ledger.
    pub(crate) fn ledger_files(&self) -> Vec<PathBuf> {
        files_below(&self.folder.path().join("ledger"))
    }

    /// Calls a tool; an error is handed out as the caller reads it.
    pub(crate) async fn answer(&self, tool: &str, arguments: Value) -> Result<Answer, Value> {
        let Value::Object(arguments) = arguments else {
            panic!("not an object");
        };
        let called = self.server.call(tool, arguments, Consent::Unavailable);
        called.await.map_err(|error| Value::Object(healthimaging_tools::error_document(&error)))
    }

    /// Calls a tool that has to do what is asked.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        match self.answer(tool, arguments).await {
            Ok(answer) => Value::Object(answer.structured),
            Err(error) => panic!("{tool}: {error}"),
        }
    }

    /// Calls a tool that has to refuse, with an error of this type.
    pub(crate) async fn refusal(&self, tool: &str, arguments: Value, kind: &str) -> String {
        match self.answer(tool, arguments).await {
            Ok(Answer { structured, .. }) => panic!("{tool} did it: {}", json!(structured)),
            Err(error) => {
                assert_eq!(error["type"], kind, "{tool}: {error}");
                error["message"].as_str().unwrap().to_owned()
            }
        }
    }

    /// A new data store.
    pub(crate) async fn datastore(&self) -> String {
        let asked = json!({ "datastore_name": "ward", "wait_seconds": 60 });
        let made = self.call("create_datastore", asked).await;
        made["datastore_id"].as_str().unwrap().to_owned()
    }

    /// Imports files into a data store.
    pub(crate) async fn import(
        &self,
        datastore: &str,
        files: impl IntoIterator<Item = PhantomFile>,
    ) {
        let folder = tempfile::tempdir_in(self.allowed()).unwrap();
        write_to(folder.path(), files).unwrap();
        let outcome = tempfile::tempdir_in(self.allowed()).unwrap();
        let asked = json!({
            "datastore_id": datastore,
            "input_s3_uri": uri(folder.path()),
            "output_s3_uri": uri(outcome.path()),
            "data_access_role_arn": "arn:aws:iam::000000000000:role/import",
            "wait_seconds": 120
        });
        let job = self.call("start_dicom_import_job", asked).await;
        assert_eq!(job["job_status"], "COMPLETED", "{job}");
    }

    /// A new data store that holds [`ARCHIVE`].
    pub(crate) async fn filled(&self) -> String {
        let datastore = self.datastore().await;
        self.import(&datastore, ARCHIVE.files()).await;
        datastore
    }
}

/// A folder as a URI.
pub(crate) fn uri(folder: &Path) -> String {
    file_uri(folder).unwrap().to_string()
}

/// Every file below a folder; there is one at least.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}
