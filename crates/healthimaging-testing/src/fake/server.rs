//! An MCP server over the fake.

use std::sync::Arc;

use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_objects::{Objects, ObjectsConfig};
use healthimaging_tools::{Confirm, Offer, ResultForm, Server, ServerOptions};
use healthimaging_workflows::{BackEnd, Ledger, LedgerConfig, Tools};

use super::Fake;

impl Fake {
    /// Makes a server.
    pub fn server(&self, offer: Offer, confirm: Confirm) -> Server {
        self.server_with(offer, confirm, ResultForm::Both)
    }

    /// Makes a server whose results have this form.
    pub fn server_with(&self, offer: Offer, confirm: Confirm, result: ResultForm) -> Server {
        self.server_of(ServerOptions { offer, confirm, result, ..ServerOptions::default() })
    }

    /// Makes a server with these options.
    pub fn server_of(&self, options: ServerOptions) -> Server {
        let options = ServerOptions { backend: "A fake, for tests.".to_owned(), ..options };
        let back_end =
            BackEnd { service: Arc::new(self.clone()), dicomweb: Arc::new(self.clone()) };
        let folder = self.1.get_or_init(|| tempfile::tempdir().unwrap());
        let folder = folder.path().to_path_buf();
        let jobs = Arc::new(JobsFile::open(&folder).unwrap());
        let config = LedgerConfig::new(folder.clone(), "fake");
        let objects = Objects::new(ObjectsConfig::default());
        let tools = Tools::in_process(back_end, objects, folder);
        let ledger = Ledger::open(config, jobs, tools).unwrap();
        Server::new(ledger, options).unwrap()
    }
}
