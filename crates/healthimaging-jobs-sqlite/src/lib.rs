//! Jobs in SQLite: the schema, the statements within a transaction that the caller owns, and a file of jobs
//! for who has no other database.
//!
//! A migration calls [`CREATE`] and [`insert`]; it is the caller's, like the transaction.

mod file;
mod rows;
mod schema;
pub mod scrub;
#[cfg(test)]
mod tests;
mod uri;

pub use file::JobsFile;
pub use rows::{
    begin, cancel, count, end, expect, expire, find, has_expired, hold, insert, is_busy, item,
    items, items_by_key, page, record, remove, remove_all, remove_items, set_progress, set_request,
    turn, unfinished, with_token,
};
pub use schema::CREATE;
pub use uri::uri;
