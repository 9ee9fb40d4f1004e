//! The decision by SOP class, modality, image type and regions.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use healthimaging_dicom::{DataSet, Value};
use healthimaging_image::PixelDescription;

use super::{Blanking, HoldReason, PixelDecision, Rectangle};
use crate::graphics::has_embedded_overlay;
use crate::options::{Profile, ProfileOption};

/// SOP classes whose images show text only by way of a capture.
const SAFE: [&str; 34] = [
    uids::CT_IMAGE_STORAGE,
    uids::ENHANCED_CT_IMAGE_STORAGE,
    uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::ENHANCED_MR_IMAGE_STORAGE,
    uids::ENHANCED_MR_COLOR_IMAGE_STORAGE,
    uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
    uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
    uids::ENHANCED_PET_IMAGE_STORAGE,
    uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE,
    uids::NUCLEAR_MEDICINE_IMAGE_STORAGE,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::BREAST_TOMOSYNTHESIS_IMAGE_STORAGE,
    uids::BREAST_PROJECTION_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::BREAST_PROJECTION_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::X_RAY3_D_ANGIOGRAPHIC_IMAGE_STORAGE,
    uids::X_RAY3_D_CRANIOFACIAL_IMAGE_STORAGE,
    uids::SEGMENTATION_STORAGE,
    uids::PARAMETRIC_MAP_STORAGE,
    uids::RT_DOSE_STORAGE,
    uids::RT_IMAGE_STORAGE,
    uids::ENHANCED_US_VOLUME_STORAGE,
    uids::OPHTHALMIC_TOMOGRAPHY_IMAGE_STORAGE,
    uids::OPHTHALMIC_OPTICAL_COHERENCE_TOMOGRAPHY_EN_FACE_IMAGE_STORAGE,
    uids::OPHTHALMIC_OPTICAL_COHERENCE_TOMOGRAPHY_BSCAN_VOLUME_ANALYSIS_STORAGE,
    uids::INTRAVASCULAR_OPTICAL_COHERENCE_TOMOGRAPHY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::INTRAVASCULAR_OPTICAL_COHERENCE_TOMOGRAPHY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::CORNEAL_TOPOGRAPHY_MAP_STORAGE,
    uids::WIDE_FIELD_OPHTHALMIC_PHOTOGRAPHY_STEREOGRAPHIC_PROJECTION_IMAGE_STORAGE,
    uids::WIDE_FIELD_OPHTHALMIC_PHOTOGRAPHY3_D_COORDINATES_IMAGE_STORAGE,
    uids::VL_WHOLE_SLIDE_MICROSCOPY_IMAGE_STORAGE,
];

/// SOP classes of X-ray images, whose derived ones are trusted only if Burned In Annotation is NO.
const SAFE_ORIGINALS: [&str; 7] = [
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
    uids::ENHANCED_XA_IMAGE_STORAGE,
    uids::X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE,
    uids::ENHANCED_XRF_IMAGE_STORAGE,
    uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
];

/// SOP classes that are trusted only if Burned In Annotation is NO.
const OFTEN_ANNOTATED: [&str; 4] = [
    uids::OPHTHALMIC_PHOTOGRAPHY8_BIT_IMAGE_STORAGE,
    uids::OPHTHALMIC_PHOTOGRAPHY16_BIT_IMAGE_STORAGE,
    uids::VL_MICROSCOPIC_IMAGE_STORAGE,
    uids::VL_SLIDE_COORDINATES_MICROSCOPIC_IMAGE_STORAGE,
];

const ULTRASOUND: [&str; 4] = [
    uids::ULTRASOUND_IMAGE_STORAGE,
    uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
    // Retired.
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.3",
];

/// Classes of documents, without pixels.
const DOCUMENTS: [&str; 5] = [
    uids::ENCAPSULATED_PDF_STORAGE,
    uids::ENCAPSULATED_CDA_STORAGE,
    uids::ENCAPSULATED_STL_STORAGE,
    uids::ENCAPSULATED_OBJ_STORAGE,
    uids::ENCAPSULATED_MTL_STORAGE,
];

/// Classes of sound and video.
const RECORDINGS: [&str; 5] = [
    uids::BASIC_VOICE_AUDIO_WAVEFORM_STORAGE,
    uids::GENERAL_AUDIO_WAVEFORM_STORAGE,
    uids::VIDEO_ENDOSCOPIC_IMAGE_STORAGE,
    uids::VIDEO_MICROSCOPIC_IMAGE_STORAGE,
    uids::VIDEO_PHOTOGRAPHIC_IMAGE_STORAGE,
];

/// Secondary captures in all forms begin so.
const CAPTURES: &str = "1.2.840.10008.5.1.4.1.1.7";

/// Values of Image Type (0008,0008) that indicate text.
const SCREENS: [&str; 10] =
    ["SCREEN", "CAPTURE", "PROT", "DOSE", "REPORT", "SAVE", "LABEL", "OVERVIEW", "SUMMARY", "TEXT"];
/// Words of descriptions that indicate text.
const REPORTS: [&str; 8] = [
    "dose report",
    "dose info",
    "dose record",
    "patient protocol",
    "screen",
    "report",
    "summary",
    "snapshot",
];

/// Every pixel of every frame is compared with every region.
const MOST_REGIONS: usize = 64;

/// What a person who looked at the frames found, and what their bytes show.
pub(crate) struct Seen {
    /// Whether a person looked.
    pub(crate) is_reviewed: bool,
    /// Areas to blank.
    pub(crate) rectangles: Vec<Rectangle>,
    /// Whether bits that hold no sample are set.
    pub(crate) has_unused_bits: bool,
}

/// Decides about the pixels of an original instance.
pub(crate) fn decide(
    data_set: &DataSet,
    has_pixels: bool,
    profile: &Profile,
    seen: Seen,
) -> PixelDecision {
    let class = data_set.text(tags::SOP_CLASS_UID).unwrap_or_default();
    if DOCUMENTS.contains(&class) || data_set.elements.contains_key(&tags::ENCAPSULATED_DOCUMENT) {
        return PixelDecision::Hold(HoldReason::Document);
    }
    if RECORDINGS.contains(&class) {
        return PixelDecision::Hold(HoldReason::Recording);
    }
    if !has_pixels {
        return PixelDecision::Absent;
    }
    let mut blanking = Blanking {
        keep: None,
        blank: seen.rectangles,
        clear_unused_bits: has_embedded_overlay(data_set)
            || seen.has_unused_bits && profile.has(ProfileOption::CleanPixelData),
    };
    // What a person saw is the answer to what would be held back.
    let was_seen = seen.is_reviewed;
    if let Some(reason) = hold_reason(data_set, class).filter(|_| !was_seen) {
        return PixelDecision::Hold(reason);
    }
    if is_ultrasound(data_set, class) && !was_seen {
        let Some(regions) = regions(data_set) else {
            return PixelDecision::Hold(HoldReason::Regions);
        };
        blanking.keep = Some(regions);
    }
    if blanking == Blanking::default() {
        return PixelDecision::Pass;
    }
    let Ok(description) = PixelDescription::of(data_set) else {
        return PixelDecision::Hold(HoldReason::Undescribed);
    };
    let is_outside =
        |area: &Rectangle| area.left >= description.columns || area.top >= description.rows;
    if blanking.blank.iter().any(is_outside) {
        return PixelDecision::Hold(HoldReason::Outside);
    }
    if !profile.has(ProfileOption::CleanPixelData) {
        return PixelDecision::Hold(HoldReason::NotBlanked);
    }
    PixelDecision::Blank(blanking)
}

fn is_ultrasound(data_set: &DataSet, class: &str) -> bool {
    ULTRASOUND.contains(&class)
        || matches!(data_set.text(tags::MODALITY), Some("US" | "IVUS"))
            && class != uids::ENHANCED_US_VOLUME_STORAGE
}

fn hold_reason(data_set: &DataSet, class: &str) -> Option<HoldReason> {
    let burned_in = data_set.text(tags::BURNED_IN_ANNOTATION);
    let modality = data_set.text(tags::MODALITY).unwrap_or_default();
    if burned_in.is_some_and(|value| value.eq_ignore_ascii_case("YES")) {
        return Some(HoldReason::BurnedInAnnotation);
    }
    let is_capture = class == CAPTURES || class.starts_with(&format!("{CAPTURES}."));
    let is_segmentation =
        matches!(class, uids::SEGMENTATION_STORAGE | uids::PARAMETRIC_MAP_STORAGE);
    if is_capture
        || matches!(modality, "SC" | "XC" | "ES" | "OT" | "DOC" | "HC" | "DG" | "GM")
            && !is_segmentation
        || data_set.elements.contains_key(&tags::CONVERSION_TYPE)
    {
        return Some(HoldReason::Capture);
    }
    if is_screen(data_set, class) {
        return Some(HoldReason::Screen);
    }
    if is_ultrasound(data_set, class) || SAFE.contains(&class) {
        return None;
    }
    let is_original_class = SAFE_ORIGINALS.contains(&class);
    if is_original_class || OFTEN_ANNOTATED.contains(&class) {
        let is_stated = burned_in.is_some_and(|value| value.eq_ignore_ascii_case("NO"));
        let is_safe = is_stated || is_original_class && is_original(data_set);
        return (!is_safe).then_some(HoldReason::Unstated);
    }
    Some(HoldReason::Unknown)
}

/// Whether the pixels are those of the acquisition (PS3.3 §C.7.6.1.1.2).
fn is_original(data_set: &DataSet) -> bool {
    let image_type = data_set.text(tags::IMAGE_TYPE).unwrap_or_default();
    let mut values = image_type.split('\\').map(|value| value.trim_matches(' '));
    values.next() == Some("ORIGINAL") && values.next() == Some("PRIMARY")
}

/// Screens, reports and labels that come as images of a safe class.
fn is_screen(data_set: &DataSet, class: &str) -> bool {
    let image_type = data_set.text(tags::IMAGE_TYPE).unwrap_or_default().to_ascii_uppercase();
    // The first two values are terms of the standard, and indicate nothing.
    let is_dose = class == uids::RT_DOSE_STORAGE;
    let has_term = image_type.split('\\').skip(2).any(|value| {
        SCREENS.iter().any(|term| value.contains(term) && !(is_dose && *term == "DOSE"))
    });
    let describes = [tags::SERIES_DESCRIPTION, tags::PROTOCOL_NAME, tags::IMAGE_COMMENTS];
    let describes = describes.iter().filter_map(|tag| data_set.text(*tag));
    let has_word = describes.into_iter().any(|text| {
        let text = text.to_lowercase();
        REPORTS.iter().any(|word| text.contains(word))
    });
    // Workstations burn text into color pictures of gray modalities; slides and maps are color by themselves.
    let is_gray = matches!(
        class,
        uids::CT_IMAGE_STORAGE
            | uids::MR_IMAGE_STORAGE
            | uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE
    );
    let samples = data_set.integer(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    let photometric = data_set.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default();
    // What a CT workstation captures of its screen, such as the patient protocol.
    let is_other = class == uids::CT_IMAGE_STORAGE
        && image_type.split('\\').nth(1) == Some("SECONDARY")
        && image_type.split('\\').nth(2) == Some("OTHER");
    has_term
        || has_word
        || is_other
        || is_gray && (samples != 1 || !photometric.starts_with("MONOCHROME"))
}

/// The ultrasound regions; `None` when they are absent, make no sense, or leave nothing to blank.
fn regions(data_set: &DataSet) -> Option<Vec<Rectangle>> {
    let Some(Value::Items(items)) = data_set.value(tags::SEQUENCE_OF_ULTRASOUND_REGIONS) else {
        return None;
    };
    if items.len() > MOST_REGIONS {
        return None;
    }
    let description = PixelDescription::of(data_set).ok()?;
    let (columns, rows) = (description.columns, description.rows);
    let regions = items.iter().map(|item| {
        let at = |tag: Tag, most: u32| {
            let value = u32::try_from(item.integer(tag)?).ok()?;
            // Writers give the size as the last pixel.
            (value <= most).then(|| value.min(most.saturating_sub(1)))
        };
        let region = Rectangle {
            left: at(tags::REGION_LOCATION_MIN_X0, columns)?,
            top: at(tags::REGION_LOCATION_MIN_Y0, rows)?,
            right: at(tags::REGION_LOCATION_MAX_X1, columns)?,
            bottom: at(tags::REGION_LOCATION_MAX_Y1, rows)?,
        };
        (region.left < region.right && region.top < region.bottom).then_some(region)
    });
    let regions: Vec<_> = regions.collect::<Option<_>>()?;
    let covers = |region: &Rectangle| {
        (region.left, region.top) == (0, 0)
            && (region.right + 1, region.bottom + 1) == (columns, rows)
    };
    (!regions.is_empty() && !regions.iter().any(covers)).then_some(regions)
}
