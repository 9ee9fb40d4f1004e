//! Flags of every command, as the command line has them.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use healthimaging::RedactionLevel;

/// Flags of every command. Each can be set by an environment variable too, but help names only the rule:
/// every option keeps to one line.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the command line")]
pub(crate) struct Options {
    /// Where image sets are kept: local or aws
    #[arg(long, global = true, env = "HEALTHIMAGING_BACKEND", hide_env = true)]
    #[arg(value_enum, value_name = "BACKEND", hide_possible_values = true)]
    pub(crate) backend: Option<BackendKind>,

    /// Folder of the embedded store [default: the platform's data folder]
    #[arg(long, global = true, env = "HEALTHIMAGING_DATA_DIR", hide_env = true)]
    #[arg(value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// AWS region [default: from the environment or the profile]
    #[arg(long, global = true, env = "HEALTHIMAGING_REGION", hide_env = true)]
    #[arg(value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Profile of the shared AWS files [default: `AWS_PROFILE`]
    #[arg(long, global = true, env = "HEALTHIMAGING_PROFILE", hide_env = true)]
    #[arg(value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// HealthImaging endpoint [default: the AWS endpoint of the region]
    #[arg(long, global = true, env = "HEALTHIMAGING_ENDPOINT_URL", hide_env = true)]
    #[arg(value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,

    /// Multiplier for the AWS API rate limits
    #[arg(long, global = true, env = "HEALTHIMAGING_RATE_FACTOR", hide_env = true)]
    #[arg(value_name = "FACTOR", default_value = "1", value_parser = rate_factor)]
    pub(crate) rate_factor: f64,

    /// Account ID in ARNs of the embedded store
    #[arg(long, global = true, env = "HEALTHIMAGING_ACCOUNT_ID", hide_env = true)]
    #[arg(value_name = "ID", default_value = "000000000000")]
    pub(crate) account_id: String,

    /// Enforce the AWS quotas on the embedded store
    #[arg(long, global = true, env = "HEALTHIMAGING_AWS_QUOTAS", hide_env = true)]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    #[arg(hide_possible_values = true)]
    pub(crate) aws_quotas: bool,

    /// Memory for imports, reads and pictures together
    #[arg(long, global = true, env = "HEALTHIMAGING_MEMORY_LIMIT", hide_env = true)]
    #[arg(value_name = "BYTES", default_value = "256M", value_parser = memory_limit)]
    pub(crate) memory_limit: u64,

    /// Grouping of image sets: service or strict
    #[arg(long, global = true, env = "HEALTHIMAGING_GROUPING", hide_env = true)]
    #[arg(value_enum, value_name = "RULE", default_value = "service", hide_possible_values = true)]
    pub(crate) grouping: Grouping,

    /// Offer only tools that read
    #[arg(long, global = true, env = "HEALTHIMAGING_READ_ONLY", hide_env = true)]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    #[arg(hide_possible_values = true)]
    pub(crate) read_only: bool,

    /// Do not offer tools that delete
    #[arg(long, global = true, env = "HEALTHIMAGING_NO_DELETE", hide_env = true)]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    #[arg(hide_possible_values = true)]
    pub(crate) no_delete: bool,

    /// File of what is forbidden: tools, data stores, bulk sizes
    #[arg(long, global = true, env = "HEALTHIMAGING_POLICY", hide_env = true)]
    #[arg(value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Sets of tools to offer: core, all, search, view, … [default: all]
    #[arg(long, global = true, env = "HEALTHIMAGING_TOOLSETS", hide_env = true)]
    #[arg(value_name = "SETS", value_delimiter = ',')]
    pub(crate) toolsets: Vec<String>,

    /// Tools to offer, besides those of --toolsets
    #[arg(long, global = true, env = "HEALTHIMAGING_TOOLS", hide_env = true)]
    #[arg(value_name = "TOOLS", value_delimiter = ',')]
    pub(crate) tools: Vec<String>,

    /// Tools not to offer
    #[arg(long, global = true, env = "HEALTHIMAGING_EXCLUDE_TOOLS", hide_env = true)]
    #[arg(value_name = "TOOLS", value_delimiter = ',')]
    pub(crate) exclude_tools: Vec<String>,

    /// Schemas that tools are listed with: full or lean
    #[arg(long, global = true, env = "HEALTHIMAGING_SCHEMAS", hide_env = true)]
    #[arg(value_enum, value_name = "FORM", default_value = "full", hide_possible_values = true)]
    pub(crate) schemas: Schemas,

    /// How deletions are confirmed: auto, always or never
    #[arg(long, global = true, env = "HEALTHIMAGING_CONFIRM", hide_env = true)]
    #[arg(value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) confirm: Confirm,

    /// What the audit log records: writes, all or off
    #[arg(long, global = true, env = "HEALTHIMAGING_AUDIT", hide_env = true)]
    #[arg(value_enum, value_name = "WHAT", default_value = "writes", hide_possible_values = true)]
    pub(crate) audit: Audit,

    /// Show tokens in place of patient identity (or =strict)
    #[arg(long, global = true, env = "HEALTHIMAGING_REDACT_PHI", hide_env = true)]
    #[arg(value_enum, value_name = "LEVEL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", default_value = "off", hide_default_value = true)]
    #[arg(hide_possible_values = true)]
    pub(crate) redact_phi: RedactPhi,

    /// Show values, not tokens, to the person asked for consent
    #[arg(long, global = true, env = "HEALTHIMAGING_REDACT_PHI_SHOW_IN_CONSENT", hide_env = true)]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    #[arg(hide_possible_values = true)]
    pub(crate) redact_phi_show_in_consent: bool,

    /// Form of answers: both, text or structured
    #[arg(long, global = true, env = "HEALTHIMAGING_RESULT", hide_env = true)]
    #[arg(value_enum, value_name = "FORM", default_value = "both", hide_possible_values = true)]
    pub(crate) result: ResultForm,

    /// Default format of `get_image_frame`: png or stored
    #[arg(long, global = true, env = "HEALTHIMAGING_FRAME_FORMAT", hide_env = true)]
    #[arg(value_enum, value_name = "FORMAT", default_value = "png", hide_possible_values = true)]
    pub(crate) frame_format: FrameFormat,

    /// Folder that file:// may use; repeatable
    // Its variable, HEALTHIMAGING_ALLOW_PATH, is a list as PATH is, which clap cannot split on every platform.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) allow_path: Vec<PathBuf>,

    /// Print the result on stdout as one JSON object, errors too
    // `call` has an argument of that name.
    #[arg(long = "json", global = true, env = "HEALTHIMAGING_JSON", hide_env = true)]
    #[arg(value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", value_parser = BoolishValueParser::new(), hide_default_value = true)]
    #[arg(hide_possible_values = true)]
    pub(crate) print_json: bool,

    /// error, warn, info, debug or trace [default: warn, of serve: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// Where image sets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendKind {
    /// The embedded store.
    Local,
    /// AWS HealthImaging.
    Aws,
}

/// How deletions are confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Confirm {
    /// By the client's user where the client can ask, else by a plan and a token.
    Auto,
    /// By the client's user, or not at all.
    Always,
    /// Not at all: tools act at once.
    Never,
}

/// What the audit log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Audit {
    /// What writes or destroys.
    Writes,
    /// Reads too.
    All,
    /// Nothing.
    Off,
}

/// What is kept from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RedactPhi {
    /// Nothing.
    #[value(alias = "false", alias = "0", alias = "no")]
    Off,
    /// What identifies patients.
    #[value(alias = "true", alias = "1", alias = "yes")]
    On,
    /// Descriptions, free text, and pictures that may show text too.
    Strict,
}

impl RedactPhi {
    /// The level of redaction; `None` without.
    pub(crate) fn level(self) -> Option<RedactionLevel> {
        match self {
            Self::Off => None,
            Self::On => Some(RedactionLevel::On),
            Self::Strict => Some(RedactionLevel::Strict),
        }
    }
}

/// Rule by which files of a series share an image set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grouping {
    /// The seven attributes of AWS HealthImaging; a file that differs in others keeps its own values.
    Service,
    /// Every attribute of patient, study and series: a difference makes an image set that is not primary.
    Strict,
}

/// Schemas in the list of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Schemas {
    /// Those of arguments and of answers.
    Full,
    /// Those of arguments.
    Lean,
}

/// Form of the answers of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultForm {
    /// JSON text and structured content.
    Both,
    /// JSON text only.
    Text,
    /// Structured content only, with a sentence as text.
    Structured,
}

/// Default format of `get_image_frame`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FrameFormat {
    /// A picture, for assistants.
    Png,
    /// The stored bytes in base64, for programs.
    Stored,
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

fn rate_factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.001..=10_000.0).contains(&factor) => Ok(factor),
        _ => Err("expected a number from 0.001 to 10000".to_owned()),
    }
}

/// Bytes, or so many KiB, MiB or GiB; at least 64 MiB.
fn memory_limit(text: &str) -> Result<u64, String> {
    let invalid = || "expected a number of bytes from 64M, such as 512M or 1G".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase().as_str() {
        "" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        _ => return Err(invalid()),
    };
    let number: u64 = digits.parse().map_err(|_| invalid())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(invalid)?;
    if bytes < 64 << 20 { Err(invalid()) } else { Ok(bytes) }
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

    fn parsed(words: &[&str]) -> Result<Options, clap::Error> {
        Line::try_parse_from([&["test", "--data-dir", "d"], words].concat())
            .map(|line| line.options)
    }

    #[test]
    fn switches_can_be_turned_off_too() {
        let options = |words: &[&str]| parsed(words).unwrap();
        assert!(!options(&[]).read_only);
        assert!(options(&["--read-only"]).read_only);
        assert!(!options(&["--read-only=false"]).read_only);
        assert!(options(&["--read-only=yes", "--no-delete"]).no_delete);
        assert!(parsed(&["--read-only=maybe"]).is_err());
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
    fn the_rate_factor_is_a_positive_number() {
        for wrong in ["0", "-1", "nan", "much"] {
            assert!(parsed(&["--rate-factor", wrong]).is_err(), "{wrong}");
        }
    }
}
