//! Overwrites copies of rows that SQLite leaves behind.
//!
//! `secure_delete` overwrites deleted rows. But a page whose rows are moved to another page is rebuilt in place, and its
//! old content remains in the part that is not used any more. When such a row is deleted later, its copy is not. So
//! after an erasure the unused part of every page is overwritten with zeros (SQLite file format §1.6, "B-tree
//! Pages"), through SQLite's own transactions.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension as _, Result, Transaction};

/// Pages that are examined in one transaction: 4 MiB.
const STEP: u32 = 1024;

/// With fewer pages than this, pages of other kinds, which begin with a page number, differ from those of a
/// B-tree, whose first byte is 2 or more. It is a database of 137 GB.
const MOST_PAGES: u32 = 0x0200_0000;

/// The pages from `first` on whose unused part is not zero, and the page to continue with.
pub fn dirty(connection: &Connection, first: u32) -> Result<(Vec<u32>, Option<u32>)> {
    let pages = page_count(connection)?;
    let next = first.saturating_add(STEP);
    let mut found = Vec::new();
    let mut read = connection.prepare_cached(READ)?;
    for number in first..next.min(pages.saturating_add(1)) {
        let is_dirty = read.query_row([number], |row| {
            let page = row.get_ref(0)?.as_blob()?;
            Ok(unused(number, page).is_some_and(|part| is_not_zero(page, part)))
        });
        if is_dirty.optional()? == Some(true) {
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
        // Another process may have written it since.
        let page: Option<Vec<u8>> = read.query_row([number], |row| row.get(0)).optional()?;
        let Some(mut page) = page else { continue };
        if let Some(part) = unused(*number, &page) {
            page.get_mut(part).unwrap_or_default().fill(0);
            write.execute((number, page))?;
        }
    }
    Ok(())
}

/// Whether pages of B-trees can be recognized: otherwise the whole database has to be rewritten.
pub fn can_be_cleaned(connection: &Connection) -> Result<bool> {
    let mut modules = connection
        .prepare_cached("SELECT 1 FROM pragma_module_list WHERE name = 'sqlite_dbpage'")?;
    Ok(modules.exists([])? && page_count(connection)? < MOST_PAGES)
}

const READ: &str = "SELECT data FROM sqlite_dbpage WHERE pgno = ?1";

fn page_count(connection: &Connection) -> Result<u32> {
    connection.query_row("PRAGMA page_count", [], |row| row.get(0))
}

/// The part of a page between its cell pointers and its cells; `None` if it is not a page of a B-tree.
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

fn is_not_zero(page: &[u8], part: Range<usize>) -> bool {
    page.get(part).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0))
}
