//! Copies of rows that SQLite leaves behind.
//!
//! `secure_delete` overwrites what is deleted. But a page whose rows moved to another page is built anew in place, and what it
//! held before stays in the part that it does not use any more. When such a row is deleted later, its copy is not. So
//! after an erasure the unused part of every page is overwritten with zeros (SQLite file format §1.6, "B-tree
//! Pages"), through SQLite's own transactions.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension as _, Result, Transaction};

/// Pages that are looked through in one transaction: 4 MiB.
const STEP: u32 = 1024;

/// With fewer pages than this, pages of other kinds, which begin with the number of a page, cannot look like those of a
/// B-tree, whose first byte is 2 at least. It is a database of 137 GB.
const MOST_PAGES: u32 = 0x0200_0000;

/// The pages from `first` on whose unused part holds something, and the page to go on from.
pub fn soiled(connection: &Connection, first: u32) -> Result<(Vec<u32>, Option<u32>)> {
    let pages = page_count(connection)?;
    let next = first.saturating_add(STEP);
    let mut found = Vec::new();
    let mut read = connection.prepare_cached(READ)?;
    for number in first..next.min(pages.saturating_add(1)) {
        let is_soiled = read.query_row([number], |row| {
            let page = row.get_ref(0)?.as_blob()?;
            Ok(unused(number, page).is_some_and(|part| holds_something(page, part)))
        });
        if is_soiled.optional()? == Some(true) {
            found.push(number);
        }
    }
    Ok((found, (next <= pages).then_some(next)))
}

/// Overwrites the unused parts of these pages with zeros.
pub fn clean(transaction: &Transaction<'_>, pages: &[u32]) -> Result<()> {
    let mut read = transaction.prepare_cached(READ)?;
    let mut write =
        transaction.prepare_cached("UPDATE sqlite_dbpage SET data = ?2 WHERE pgno = ?1")?;
    for number in pages {
        // Others may have written it meanwhile.
        let page: Option<Vec<u8>> = read.query_row([number], |row| row.get(0)).optional()?;
        let Some(mut page) = page else { continue };
        if let Some(part) = unused(*number, &page) {
            page.get_mut(part).unwrap_or_default().fill(0);
            write.execute((number, page))?;
        }
    }
    Ok(())
}

/// Whether pages can be told apart: else all of the database has to be written anew.
pub fn can_be_cleaned(connection: &Connection) -> Result<bool> {
    let mut modules = connection
        .prepare_cached("SELECT 1 FROM pragma_module_list WHERE name = 'sqlite_dbpage'")?;
    Ok(modules.exists([])? && page_count(connection)? < MOST_PAGES)
}

const READ: &str = "SELECT data FROM sqlite_dbpage WHERE pgno = ?1";

fn page_count(connection: &Connection) -> Result<u32> {
    connection.query_row("PRAGMA page_count", [], |row| row.get(0))
}

/// The part of a page between the places of its cells and the cells; `None` for what is no page of a B-tree.
fn unused(number: u32, page: &[u8]) -> Option<Range<usize>> {
    // The first page begins with the header of the file.
    let header = if number == 1 { 100 } else { 0 };
    let length = match page.get(header)? {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let word = |at: usize| {
        let bytes = page.get(header + at..header + at + 2)?;
        Some(usize::from(u16::from_be_bytes(bytes.try_into().ok()?)))
    };
    let start = header + length + 2 * word(3)?;
    let end = match word(5)? {
        0 => 0x1_0000,
        end => end,
    };
    (start <= end && end <= page.len()).then_some(start..end)
}

fn holds_something(page: &[u8], part: Range<usize>) -> bool {
    page.get(part).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0))
}
