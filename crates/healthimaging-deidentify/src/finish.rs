//! What a de-identified data set says about itself (PS3.15 §E.1.1, §E.3; PS3.3 §C.7.1.1, §C.12.1).

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use healthimaging_dicom::{DataSet, Element, Value};

use crate::dummy;
use crate::options::{BASIC_PROFILE, Profile, ProfileOption};
use crate::pixels::PixelDecision;
use crate::report::{Outcome, Report};

const METHOD: &str = "PS3.15 Annex E Basic Profile, see code sequence (0012,0064)";
/// LO has 64 characters a value, and is not worth more values than these.
const MOST_METHODS: usize = 16;

/// Sets the attributes that describe the de-identification.
pub(crate) fn describe(
    data_set: &mut DataSet,
    profile: &Profile,
    (pixels, transfer_syntax): (&PixelDecision, &str),
    report: &mut Report,
) {
    let mut set = |data_set: &mut DataSet, tag: Tag, element: Element| {
        report.note(tag, Outcome::Set);
        data_set.elements.insert(tag, element);
    };
    set(data_set, tags::PATIENT_IDENTITY_REMOVED, dummy::text(VR::CS, "YES"));
    let method = methods(data_set);
    set(data_set, tags::DEIDENTIFICATION_METHOD, dummy::text(VR::LO, &method));
    let codes = codes(data_set, profile);
    set(data_set, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, dummy::items(codes));
    let dates = dates(data_set, profile);
    set(data_set, tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, dummy::text(VR::CS, dates));
    let is_clean = matches!(pixels, PixelDecision::Pass | PixelDecision::Blank(_));
    if profile.has(ProfileOption::CleanPixelData) && is_clean {
        set(data_set, tags::BURNED_IN_ANNOTATION, dummy::text(VR::CS, "NO"));
    }
    if let PixelDecision::Blank(_) = pixels {
        if let Some(derived) = derived(data_set) {
            set(data_set, tags::IMAGE_TYPE, dummy::text(VR::CS, &derived));
        }
        if was_lossy(data_set, transfer_syntax) {
            set(data_set, tags::LOSSY_IMAGE_COMPRESSION, dummy::text(VR::CS, "01"));
        }
    }
}

/// Whether frames lost something before they were decoded, which stays so although they are written without loss
/// (PS3.3 §C.7.6.1.1.5).
fn was_lossy(data_set: &DataSet, transfer_syntax: &str) -> bool {
    // The syntaxes of DCT are always lossy. The others are where the data set does not deny it.
    const ALWAYS: [&str; 3] =
        [uids::JPEG_BASELINE8_BIT, uids::JPEG_EXTENDED12_BIT, uids::JPEGXLJPEG_RECOMPRESSION];
    const OFTEN: [&str; 5] =
        [uids::JPEGLS_NEAR_LOSSLESS, uids::JPEG2000, uids::JPEG2000MC, uids::HTJ2K, uids::JPEGXL];
    let stated = data_set.text(tags::LOSSY_IMAGE_COMPRESSION);
    stated == Some("01")
        || ALWAYS.contains(&transfer_syntax)
        || OFTEN.contains(&transfer_syntax) && stated != Some("00")
}

/// The methods of earlier de-identifications, then this one.
fn methods(data_set: &DataSet) -> String {
    let earlier = data_set.text(tags::DEIDENTIFICATION_METHOD).unwrap_or_default();
    let earlier = earlier.split('\\').filter(|method| !method.is_empty() && *method != METHOD);
    let mut methods: Vec<_> = earlier.take(MOST_METHODS).collect();
    methods.push(METHOD);
    methods.join("\\")
}

/// The codes of earlier de-identifications, then those of the profile and its options (CID 7050).
fn codes(data_set: &mut DataSet, profile: &Profile) -> Vec<DataSet> {
    let earlier = data_set.elements.remove(&tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE);
    let mut items = match earlier.map(|element| element.value) {
        Some(Value::Items(items)) => items,
        _ => Vec::new(),
    };
    let options = profile.options().map(ProfileOption::code);
    for (value, meaning) in std::iter::once(BASIC_PROFILE).chain(options) {
        if !items.iter().any(|item| item.text(tags::CODE_VALUE) == Some(value)) {
            items.push(dummy::code(value, "DCM", meaning));
        }
    }
    items
}

/// Dates that an earlier de-identification removed or modified are not the original ones again.
fn dates(data_set: &DataSet, profile: &Profile) -> &'static str {
    let earlier = data_set.text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED);
    let is_modified = profile.has(ProfileOption::RetainModifiedDates);
    let is_full = profile.has(ProfileOption::RetainFullDates);
    match earlier {
        Some("REMOVED") => "REMOVED",
        _ if !is_modified && !is_full => "REMOVED",
        Some("MODIFIED") => "MODIFIED",
        _ if is_modified => "MODIFIED",
        _ => "UNMODIFIED",
    }
}

/// Image Type with DERIVED as its first value: the pixels are no longer those of the acquisition.
fn derived(data_set: &DataSet) -> Option<String> {
    let mut values: Vec<_> = data_set.text(tags::IMAGE_TYPE)?.split('\\').collect();
    *values.first_mut()? = "DERIVED";
    Some(values.join("\\"))
}
