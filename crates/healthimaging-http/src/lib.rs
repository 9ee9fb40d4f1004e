//! Face: HTTP
