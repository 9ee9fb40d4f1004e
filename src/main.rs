//! `healthimaging-mcp-server`: opens a back end and serves a face.
fn main() {}
