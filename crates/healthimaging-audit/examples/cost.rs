//! Measures what a record costs: appended, and made durable. `cargo run --release -p healthimaging-audit --example cost [FOLDER]`
#![expect(clippy::print_stdout, reason = "the result")]

use std::time::{Duration, Instant};

use healthimaging::{Effect, Error, Result};
use healthimaging_audit::{AuditLevel, AuditLog, Entry, Recorded};

const RECORDS: u32 = 2000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/audit-cost".to_owned());
    let log = AuditLog::new(folder.as_ref(), AuditLevel::Writes, None);
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    let (mut written, mut announced) = (Vec::new(), Vec::new());
    for _ in 0..RECORDS {
        let start = Instant::now();
        let entry = Entry::operation("StoreInstances", Effect::Writes);
        log.begin(entry).end(Recorded::default(), None);
        written.push(start.elapsed());
    }
    for _ in 0..RECORDS {
        let start = Instant::now();
        let entry = Entry::operation("DeleteImageSet", Effect::Destroys);
        log.announce(entry).await?.end(Recorded::default(), None::<&Error>);
        announced.push(start.elapsed());
    }
    log.flush().await?;
    println!(
        "a write: {:?}; what destroys, two records and a sync: {:?}",
        median(written),
        median(announced)
    );
    Ok(())
}
