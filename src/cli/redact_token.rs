//! `redact-token`: the token that an assistant uses in place of a value which a person knows.

use anyhow::Result;
use clap::Args;
use healthimaging_redact::Redactor;
use healthimaging_workflows::deidentify::data_folder_key;
use serde_json::json;

use crate::config::Config;
use crate::outcome::Outcome;
use crate::terminal;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Keyword or tag of the attribute, such as `PatientID`
    #[arg(value_name = "ATTRIBUTE")]
    attribute: String,

    /// Its value, as files have it
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: String,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<Outcome> {
    let redactor = Redactor::new(&data_folder_key(&config.data_dir)?, false)?;
    let token = redactor.token(&arguments.attribute, &arguments.value)?;
    if terminal::is_json() {
        terminal::document(|| json!({ "token": token }))?;
    } else {
        terminal::result(&token)?;
    }
    Ok(Outcome::Done)
}
