//! Names of files with parameters for SQLite.

use std::fmt::Write as _;
use std::path::Path;

/// A file as SQLite takes it with a parameter (<https://sqlite.org/c3ref/open.html>): `immutable=1` neither
/// locks it nor looks for a log beside it, `readonly_shm=1` only reads the index of the log.
pub fn uri(path: &Path, parameter: &str) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                uri.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    format!("{uri}?{parameter}")
}
