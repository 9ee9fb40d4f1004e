//! What the program is told: flags, and the environment, which is read here alone.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use directories::ProjectDirs;
use healthimaging::{AccountId, MemoryBudget};

const ALLOW_PATH: &str =
    "Folder that file:// may touch; can be given again [env: HEALTHIMAGING_ALLOW_PATH=]";
const LOG_LEVEL: &str =
    "error, warn, info, debug or trace [env: HEALTHIMAGING_LOG_LEVEL=, AWS_LOG_LEVEL=, RUST_LOG=]";

/// Flags of every command. Each has a twin in the environment.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Where image sets are kept
    #[arg(long, global = true, env = "HEALTHIMAGING_BACKEND", value_enum, value_name = "BACKEND")]
    pub(crate) backend: Option<BackendKind>,

    /// Folder of the embedded store [default: the platform's data folder]
    #[arg(long, global = true, env = "HEALTHIMAGING_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Region of AWS [default: that of the environment or the profile]; in the ARNs of the embedded store
    #[arg(long, global = true, env = "HEALTHIMAGING_REGION", value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Profile of the shared AWS files [default: `AWS_PROFILE`]
    #[arg(long, global = true, env = "HEALTHIMAGING_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Another endpoint of HealthImaging than that of AWS [default: `AWS_ENDPOINT_URL_MEDICAL_IMAGING`]
    #[arg(long, global = true, env = "HEALTHIMAGING_ENDPOINT_URL", value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,

    /// Part of the call rates of AWS that this server uses, such as 0.5
    #[arg(long, global = true, env = "HEALTHIMAGING_RATE_FACTOR", value_name = "FACTOR")]
    #[arg(default_value = "1", value_parser = rate_factor)]
    pub(crate) rate_factor: f64,

    /// Account in the ARNs of the embedded store, 12 digits
    #[arg(long, global = true, env = "HEALTHIMAGING_ACCOUNT_ID", value_name = "ID")]
    #[arg(default_value = "000000000000")]
    pub(crate) account_id: String,

    /// Enforce the quotas of AWS on the embedded store
    #[arg(long, global = true, env = "HEALTHIMAGING_AWS_QUOTAS", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    pub(crate) aws_quotas: bool,

    /// Memory for imports, reads and pictures together, such as 512M or 1G; more work waits
    #[arg(long, global = true, env = "HEALTHIMAGING_MEMORY_LIMIT", value_name = "BYTES")]
    #[arg(default_value = "256M", value_parser = memory_limit)]
    pub(crate) memory_limit: u64,

    /// What decides which files of a series share an image set of the embedded store
    #[arg(long, global = true, env = "HEALTHIMAGING_GROUPING", value_enum, value_name = "RULE")]
    #[arg(default_value = "service")]
    pub(crate) grouping: Grouping,

    /// Offer only tools that read
    #[arg(long, global = true, env = "HEALTHIMAGING_READ_ONLY", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    pub(crate) read_only: bool,

    /// Do not offer tools that delete
    #[arg(long, global = true, env = "HEALTHIMAGING_NO_DELETE", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    pub(crate) no_delete: bool,

    /// How tools that delete ask first
    #[arg(long, global = true, env = "HEALTHIMAGING_CONFIRM", value_enum, value_name = "WHEN")]
    #[arg(default_value = "auto")]
    pub(crate) confirm: Confirm,

    /// Where answers carry their data: as JSON text, as structured content, or as both
    #[arg(long, global = true, env = "HEALTHIMAGING_RESULT", value_enum, value_name = "FORM")]
    #[arg(default_value = "both")]
    pub(crate) result: ResultForm,

    /// What `get_image_frame` answers with unless it is asked for a format
    #[arg(
        long,
        global = true,
        env = "HEALTHIMAGING_FRAME_FORMAT",
        value_enum,
        value_name = "FORMAT"
    )]
    #[arg(default_value = "png")]
    pub(crate) frame_format: FrameFormat,

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
    /// AWS HealthImaging
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

/// What decides which files of a series share an image set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grouping {
    /// The seven attributes of AWS `HealthImaging`; where a file differs in others it keeps its own values
    Service,
    /// Every attribute of patient, study and series: a difference makes a set that is not primary
    Strict,
}

/// Where the answers of tools carry their data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultForm {
    /// JSON text and structured content
    Both,
    /// JSON text only
    Text,
    /// Structured content only, with a sentence as text
    Structured,
}

/// What `get_image_frame` answers with unless it is asked for a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FrameFormat {
    /// A picture, for assistants
    Png,
    /// The stored bytes in base64, for programs
    Stored,
}

/// The options with the environment and the defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) backend: BackendKind,
    pub(crate) data_dir: PathBuf,
    /// Of AWS; the embedded store has one of its own.
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
    pub(crate) confirm: Confirm,
    pub(crate) result: ResultForm,
    pub(crate) frame_format: FrameFormat,
    pub(crate) allowed_paths: Vec<PathBuf>,
    /// Name of the AWS credentials, which jobs carry; never a secret.
    pub(crate) credentials: String,
    /// Why this back end serves, in some words.
    pub(crate) reason: String,
    /// What `stdio` serves with the same options and environment.
    pub(crate) under_stdio: Choice,
}

/// A back end, and why it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) backend: BackendKind,
    /// Such as `since AWS_REGION is set`.
    pub(crate) reason: String,
}

/// Which back end serves when none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usual {
    /// `stdio`: AWS where its region or profile is set, since an MCP client's settings are all that speaks.
    ByEnvironment,
    /// Every other command: the embedded store.
    Local,
}

impl Config {
    /// Resolves the options.
    pub(crate) fn resolve(options: Options, usual: Usual) -> Result<Self> {
        let Choice { backend, reason } = chosen(&options, usual);
        let under_stdio = chosen(&options, Usual::ByEnvironment);
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
            allowed_paths =
                env::split_paths(&listed).filter(|p| !p.as_os_str().is_empty()).collect();
        }
        Ok(Self {
            backend,
            reason,
            under_stdio,
            data_dir: std::path::absolute(data_dir).context("--data-dir is not a path")?,
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
            confirm: options.confirm,
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

    /// A store of its own in `data_dir`, whatever the environment says.
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
            confirm: Confirm::Auto,
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

    /// Which back end a command uses, and why, in a line for people.
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

impl BackendKind {
    /// Its name in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "embedded store",
            Self::Aws => "AWS HealthImaging",
        }
    }
}

/// Whether escape sequences are welcome where there is a terminal (<https://no-color.org>).
pub(crate) fn may_colour() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").as_deref() != Some("dumb")
}

/// The log level asked for, or `default`.
pub(crate) fn log_level(options: &Options, default: &str) -> String {
    let twins = ["HEALTHIMAGING_LOG_LEVEL", "AWS_LOG_LEVEL", "RUST_LOG"];
    let told = options.log_level.clone().or_else(|| twins.into_iter().find_map(variable));
    told.unwrap_or_else(|| default.to_owned())
}

/// The one rule: the back end that is named; else `stdio` serves AWS where a setting of AWS is there, and
/// everything else the embedded store.
fn chosen(options: &Options, usual: Usual) -> Choice {
    if let Some(backend) = options.backend {
        return Choice { backend, reason: "as asked for".to_owned() };
    }
    let flags = [
        ("--profile", options.profile.is_some()),
        ("--endpoint-url", options.endpoint_url.is_some()),
    ];
    let flag = flags.into_iter().find_map(|(name, given)| given.then_some(name));
    let variables = ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"];
    let variable = || variables.into_iter().find(|name| variable(name).is_some());
    match (usual, flag.or_else(variable)) {
        (Usual::ByEnvironment, Some(name)) => {
            Choice { backend: BackendKind::Aws, reason: format!("since {name} is set") }
        }
        _ => Choice { backend: BackendKind::Local, reason: "the default".to_owned() },
    }
}

fn rate_factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.001..=10_000.0).contains(&factor) => Ok(factor),
        _ => Err("a number from 0.001 to 10000".to_owned()),
    }
}

/// Bytes, or so many KiB, MiB or GiB; at least 64 MiB.
fn memory_limit(text: &str) -> Result<u64, String> {
    let wrong = || "a number of bytes from 64M, such as 512M or 1G".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase().as_str() {
        "" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    if bytes < 64 << 20 { Err(wrong()) } else { Ok(bytes) }
}

fn default_data_dir() -> Result<PathBuf> {
    let directories = ProjectDirs::from("", "", "healthimaging-mcp-server")
        .context("no home folder is known; say where the store is with --data-dir")?;
    Ok(directories.data_local_dir().to_path_buf())
}

/// Names the credentials that are used, without a secret.
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
    fn switches_can_be_turned_off_too() {
        assert!(!options(&[]).read_only);
        assert!(options(&["--read-only"]).read_only);
        assert!(!options(&["--read-only=false"]).read_only);
        assert!(options(&["--read-only=yes", "--no-delete"]).no_delete);
        assert!(Line::try_parse_from(["test", "--read-only=maybe"]).is_err());
    }

    #[test]
    fn the_memory_limit_has_units() {
        for (text, bytes) in
            [("268435456", 256 << 20), ("512M", 512 << 20), ("1g", 1 << 30), ("65536KiB", 64 << 20)]
        {
            assert_eq!(memory_limit(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "M", "63M", "1T", "-1G", "1.5G", "99999999999G"] {
            assert!(memory_limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_back_end_is_the_one_that_is_named() {
        let resolved = |words: &[&str], usual| Config::resolve(options(words), usual).unwrap();
        let config = resolved(&["--backend", "aws"], Usual::Local);
        assert_eq!(config.backend, BackendKind::Aws);
        assert_eq!(config.reason, "as asked for");
        let config = resolved(&["--backend", "local", "--profile", "p"], Usual::ByEnvironment);
        assert_eq!(config.backend, BackendKind::Local);
        let config = resolved(&["--profile", "p"], Usual::ByEnvironment);
        assert_eq!(config.backend, BackendKind::Aws);
        assert_eq!(config.reason, "since --profile is set");
        let config = resolved(&["--profile", "p"], Usual::Local);
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
        let usual = Usual::Local;
        assert!(Config::resolve(options(&["--account-id", "12"]), usual).is_err());
        for wrong in ["0", "-1", "nan", "much"] {
            let words = ["test", "--data-dir", "d", "--rate-factor", wrong];
            assert!(Line::try_parse_from(words).is_err(), "{wrong}");
        }
        let config = Config::resolve(options(&["--allow-path", "a"]), usual).unwrap();
        assert!(config.data_dir.is_absolute());
        assert_eq!(config.allowed_paths, [PathBuf::from("a")]);
    }
}
