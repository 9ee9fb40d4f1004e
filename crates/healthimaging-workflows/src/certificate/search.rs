//! The search of a store and its data folder for what a certificate lists.

use std::ops::ControlFlow;
use std::sync::Arc;

use healthimaging::{Error, Result, Timestamp};
use healthimaging_audit::Keys;

use super::folder::{Folder, Reach};
use super::identifiers::Digests;
use super::matcher::{Findings, Matcher};
use super::read_packs::ReadPacks;
use super::scan::StoreScan;
use super::verification::{Check, Request};

/// What happens in a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// So many bytes more were read.
    Read(u64),
    /// So many packs of all were read.
    Packs {
        /// Those that were read.
        read: u64,
        /// All.
        of: u64,
    },
    /// A search that was interrupted is continued.
    Continues {
        /// When it was begun.
        begun_at: Timestamp,
        /// Packs that were read and have not changed; they are not read again.
        packs: u64,
        /// Bytes that were searched in them.
        bytes: u64,
        /// Packs that have changed since they were read; they are read again.
        changed: u64,
    },
    /// A search that was interrupted is begun anew, for this reason.
    Restarts(&'static str),
    /// If this search is interrupted, it cannot be continued, for this reason.
    NotResumable(String),
}

/// Called as a search goes on; it ends the search.
pub(super) type Watch = Box<dyn FnMut(Event) -> ControlFlow<()> + Send>;

/// What is searched, and for what.
pub(super) struct Search {
    pub(super) request: Request,
    pub(super) digests: Digests,
    pub(super) keys: Arc<Keys>,
    pub(super) scan: Arc<dyn StoreScan>,
}

impl Search {
    /// Searches. Of the job `except` nothing is searched. Blocks.
    ///
    /// Packs come first, as far as they are recorded in `packs`: they are most of a store, and what they hold does not change. All
    /// that changes is read afterwards, by each process that continues the search.
    pub(super) fn run(
        self,
        mut packs: Option<ReadPacks>,
        except: &str,
        watch: &mut Watch,
    ) -> Result<(Findings, Check)> {
        let Self { request, digests, keys, scan } = self;
        let values = request.values.iter().map(String::as_str);
        let mut matcher = Matcher::new(keys, &digests, values)?;
        let values_as_bytes = matcher.texts();
        let mut is_ended = false;
        let mut packs_read_before = 0;
        let mut progress = |event: Event| {
            if let Event::Continues { packs, .. } = &event {
                packs_read_before = *packs;
            }
            let flow = watch(event);
            is_ended |= flow.is_break();
            flow
        };
        let reach = if request.full { Reach::Full } else { Reach::WithJobs };
        let folder = Folder { data_folder: &request.data_folder, reach, except: "", store: &*scan };
        let mut flow = ControlFlow::Continue(());
        if let Some(packs) = &mut packs
            && let Err(error) = folder.read_packs(&mut matcher, packs, &mut progress)
        {
            flow = progress(Event::NotResumable(error.message().to_owned()));
        }
        let mut before = 0;
        if flow.is_continue() {
            scan.walk(except, &mut |piece, place| {
                matcher.visit(piece, place);
                let flow = progress(Event::Read(matcher.findings.bytes - before));
                before = matcher.findings.bytes;
                flow
            })?;
        }
        let unread = folder.search(&mut matcher, packs.as_ref(), &mut progress);
        if is_ended {
            return Err(Error::conflict("the search was ended before it was complete"));
        }
        let findings = matcher.findings;
        let check = Check {
            method: method(&request, values_as_bytes, packs_read_before),
            digests: digests.all().count(),
            values_as_bytes,
            values_not_of_certificate: request.values.len() - values_as_bytes,
            pieces: findings.pieces,
            bytes: findings.bytes,
            packs_read_before,
            unread,
        };
        Ok((findings, check))
    }
}

/// What was searched, and by what, in sentences.
fn method(request: &Request, values_as_bytes: usize, packs_read_before: u64) -> Vec<String> {
    let mut method = vec![
        "Signature: verified with the public key of this store.".to_owned(),
        "By digest: every UID, every whole value and every word of the rows of the catalog and of the ledger of jobs, of \
         documents (unpacked), of the audit log and of outcome files of imports."
            .to_owned(),
        "By checksum and length: every stored frame.".to_owned(),
        "In the bytes of the catalog, of its write-ahead log and of the file of jobs: UIDs by digest.".to_owned(),
    ];
    method.push(if request.full {
        "All files of the data folder were read, with all packs.".to_owned()
    } else {
        "Packs were not read: their frames are compared by the list in the catalog. --full reads all files.".to_owned()
    });
    if packs_read_before > 0 {
        method.push(format!(
            "The search was interrupted and continued: {packs_read_before} of the packs were read before the interruption, and \
             are the same files since, by length and times. Everything else was read afterwards."
        ));
    }
    method.push(match values_as_bytes {
        0 => "No value was searched as bytes; --values FILE does.".to_owned(),
        values => format!("As bytes: {values} given values that the certificate is about."),
    });
    method
}
