//! The shared config and credentials files: settings of the profile, with their lines.
//!
//! The SDK reads the same files, but ignores many invalid settings and then uses another identity or endpoint. Here they are
//! errors with the file and line.

use std::borrow::Cow;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use aws_config::profile::{self, Profile, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::property::PropertiesKey;
use aws_types::os_shim_internal::{Env, Fs};
use healthimaging::{Error, ErrorKind, Result};

use crate::origin::{Origin, Way};

/// Both files, parsed, and their texts, in which lines are found.
#[derive(Debug)]
pub(crate) struct SharedFiles {
    profiles: ProfileSet,
    /// Whether the caller selected the profile, and not the environment.
    is_named: bool,
    /// The credentials file first, which takes precedence.
    texts: Vec<Text>,
}

#[derive(Debug)]
struct Text {
    path: PathBuf,
    is_config: bool,
    text: String,
}

/// Paths of the credentials and the config file.
pub(crate) fn paths() -> [PathBuf; 2] {
    let home = variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from);
    let path = |name: &str, default: &str| match (variable(name), &home) {
        (Some(path), Some(home)) => match path.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => path.into(),
        },
        (Some(path), None) => path.into(),
        (None, Some(home)) => home.join(".aws").join(default),
        (None, None) => Path::new("~/.aws").join(default),
    };
    [path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), path("AWS_CONFIG_FILE", "config")]
}

/// Returns an environment variable that is not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    Env::real().get(name).ok().filter(|value| !value.trim().is_empty())
}

impl SharedFiles {
    /// Reads both files; `profile` overrides `AWS_PROFILE`. A missing file counts as empty.
    ///
    /// # Errors
    /// `Credentials` for a file that cannot be read or parsed.
    pub(crate) async fn read(profile: Option<&str>) -> Result<Self> {
        let mut texts = Vec::new();
        for (path, is_config) in paths().into_iter().zip([false, true]) {
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                Err(error) => {
                    return Err(wrong(path.display(), format!("cannot be read: {error}")));
                }
            };
            texts.push(Text { path, is_config, text });
        }
        let is_named = profile.is_some();
        let profile = profile.map(str::to_owned).or_else(|| variable("AWS_PROFILE"));
        let profile = profile.map(Cow::Owned);
        let (fs, env, files) = (Fs::real(), Env::real(), EnvConfigFiles::default());
        let profiles = profile::load(&fs, &env, &files, profile).await;
        let profiles = profiles.map_err(|error| {
            // It has the file, the line and what is expected, without content of the file.
            let message = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            Error::new(ErrorKind::Credentials, message).with_source(error)
        })?;
        Ok(Self { profiles, is_named, texts })
    }

    /// Returns a setting of the selected profile that is not empty.
    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        set(self.profiles.get_profile(self.selected())?, key)
    }

    /// Returns the endpoint in the environment or the profile for a service, such as `s3` or `medical_imaging`, or for all.
    pub(crate) fn endpoint(&self, service: &str) -> Option<String> {
        let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        let ignored =
            ignored.or_else(|| self.setting("ignore_configured_endpoint_urls").map(str::to_owned));
        if ignored.is_some_and(|ignored| ignored.trim().eq_ignore_ascii_case("true")) {
            return None;
        }
        variable(&format!("AWS_ENDPOINT_URL_{}", service.to_uppercase()))
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or_else(|| self.service_endpoint(service))
            .or_else(|| self.setting("endpoint_url").map(str::to_owned))
    }

    /// Returns the endpoint in the `[services]` section of the profile. The SDK expects hyphens in names of services, AWS
    /// documents underscores ("Service-specific endpoints", AWS SDKs and Tools Reference Guide).
    fn service_endpoint(&self, service: &str) -> Option<String> {
        let key = PropertiesKey::builder()
            .section_key("services")
            .section_name(self.setting("services")?)
            .property_name(service)
            .sub_property_name("endpoint_url")
            .build();
        let found = self.profiles.other_sections().get(&key.ok()?)?;
        Some(found.clone()).filter(|url| !url.trim().is_empty())
    }

    /// Returns the name of the selected profile.
    pub(crate) fn selected(&self) -> &str {
        match self.profiles.selected_profile() {
            "" => "default",
            name => name,
        }
    }

    /// Returns the source of the credentials, as the SDK selects it.
    ///
    /// # Errors
    /// `Credentials` for invalid settings.
    pub(crate) fn origin(&self) -> Result<Origin> {
        let selected = self.selected();
        // The SDK would ignore the profile and use another identity.
        if selected != "default" && self.profiles.get_profile(selected).is_none() {
            return Err(self.no_profile(selected));
        }
        if let (true, Some(origin)) = (self.is_named, self.profile_origin()?) {
            return Ok(origin);
        }
        let half = |set: &str, missing: &str| {
            let message = format!("{set} is set and {missing} is not: set both or neither");
            Err(Error::new(ErrorKind::Credentials, message))
        };
        let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
        match (variable(id), variable(secret).or_else(|| variable("SECRET_ACCESS_KEY"))) {
            (Some(_), Some(_)) => return Ok(Origin::Environment),
            (Some(_), None) => return half(id, secret),
            (None, Some(_)) => return half(secret, id),
            (None, None) => {}
        }
        if let Some(origin) = self.profile_origin()? {
            return Ok(origin);
        }
        let Some(file) = variable("AWS_WEB_IDENTITY_TOKEN_FILE") else {
            return Ok(Origin::Other);
        };
        if variable("AWS_ROLE_ARN").is_none() {
            return half("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN");
        }
        readable("AWS_WEB_IDENTITY_TOKEN_FILE", &file)?;
        Ok(Origin::Other)
    }

    /// Follows the source profiles to the one with credentials.
    fn profile_origin(&self) -> Result<Option<Origin>> {
        let mut walked: Vec<&str> = Vec::new();
        let mut name = self.selected();
        loop {
            let Some(profile) = self.profiles.get_profile(name) else {
                return match walked.last() {
                    Some(from) => Err(self.at(
                        from,
                        "source_profile",
                        format!("there is no profile `{name}`"),
                    )),
                    None => Ok(None),
                };
            };
            if let (true, Some(from)) = (walked.contains(&name), walked.last()) {
                let way = format!("{} → {name}", walked.join(" → "));
                return Err(self.at(
                    from,
                    "source_profile",
                    format!("the source profiles form a circle: {way}"),
                ));
            }
            let is_source = !walked.is_empty();
            let from = walked.last().copied();
            walked.push(name);
            let has_keys = set(profile, KEY_ID).is_some() && set(profile, SECRET).is_some();
            if is_source && has_keys {
                return Ok(Some(self.found(profile, Way::Keys, KEY_ID)));
            }
            let (source, other) =
                (set(profile, "source_profile"), set(profile, "credential_source"));
            let assumes = set(profile, "role_arn").is_some() && set(profile, TOKEN_FILE).is_none();
            match (source, other) {
                (Some(_), Some(_)) if assumes => {
                    let message =
                        "source_profile and credential_source are mutually exclusive: remove one";
                    return Err(self.at(name, "credential_source", message));
                }
                (None, None) if assumes => {
                    let message = "role_arn requires source_profile or credential_source";
                    return Err(self.at(name, "role_arn", message));
                }
                (Some(source), None) if assumes && source != name => name = source,
                _ => {
                    let found = self.base(profile)?;
                    return match (found, from) {
                        (None, Some(from)) => {
                            let message = format!("the profile `{name}` has no credentials");
                            Err(self.at(from, "source_profile", message))
                        }
                        (found, _) => Ok(found),
                    };
                }
            }
        }
    }

    /// Returns the source in a profile that assumes no role; `None` without credentials.
    fn base(&self, profile: &Profile) -> Result<Option<Origin>> {
        let name = profile.name();
        if set(profile, "credential_source").is_some() {
            return Ok(Some(Origin::Other));
        }
        if let Some(file) = set(profile, TOKEN_FILE) {
            if set(profile, "role_arn").is_none() {
                return Err(self.at(name, TOKEN_FILE, "web_identity_token_file requires role_arn"));
            }
            readable(&self.place(name, TOKEN_FILE), file)?;
            return Ok(Some(Origin::Other));
        }
        let sso = ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name"];
        if let Some(key) = sso.into_iter().find(|key| set(profile, key).is_some()) {
            if let Some(session) = set(profile, "sso_session")
                && self.profiles.sso_session(session).is_none()
            {
                let message = format!("there is no section [sso-session {session}]");
                return Err(self.at(name, "sso_session", message));
            }
            for needed in ["sso_account_id", "sso_role_name"] {
                if set(profile, needed).is_none() {
                    return Err(self.at(
                        name,
                        key,
                        format!("{needed} is missing from the profile"),
                    ));
                }
            }
            return Ok(Some(self.found(profile, Way::Sso, key)));
        }
        for (key, way) in [("login_session", Way::Login), ("credential_process", Way::Process)] {
            if set(profile, key).is_some() {
                return Ok(Some(self.found(profile, way, key)));
            }
        }
        match (set(profile, KEY_ID), set(profile, SECRET)) {
            (Some(_), Some(_)) => Ok(Some(self.found(profile, Way::Keys, KEY_ID))),
            (Some(_), None) => Err(self.at(name, KEY_ID, format!("{KEY_ID} requires {SECRET}"))),
            (None, Some(_)) => Err(self.at(name, SECRET, format!("{SECRET} requires {KEY_ID}"))),
            (None, None) => Ok(None),
        }
    }

    fn found(&self, profile: &Profile, way: Way, key: &str) -> Origin {
        let name = profile.name().to_owned();
        let place = self.place(&name, key);
        Origin::Profile { name, way, place }
    }

    fn no_profile(&self, name: &str) -> Error {
        let bare = self.texts.iter().filter(|text| text.is_config).find_map(|text| {
            let line = text.lines().find(|(_, line)| heading(line) == Some(name))?.0;
            Some(wrong(
                format!("{}, line {line}", text.path.display()),
                format!("[{name}] must be [profile {name}] in this file"),
            ))
        });
        bare.unwrap_or_else(|| {
            let files: Vec<String> = self.texts.iter().map(|text| text.path.display().to_string()).collect();
            let message = format!(
                "there is no profile `{name}` in the shared AWS files ({}): check --profile and AWS_PROFILE, or run \
                 `aws configure --profile {name}`",
                files.join(", ")
            );
            Error::new(ErrorKind::Credentials, message)
        })
    }

    fn at(&self, profile: &str, key: &str, message: impl Display) -> Error {
        wrong(self.place(profile, key), message)
    }

    /// Returns the file and line of a setting of a profile, or the name of the profile.
    pub(crate) fn place(&self, profile: &str, key: &str) -> String {
        let found = self.texts.iter().find_map(|text| {
            let line = text.line_of(profile, key)?;
            Some(format!("{}, line {line}", text.path.display()))
        });
        found.unwrap_or_else(|| format!("profile {profile}"))
    }
}

const KEY_ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN_FILE: &str = "web_identity_token_file";

/// Returns a setting that is not empty.
fn set<'a>(profile: &'a Profile, key: &str) -> Option<&'a str> {
    profile.get(key).filter(|value| !value.trim().is_empty())
}

fn wrong(place: impl Display, message: impl Display) -> Error {
    Error::new(ErrorKind::Credentials, format!("{place}: {message}"))
}

fn readable(place: &str, file: &str) -> Result<()> {
    match std::fs::File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(wrong(place, format!("the token file {file} cannot be read: {error}"))),
    }
}

impl Text {
    /// Returns lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Returns the last line with a setting of a profile: later ones take precedence.
    fn line_of(&self, profile: &str, key: &str) -> Option<usize> {
        let (mut inside, mut found) = (false, None);
        for (number, line) in self.lines() {
            if let Some(heading) = heading(line) {
                inside = self.is_profile(heading, profile);
            } else if inside
                && !line.starts_with([' ', '\t'])
                && line
                    .split_once('=')
                    .is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(key))
            {
                found = Some(number);
            }
        }
        found
    }

    fn is_profile(&self, heading: &str, profile: &str) -> bool {
        let named = heading.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
        match named {
            Some(name) if self.is_config => name.trim() == profile,
            _ => heading == profile && (!self.is_config || profile == "default"),
        }
    }
}

/// Returns the text between the brackets of a line that begins a section.
fn heading(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split_once(']').map(|(heading, _)| heading.trim())
}
