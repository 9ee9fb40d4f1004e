//! Imports, through the public face of the store.

mod corpus;
mod fixture;
mod frames;
mod grouping;
mod jobs;
mod output;
mod stow;
mod verify;
