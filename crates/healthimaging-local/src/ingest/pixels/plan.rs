//! The decision, from the header alone (transfer syntaxes as the service lists them).

use std::io::{Read, Seek};

use healthimaging::MemoryBudget;
use healthimaging_dicom::{FrameError, Part10, PixelLayout};
use healthimaging_image::{ByteOrder, PixelDescription};
use healthimaging_pixels::{Disposition, FrameShape, disposition, is_encapsulated};

use super::encode::memory_of_a_frame;
use super::{EXPLICIT_LITTLE_ENDIAN, LARGEST};
use crate::ingest::outcome::{Reason, Refusal, Warning};

/// Memory of data that is copied from the file to the pack piece by piece.
const PIECES: u64 = 1 << 20;
/// The least that a frame may take to be transcoded, however small the budget: 320 MiB, a frame of 80 MiB.
const MOST_OF_A_FRAME: u64 = 320 << 20;

/// The most memory that transcoding a frame may take; one that takes more than the budget is transcoded
/// alone.
fn most_of_a_frame() -> u64 {
    MemoryBudget::process().limit().max(MOST_OF_A_FRAME)
}

/// What to do with the pixels of a file.
#[derive(Debug, Clone)]
pub(in crate::ingest) enum PixelPlan {
    /// There are none, or the element is empty.
    None,
    /// Each frame as received.
    Keep {
        description: PixelDescription,
        /// In which the frames are.
        transfer_syntax: String,
    },
    /// Each frame in the lossless format of the data store; `length` is bytes of the pixel data.
    Encode { description: PixelDescription, length: u64 },
    /// Native samples that no lossless format can hold, such as those of 32 bits: the frames in little
    /// endian, as one blob.
    Plain { description: PixelDescription, length: u64 },
    /// The whole pixel data as received, as one blob.
    Whole {
        /// Absent when it is not known what the pixels are.
        description: Option<PixelDescription>,
        warning: Warning,
    },
}

impl PixelPlan {
    /// The plan for a file.
    pub(in crate::ingest) fn of<S: Read + Seek>(part10: &Part10<S>) -> Result<Self, Refusal> {
        let Some(pixels) = part10.pixels() else {
            return Ok(Self::None);
        };
        let length = pixels.length;
        if length == 0 {
            // Which element it was is kept, so that a file has it again.
            return Ok(Self::None);
        }
        let (description, warning) = match (part10.description(), why_whole(part10)?) {
            (Ok(description), None) => return Ok(Self::of_frames(part10, description, length)),
            (description, Some(warning)) => (description.ok(), warning),
            (Err(error), None) => {
                let warning = Warning::new(Reason::FramesExtractionFailure, error.message());
                (None, warning)
            }
        };
        if length > LARGEST {
            return Err(Refusal::invalid(format!(
                "{}; {length} bytes are too many to keep whole, the limit is {LARGEST}",
                warning.message
            )));
        }
        Ok(Self::Whole { description, warning })
    }

    /// The plan for pixel data whose frames can be separated.
    fn of_frames<S: Read + Seek>(
        part10: &Part10<S>,
        description: PixelDescription,
        length: u64,
    ) -> Self {
        let syntax = part10.pixel_syntax.as_str();
        let little = part10.byte_order() == ByteOrder::Little;
        match disposition(syntax, description.bits_allocated) {
            Disposition::Keep => Self::Keep { transfer_syntax: syntax.to_owned(), description },
            Disposition::Native if description.bits_allocated == 1 && little => {
                Self::Keep { transfer_syntax: EXPLICIT_LITTLE_ENDIAN.to_owned(), description }
            }
            Disposition::Native if !is_encodable(&FrameShape::from(&description)) => {
                Self::Plain { description, length }
            }
            _ => {
                let memory = memory_of_a_frame(&description, length);
                let most = most_of_a_frame();
                if memory <= most {
                    return Self::Encode { description, length };
                }
                let message = format!(
                    "a frame takes {memory} bytes of memory to be transcoded, more than the limit of \
                     {most}; the pixel data is kept as received"
                );
                let warning = Warning::new(Reason::TranscodingException, message);
                Self::Whole { description: Some(description), warning }
            }
        }
    }

    /// Bytes of memory that storing takes at most.
    pub(in crate::ingest) fn memory(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Keep { description, .. } if description.bits_allocated == 1 => {
                PIECES.saturating_add(FrameShape::from(description).byte_length())
            }
            Self::Keep { .. } | Self::Whole { .. } => PIECES,
            Self::Plain { description, length } => memory_of_a_frame(description, *length),
            Self::Encode { description, length } => {
                let one = memory_of_a_frame(description, *length);
                one.saturating_mul(super::encode::frames_at_once(one, description) as u64)
            }
        }
    }
}

/// Why pixel data has to be kept whole, if so.
fn why_whole<S: Read + Seek>(part10: &Part10<S>) -> Result<Option<Warning>, Refusal> {
    let syntax = part10.pixel_syntax.as_str();
    let bits = part10.description().map_or(0, |description| description.bits_allocated);
    if disposition(syntax, bits) == Disposition::Unsupported {
        let message = "the transfer syntax is not supported; the pixel data is kept as received";
        return Ok(Some(Warning::new(Reason::UnsupportedTransferSyntax, message)));
    }
    if let Some(problem) = part10.frame_problem() {
        let reason = match problem.warning_code().and_then(Reason::of_code) {
            Some(reason) => reason,
            None if matches!(problem, FrameError::Undescribed(_)) => {
                Reason::FramesExtractionFailure
            }
            None => return Err(problem.into()),
        };
        return Ok(Some(Warning::new(reason, problem.to_string())));
    }
    let layout = part10.pixels().map(|pixels| &pixels.layout);
    let encapsulated = matches!(layout, Some(PixelLayout::Encapsulated(_)));
    if encapsulated != is_encapsulated(syntax) {
        let message = "the pixel data is not encapsulated as its transfer syntax says";
        return Ok(Some(Warning::new(Reason::FramesExtractionFailure, message)));
    }
    Ok(None)
}

/// Whether the lossless formats hold such samples exactly.
fn is_encodable(shape: &FrameShape) -> bool {
    matches!(shape.bits_allocated, 8 | 16) && shape.samples_per_pixel <= 4
}
