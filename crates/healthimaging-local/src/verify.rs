//! Rereading the store against its checksums.

/// What `verify` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyReport {}
