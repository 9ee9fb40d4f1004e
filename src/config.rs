//! The configuration: flags, the environment (which is read here alone) and defaults.

use std::fmt::Display;
use std::path::{Component, Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use directories::ProjectDirs;
use healthimaging::AccountId;
#[cfg(feature = "local")]
use healthimaging::MemoryBudget;
use healthimaging_tools::{Offer, Policy, Selection};

use crate::options::{
    Audit, BackendKind, Confirm, FrameFormat, Grouping, Options, RedactPhi, ResultForm, Schemas,
};
use crate::outcome::InvalidOption;

/// The options with the environment and the defaults filled in.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "local"), expect(dead_code, reason = "some is of the embedded store"))]
#[expect(clippy::struct_excessive_bools, reason = "switches of the command line")]
pub(crate) struct Config {
    pub(crate) backend: BackendKind,
    pub(crate) data_dir: PathBuf,
    /// Of AWS; see [`Self::store_region`] for the embedded store.
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) rate_factor: f64,
    pub(crate) account_id: AccountId,
    pub(crate) aws_quotas: bool,
    /// In bytes.
    pub(crate) memory_limit: u64,
    pub(crate) grouping: Grouping,
    pub(crate) read_only: bool,
    pub(crate) no_delete: bool,
    pub(crate) selection: Selection,
    pub(crate) policy: Policy,
    pub(crate) schemas: Schemas,
    pub(crate) confirm: Confirm,
    pub(crate) audit: Audit,
    pub(crate) redact_phi: RedactPhi,
    pub(crate) redact_phi_show_in_consent: bool,
    pub(crate) result: ResultForm,
    pub(crate) frame_format: FrameFormat,
    pub(crate) allowed_paths: Vec<PathBuf>,
    /// Name of the AWS credentials, which jobs carry; never a secret.
    pub(crate) credentials: String,
    /// Why this back end is used, such as `since AWS_REGION is set`.
    pub(crate) reason: String,
    /// What `stdio` uses with the same options and environment.
    pub(crate) under_stdio: Choice,
}

/// A back end, and why it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) backend: BackendKind,
    /// Such as `since AWS_REGION is set`.
    pub(crate) reason: String,
}

/// Which back end is used when none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefaultBackend {
    /// Of `stdio`: AWS where its region or profile is set, since an MCP client sets nothing but the environment.
    ByEnvironment,
    /// Of every other command: the embedded store.
    Local,
}

impl Config {
    /// Resolves the options.
    pub(crate) fn resolve(options: Options, default: DefaultBackend) -> Result<Self> {
        let Choice { backend, reason } = chosen(&options, default);
        let under_stdio = chosen(&options, DefaultBackend::ByEnvironment);
        let data_dir = match options.data_dir {
            Some(directory) => directory,
            None => default_data_dir()?,
        };
        let account_id = AccountId::try_from(options.account_id).ok().ok_or_else(|| {
            InvalidOption("--account-id is not an account ID: use 12 digits".to_owned())
        })?;
        let mut allowed_paths = options.allow_path;
        if allowed_paths.is_empty()
            && let Some(listed) = env::var_os("HEALTHIMAGING_ALLOW_PATH")
        {
            allowed_paths =
                env::split_paths(&listed).filter(|p| !p.as_os_str().is_empty()).collect();
        }
        let trimmed = |names: Vec<String>| -> Vec<String> {
            let names = names.iter().map(|name| name.trim());
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let selection = Selection::new(
            &trimmed(options.toolsets),
            &trimmed(options.tools),
            &trimmed(options.exclude_tools),
        )
        .map_err(|error| InvalidOption(error.message().to_owned()))?;
        let policy = match &options.policy {
            Some(path) => policy(path)?,
            None => Policy::default(),
        };
        let offer = offer_of(options.read_only, options.no_delete);
        if !offer.tools().any(|tool| selection.includes(tool)) {
            let none = "--read-only or --no-delete leaves no tool of those that --toolsets and --tools select";
            return Err(InvalidOption(none.to_owned()).into());
        }
        Ok(Self {
            backend,
            reason,
            under_stdio,
            data_dir: without_parents(
                &std::path::absolute(data_dir).context("--data-dir is not a path")?,
            ),
            region: options.region,
            credentials: credentials_name(options.profile.as_deref()),
            profile: options.profile,
            endpoint_url: options.endpoint_url,
            rate_factor: options.rate_factor,
            account_id,
            aws_quotas: options.aws_quotas,
            memory_limit: options.memory_limit,
            grouping: options.grouping,
            read_only: options.read_only,
            no_delete: options.no_delete,
            selection,
            policy,
            schemas: options.schemas,
            confirm: options.confirm,
            audit: options.audit,
            redact_phi: options.redact_phi,
            redact_phi_show_in_consent: options.redact_phi_show_in_consent,
            result: options.result,
            frame_format: options.frame_format,
            allowed_paths,
        })
    }
}

impl Config {
    /// The region in the ARNs of the embedded store.
    pub(crate) fn store_region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }

    /// Whether the identity of patients is kept from clients.
    pub(crate) fn redacts(&self) -> bool {
        self.redact_phi != RedactPhi::Off
    }

    /// Which effects the tools may have.
    pub(crate) fn offer(&self) -> Offer {
        offer_of(self.read_only, self.no_delete)
    }

    /// A temporary store in `data_dir`, independent of the environment.
    #[cfg(feature = "local")]
    pub(crate) fn temporary(data_dir: &Path) -> Result<Self> {
        Ok(Self {
            data_dir: data_dir.to_path_buf(),
            backend: BackendKind::Local,
            region: None,
            profile: None,
            endpoint_url: None,
            rate_factor: 1.0,
            account_id: AccountId::try_from("000000000000")?,
            aws_quotas: false,
            memory_limit: MemoryBudget::process().limit(),
            grouping: Grouping::Service,
            read_only: false,
            no_delete: false,
            selection: Selection::default(),
            policy: Policy::default(),
            schemas: Schemas::Full,
            confirm: Confirm::Auto,
            audit: Audit::Off,
            redact_phi: RedactPhi::Off,
            redact_phi_show_in_consent: false,
            result: ResultForm::Both,
            frame_format: FrameFormat::Png,
            allowed_paths: Vec::new(),
            credentials: credentials_name(None),
            reason: "for a demonstration".to_owned(),
            under_stdio: Choice {
                backend: BackendKind::Local,
                reason: "for a demonstration".to_owned(),
            },
        })
    }

    /// Which back end a command uses, and why, in a line.
    pub(crate) fn announcement(&self) -> String {
        let reason = &self.reason;
        match (self.backend, self.under_stdio.backend) {
            (BackendKind::Aws, _) => format!("back end: {}, {reason}", self.backend.name()),
            (BackendKind::Local, under_stdio) => {
                let folder = self.data_dir.display();
                let mut line = format!("back end: {} in {folder}, {reason}", self.backend.name());
                if under_stdio == BackendKind::Aws {
                    line.push_str(" (`stdio` serves AWS HealthImaging, ");
                    line.push_str(&self.under_stdio.reason);
                    line.push_str("; --backend aws chooses it here)");
                }
                line
            }
        }
    }
}

/// Reads a policy file.
fn policy(path: &Path) -> Result<Policy> {
    let invalid = |why: &dyn Display| InvalidOption(format!("--policy {}: {why}", path.display()));
    let text = fs::read(path).map_err(|error| invalid(&error))?;
    Ok(Policy::parse(&text).map_err(|error| invalid(&error))?)
}

fn offer_of(read_only: bool, no_delete: bool) -> Offer {
    match (read_only, no_delete) {
        (true, _) => Offer::ReadOnly,
        (false, true) => Offer::NoDelete,
        (false, false) => Offer::All,
    }
}

/// Whether a terminal may get escape sequences (<https://no-color.org>).
#[cfg(feature = "local")]
pub(crate) fn may_color() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").as_deref() != Some("dumb")
}

/// A log level, and the name of the flag or variable that has it.
pub(crate) struct LogLevel {
    pub(crate) text: String,
    pub(crate) source: &'static str,
}

/// Returns the log level of the flag or of the first variable that is set, or `default`.
pub(crate) fn log_level(options: &Options, default: &str) -> LogLevel {
    let flag = options.log_level.clone().map(|text| LogLevel { text, source: "--log-level" });
    let variables = ["HEALTHIMAGING_LOG_LEVEL", "AWS_LOG_LEVEL", "RUST_LOG"];
    let set = || {
        let mut set = variables.into_iter();
        set.find_map(|source| Some(LogLevel { text: variable(source)?, source }))
    };
    flag.or_else(set)
        .unwrap_or_else(|| LogLevel { text: default.to_owned(), source: "--log-level" })
}

/// Chooses the back end: the one that is named; else `stdio` uses AWS where an AWS setting is present, and
/// everything else uses the embedded store.
fn chosen(options: &Options, default: DefaultBackend) -> Choice {
    if let Some(backend) = options.backend {
        return Choice { backend, reason: "as asked for".to_owned() };
    }
    if cfg!(not(feature = "local")) {
        return Choice {
            backend: BackendKind::Aws,
            reason: "the only one of this build".to_owned(),
        };
    }
    let flags = [
        ("--profile", options.profile.is_some()),
        ("--endpoint-url", options.endpoint_url.is_some()),
    ];
    let flag = flags.into_iter().find_map(|(name, given)| given.then_some(name));
    let variables = ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"];
    let variable = || variables.into_iter().find(|name| variable(name).is_some());
    match (default, flag.or_else(variable)) {
        (DefaultBackend::ByEnvironment, Some(name)) if cfg!(feature = "aws") => {
            Choice { backend: BackendKind::Aws, reason: format!("since {name} is set") }
        }
        _ => Choice { backend: BackendKind::Local, reason: "the default".to_owned() },
    }
}

/// An absolute path without `..`: the folder above is that of what a link leads to.
fn without_parents(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            found = found.canonicalize().unwrap_or(found);
            found.pop();
        } else {
            found.push(part);
        }
    }
    found
}

fn default_data_dir() -> Result<PathBuf> {
    let directories = ProjectDirs::from("", "", "healthimaging-mcp-server")
        .context("the home folder is unknown: set --data-dir")?;
    Ok(directories.data_local_dir().to_path_buf())
}

/// Returns the name of the credentials that are used, without a secret.
fn credentials_name(profile: Option<&str>) -> String {
    let profile = profile.map(str::to_owned);
    if profile.is_none() && variable("AWS_ACCESS_KEY_ID").is_some() {
        return "environment".to_owned();
    }
    match profile.or_else(|| variable("AWS_PROFILE")) {
        Some(name) => format!("profile {name}"),
        None => "default".to_owned(),
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &[&str]) -> Options {
        Line::try_parse_from([&["test", "--data-dir", "d"], words].concat()).unwrap().options
    }

    #[test]
    fn the_back_end_is_the_one_that_is_named() {
        let resolved = |words: &[&str], default| Config::resolve(options(words), default).unwrap();
        let config = resolved(&["--backend", "aws"], DefaultBackend::Local);
        assert_eq!(config.backend, BackendKind::Aws);
        assert_eq!(config.reason, "as asked for");
        let config =
            resolved(&["--backend", "local", "--profile", "p"], DefaultBackend::ByEnvironment);
        assert_eq!(config.backend, BackendKind::Local);
        let config = resolved(&["--profile", "p"], DefaultBackend::ByEnvironment);
        assert_eq!(config.backend, BackendKind::Aws);
        assert_eq!(config.reason, "since --profile is set");
        let config = resolved(&["--profile", "p"], DefaultBackend::Local);
        assert_eq!(config.backend, BackendKind::Local);
        assert_eq!(config.under_stdio.backend, BackendKind::Aws);
        let line = config.announcement();
        assert!(line.contains("embedded store in /"), "{line}");
        assert!(
            line.contains("`stdio` serves AWS HealthImaging, since --profile is set"),
            "{line}"
        );
    }

    #[test]
    fn values_are_checked() {
        let default = DefaultBackend::Local;
        assert!(Config::resolve(options(&["--account-id", "12"]), default).is_err());
        let config = Config::resolve(options(&["--allow-path", "a"]), default).unwrap();
        assert!(config.data_dir.is_absolute());
        assert_eq!(config.allowed_paths, [PathBuf::from("a")]);
    }
}
