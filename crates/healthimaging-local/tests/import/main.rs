//! Imports, through the public face of the store.

mod corpus;
mod fixture;
mod frames;
mod grouping;
mod jobs;
mod output;
mod processes;
mod s3;
mod stow;
mod verify;
