//! The tools as programs and as clients of the protocol see them.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has to fail")]

mod consent;
mod flow;
mod glossary;
mod judged;
mod prompts;
mod protocol;
mod reference;
mod sizes;
mod surface;
mod tables;
mod tools;
mod toolsets;
mod web;
