//! Environment variables with an empty value.

#[cfg(unix)]
use std::env;
#[cfg(unix)]
use std::ffi::{OsStr, OsString};
#[cfg(unix)]
use std::os::unix::process::CommandExt as _;
#[cfg(unix)]
use std::process::Command;

#[cfg(unix)]
use crate::terminal;

/// Makes every empty `HEALTHIMAGING_…` and `AWS_…` variable count as absent, by executing this program again without
/// them.
///
/// MCP clients and compose files pass on variables that have no value. The command line would reject an empty value, and
/// the AWS SDK would use an empty region; neither lets this program filter what it reads.
#[cfg(unix)]
pub(crate) fn drop_empty() {
    let empty: Vec<OsString> = env::vars_os()
        .filter(|(name, value)| value.is_empty() && is_setting(name))
        .map(|(name, _)| name)
        .collect();
    let Some(first) = empty.first() else { return };
    let mut words = env::args_os();
    let Ok(program) = env::current_exe() else { return };
    let mut command = Command::new(program);
    if let Some(called_as) = words.next() {
        command.arg0(called_as);
    }
    command.args(words);
    for name in &empty {
        command.env_remove(name);
    }
    // Returns only if it fails.
    let error = command.exec();
    terminal::note(&format!("{} is empty, and could not be ignored: {error}", first.display()));
}

/// Windows has no variables with an empty value.
#[cfg(not(unix))]
pub(crate) fn drop_empty() {}

#[cfg(unix)]
fn is_setting(name: &OsStr) -> bool {
    ["HEALTHIMAGING_", "AWS_"]
        .iter()
        .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}
