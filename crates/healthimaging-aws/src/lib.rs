#![doc = include_str!("../README.md")]

mod client;
mod convert;
mod credentials;
mod dicomweb;
mod error;
mod identity;
mod limits;
mod network;
mod origin;
mod service;
mod settings;
mod shared_files;
mod web;

pub use client::Aws;
pub use credentials::s3;
pub use identity::Identity;
pub use settings::AwsConfig;
