//! The profile: the Basic Application Level Confidentiality Profile with its Options (PS3.15 §E.3).

use std::collections::BTreeSet;

use healthimaging::{Error, Result};

/// An Option of PS3.15 §E.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileOption {
    /// Clean Pixel Data (§E.3.1): burned-in text is blanked.
    CleanPixelData,
    /// Clean Graphics (§E.3.3): graphics, overlays and curves without text are kept.
    CleanGraphics,
    /// Clean Structured Content (§E.3.4): content trees are kept and cleaned.
    CleanStructuredContent,
    /// Clean Descriptors (§E.3.5): descriptions are kept and cleaned.
    CleanDescriptors,
    /// Retain Longitudinal Temporal Information with Full Dates (§E.3.6).
    RetainFullDates,
    /// Retain Longitudinal Temporal Information with Modified Dates (§E.3.6).
    RetainModifiedDates,
    /// Retain Patient Characteristics (§E.3.7).
    RetainPatientCharacteristics,
    /// Retain Device Identity (§E.3.8).
    RetainDeviceIdentity,
    /// Retain Institution Identity (§E.3.11).
    RetainInstitutionIdentity,
    /// Retain UIDs (§E.3.9).
    RetainUids,
    /// Retain Safe Private (§E.3.10).
    RetainSafePrivate,
}

/// Code values and meanings of CID 7050 De-identification Method, coding scheme DCM.
pub(crate) const BASIC_PROFILE: (&str, &str) =
    ("113100", "Basic Application Confidentiality Profile");

impl ProfileOption {
    /// All options.
    pub const ALL: [Self; 11] = [
        Self::CleanPixelData,
        Self::CleanGraphics,
        Self::CleanStructuredContent,
        Self::CleanDescriptors,
        Self::RetainFullDates,
        Self::RetainModifiedDates,
        Self::RetainPatientCharacteristics,
        Self::RetainDeviceIdentity,
        Self::RetainInstitutionIdentity,
        Self::RetainUids,
        Self::RetainSafePrivate,
    ];

    /// Returns the name that callers write, such as `clean-descriptors`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CleanPixelData => "clean-pixel-data",
            Self::CleanGraphics => "clean-graphics",
            Self::CleanStructuredContent => "clean-structured-content",
            Self::CleanDescriptors => "clean-descriptors",
            Self::RetainFullDates => "retain-full-dates",
            Self::RetainModifiedDates => "retain-modified-dates",
            Self::RetainPatientCharacteristics => "retain-patient-characteristics",
            Self::RetainDeviceIdentity => "retain-device-identity",
            Self::RetainInstitutionIdentity => "retain-institution-identity",
            Self::RetainUids => "retain-uids",
            Self::RetainSafePrivate => "retain-safe-private",
        }
    }

    /// Returns code value and meaning in CID 7050 (coding scheme DCM).
    pub(crate) fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::CleanPixelData => ("113101", "Clean Pixel Data Option"),
            Self::CleanGraphics => ("113103", "Clean Graphics Option"),
            Self::CleanStructuredContent => ("113104", "Clean Structured Content Option"),
            Self::CleanDescriptors => ("113105", "Clean Descriptors Option"),
            Self::RetainFullDates => {
                ("113106", "Retain Longitudinal Temporal Information Full Dates Option")
            }
            Self::RetainModifiedDates => {
                ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
            }
            Self::RetainPatientCharacteristics => {
                ("113108", "Retain Patient Characteristics Option")
            }
            Self::RetainDeviceIdentity => ("113109", "Retain Device Identity Option"),
            Self::RetainUids => ("113110", "Retain UIDs Option"),
            Self::RetainSafePrivate => ("113111", "Retain Safe Private Option"),
            Self::RetainInstitutionIdentity => ("113112", "Retain Institution Identity Option"),
        }
    }

    fn parse(name: &str) -> Result<Self> {
        if matches!(name, "clean-visual-features" | "clean-recognizable-visual-features") {
            return Err(Error::not_supported(
                "deidentify options: clean-visual-features is not supported, because faces in volumes cannot be removed \
                 reliably by rules; remove the option and process such images with a defacing program",
            ));
        }
        Self::ALL.into_iter().find(|option| option.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::validation(format!("deidentify options: unknown option; use {names}"))
        })
    }
}

/// The Basic Profile and the options that are in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    options: BTreeSet<ProfileOption>,
}

impl Profile {
    /// Creates a profile.
    ///
    /// Errors: `Validation` when both date options are given.
    pub fn new(options: impl IntoIterator<Item = ProfileOption>) -> Result<Self> {
        let options: BTreeSet<_> = options.into_iter().collect();
        if options.contains(&ProfileOption::RetainFullDates)
            && options.contains(&ProfileOption::RetainModifiedDates)
        {
            return Err(Error::validation(
                "deidentify options: retain-full-dates and retain-modified-dates exclude each other; remove one of them",
            ));
        }
        Ok(Self { options })
    }

    /// Parses names as callers write them. The only profile is `basic`.
    ///
    /// Errors: `Validation` for an unknown profile or option, or for both date options; `NotSupported` for
    /// `clean-visual-features`. They never repeat the text given.
    pub fn parse<S: AsRef<str>>(
        profile: &str,
        options: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        if profile != "basic" {
            return Err(Error::validation("deidentify profile: unknown profile; use basic"));
        }
        let options = options.into_iter().map(|name| ProfileOption::parse(name.as_ref()));
        Self::new(options.collect::<Result<Vec<_>>>()?)
    }

    /// Reports whether an option is in force.
    pub fn has(&self, option: ProfileOption) -> bool {
        self.options.contains(&option)
    }

    /// Returns the options in force.
    pub fn options(&self) -> impl Iterator<Item = ProfileOption> + '_ {
        self.options.iter().copied()
    }
}
