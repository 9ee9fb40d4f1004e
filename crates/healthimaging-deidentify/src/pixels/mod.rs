//! Whether pixels may show text that identifies a person, and what has to be done about it.
//!
//! No program can read all burned-in text, so the decision goes by what kind of image it is. What is not known to be
//! safe is held back for a person to look at.

mod blank;
mod decide;

pub use blank::{blank_frame, has_unused_bits};
pub(crate) use decide::{Seen, decide};

use healthimaging_dicom::DataSet;

use crate::options::Profile;

/// Reports whether the frames of an instance may show text, by what kind of image its attributes describe.
pub fn may_show_text(data_set: &DataSet) -> bool {
    let seen = Seen { is_reviewed: false, rectangles: Vec::new(), has_unused_bits: false };
    decide(data_set, true, &Profile::default(), seen) != PixelDecision::Pass
}

/// Pixels of a frame: columns from `left` to `right` and rows from `top` to `bottom`, counted from 0, all included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rectangle {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Last column.
    pub right: u32,
    /// Last row.
    pub bottom: u32,
}

impl Rectangle {
    /// Reports whether a pixel lies in the rectangle.
    pub fn contains(&self, column: u32, row: u32) -> bool {
        (self.left..=self.right).contains(&column) && (self.top..=self.bottom).contains(&row)
    }
}

/// What to blank in every frame of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blanking {
    /// Where given, every pixel outside these goes.
    pub keep: Option<Vec<Rectangle>>,
    /// Every pixel inside these goes.
    pub blank: Vec<Rectangle>,
    /// Whether bits that no sample uses are cleared.
    pub clear_unused_bits: bool,
}

/// What has to happen to the pixels of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PixelDecision {
    /// It has neither pixels nor a document.
    Absent,
    /// They may stay as they are.
    Pass,
    /// Parts have to be blanked in every frame: decode, [`blank_frame`], encode without loss.
    Blank(Blanking),
    /// A person has to look at them.
    Hold(HoldReason),
}

/// Why an instance is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Burned In Annotation (0028,0301) is YES.
    BurnedInAnnotation,
    /// A document, such as a PDF. The data set carries an empty one instead.
    Document,
    /// Sound or video of people.
    Recording,
    /// A secondary capture, a photograph, an endoscopy, or of modality OT.
    Capture,
    /// The image type, a description or color indicates a screen, a report or a label.
    Screen,
    /// Ultrasound without usable Sequence of Ultrasound Regions (0018,6011), or with regions that cover the image.
    Regions,
    /// It has to be blanked, and clean-pixel-data is not in force.
    NotBlanked,
    /// A kind of image that often has burned-in text. Burned In Annotation (0028,0301) is not NO, and it is no X-ray
    /// image whose Image Type (0008,0008) is `ORIGINAL\\PRIMARY`.
    Unstated,
    /// A kind of image that no rule knows.
    Unknown,
    /// Rectangles or overlays in images whose description is unusable.
    Undescribed,
    /// A rectangle outside of the frames, so the person who gave it saw other ones.
    Outside,
    /// Frames that have to be blanked and cannot be decoded.
    Undecodable,
}

impl HoldReason {
    /// Returns an explanation for a person.
    pub fn message(self) -> &'static str {
        match self {
            Self::BurnedInAnnotation => "BurnedInAnnotation is YES",
            Self::Document => "an encapsulated document cannot be cleaned",
            Self::Recording => "sound and video cannot be cleaned",
            Self::Capture => "captured and photographed images often show text",
            Self::Screen => "the image looks like a screen, a report or a label",
            Self::Regions => {
                "SequenceOfUltrasoundRegions is absent, unusable, or covers the whole image"
            }
            Self::NotBlanked => {
                "text outside the ultrasound regions or in rectangles needs the option clean-pixel-data"
            }
            Self::Unstated => {
                "neither an original primary image nor BurnedInAnnotation NO, for a kind of image that often shows text"
            }
            Self::Unknown => "the kind of image is unknown",
            Self::Undescribed => "the attributes that describe the pixels are absent or invalid",
            Self::Outside => "a rectangle lies outside of the frames",
            Self::Undecodable => "the frames have to be blanked and cannot be decoded",
        }
    }
}
