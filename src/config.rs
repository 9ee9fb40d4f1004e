//! What the program is told: flags, and the environment, which is read here alone.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use directories::ProjectDirs;
use healthimaging::AccountId;
use healthimaging_objects::{S3Config, S3Credentials, StaticS3Credentials};

const ALLOW_PATH: &str =
    "Folder that file:// may touch; can be given again [env: HEALTHIMAGING_ALLOW_PATH=]";
const LOG_LEVEL: &str =
    "error, warn, info, debug or trace [env: HEALTHIMAGING_LOG_LEVEL=, AWS_LOG_LEVEL=, RUST_LOG=]";

/// Flags of every command. Each has a twin in the environment.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Where image sets are kept
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_BACKEND",
        value_enum,
        value_name = "BACKEND"
    )]
    pub(crate) backend: Option<BackendKind>,

    /// Folder of the embedded store [default: the platform's data folder]
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_DATA_DIR",
        value_name = "DIR"
    )]
    pub(crate) data_dir: Option<PathBuf>,

    /// Region in the ARNs of the embedded store
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_REGION",
        value_name = "REGION"
    )]
    #[arg(default_value = "us-east-1")]
    pub(crate) region: String,

    /// Account in the ARNs of the embedded store, 12 digits
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_ACCOUNT_ID",
        value_name = "ID"
    )]
    #[arg(default_value = "000000000000")]
    pub(crate) account_id: String,

    /// Offer only tools that read
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_READ_ONLY",
        value_name = "BOOL"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    pub(crate) read_only: bool,

    /// Do not offer tools that delete
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_NO_DELETE",
        value_name = "BOOL"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    pub(crate) no_delete: bool,

    /// How tools that delete ask first
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_CONFIRM",
        value_enum,
        value_name = "WHEN"
    )]
    #[arg(default_value = "auto")]
    pub(crate) confirm: Confirm,

    /// A folder that `file://` may touch; none by default.
    #[arg(long, global = true, value_name = "DIR", help = ALLOW_PATH)]
    pub(crate) allow_path: Vec<PathBuf>,

    /// How much is logged.
    #[arg(long, global = true, value_name = "LEVEL", help = LOG_LEVEL)]
    pub(crate) log_level: Option<String>,
}

/// Where image sets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendKind {
    /// The embedded store
    Local,
    /// AWS HealthImaging; not in this version
    Aws,
}

/// How tools that delete ask first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Confirm {
    /// Through the client where it can ask, else by a plan and a token
    Auto,
    /// Through the client, or not at all
    Always,
    /// Act at once
    Never,
}

/// The options with the environment and the defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) region: String,
    pub(crate) account_id: AccountId,
    pub(crate) read_only: bool,
    pub(crate) no_delete: bool,
    pub(crate) confirm: Confirm,
    pub(crate) allowed_paths: Vec<PathBuf>,
    pub(crate) s3: S3Config,
    /// Which back end serves, and why, in a sentence.
    pub(crate) chosen: String,
}

impl Config {
    /// Resolves the options; refuses what this version cannot do.
    pub(crate) fn resolve(options: Options) -> Result<Self> {
        if options.backend == Some(BackendKind::Aws) {
            bail!(
                "the AWS back end is not in this version, only the embedded store; \
                 leave out --backend aws (and HEALTHIMAGING_BACKEND)"
            );
        }
        let data_dir = match options.data_dir {
            Some(directory) => directory,
            None => default_data_dir()?,
        };
        let account_id = AccountId::try_from(options.account_id)
            .ok()
            .context("--account-id must be the 12 digits of an account")?;
        let mut allowed_paths = options.allow_path;
        if allowed_paths.is_empty()
            && let Some(listed) = env::var_os("HEALTHIMAGING_ALLOW_PATH")
        {
            allowed_paths = env::split_paths(&listed)
                .filter(|p| !p.as_os_str().is_empty())
                .collect();
        }
        Ok(Self {
            chosen: chosen(options.backend),
            data_dir: std::path::absolute(data_dir).context("--data-dir is not a path")?,
            region: options.region,
            account_id,
            read_only: options.read_only,
            no_delete: options.no_delete,
            confirm: options.confirm,
            allowed_paths,
            s3: s3_config(),
        })
    }
}

impl Config {
    /// A store of its own in `data_dir`, whatever the environment says.
    pub(crate) fn temporary(data_dir: &Path) -> Result<Self> {
        Ok(Self {
            data_dir: data_dir.to_path_buf(),
            region: "us-east-1".to_owned(),
            account_id: AccountId::try_from("000000000000")?,
            read_only: false,
            no_delete: false,
            confirm: Confirm::Auto,
            allowed_paths: Vec::new(),
            s3: S3Config::default(),
            chosen: "These image sets are kept in a temporary store.".to_owned(),
        })
    }
}

/// Whether escape sequences are welcome where there is a terminal (<https://no-color.org>).
pub(crate) fn may_colour() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").as_deref() != Some("dumb")
}

/// The log level asked for, or `default`.
pub(crate) fn log_level(options: &Options, default: &str) -> String {
    let twins = ["HEALTHIMAGING_LOG_LEVEL", "AWS_LOG_LEVEL", "RUST_LOG"];
    let told = options
        .log_level
        .clone()
        .or_else(|| twins.into_iter().find_map(variable));
    told.unwrap_or_else(|| default.to_owned())
}

fn chosen(asked: Option<BackendKind>) -> String {
    const STORE: &str = "These image sets are kept in the embedded store on this machine";
    let aws = ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"];
    match (asked, aws.into_iter().find(|name| variable(name).is_some())) {
        (Some(_), _) => format!("{STORE}, as asked for."),
        (None, None) => format!("{STORE}, the default."),
        (None, Some(name)) => {
            format!("{STORE}: {name} is set, but the AWS back end is not in this version.")
        }
    }
}

fn default_data_dir() -> Result<PathBuf> {
    let directories = ProjectDirs::from("", "", "healthimaging-mcp-server")
        .context("no home folder is known; say where the store is with --data-dir")?;
    Ok(directories.data_local_dir().to_path_buf())
}

/// S3 as the standard AWS variables describe it.
fn s3_config() -> S3Config {
    let credentials = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    S3Config {
        region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
        endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
        credentials: credentials.map(|(access_key_id, secret_access_key)| {
            let session_token = variable("AWS_SESSION_TOKEN");
            let keys = S3Credentials {
                access_key_id,
                secret_access_key,
                session_token,
            };
            Arc::new(StaticS3Credentials(keys)) as _
        }),
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
        Line::try_parse_from([&["test", "--data-dir", "d"], words].concat())
            .unwrap()
            .options
    }

    #[test]
    fn switches_can_be_turned_off_too() {
        assert!(!options(&[]).read_only);
        assert!(options(&["--read-only"]).read_only);
        assert!(!options(&["--read-only=false"]).read_only);
        assert!(options(&["--read-only=yes", "--no-delete"]).no_delete);
        assert!(Line::try_parse_from(["test", "--read-only=maybe"]).is_err());
    }

    #[test]
    fn what_this_version_cannot_do_is_said() {
        let refused = Config::resolve(options(&["--backend", "aws"])).unwrap_err();
        assert!(refused.to_string().contains("not in this version"));
        assert!(Config::resolve(options(&["--account-id", "12"])).is_err());
        let config =
            Config::resolve(options(&["--backend", "local", "--allow-path", "a"])).unwrap();
        assert!(config.data_dir.is_absolute());
        assert_eq!(config.allowed_paths, [PathBuf::from("a")]);
        assert!(config.chosen.ends_with("as asked for."));
    }
}
