//! The decision, from the header alone (transfer syntaxes as the service lists them).

use std::io::{Read, Seek};

use healthimaging_dicom::{ByteOrder, FrameError, Part10, PixelDescription, PixelLayout};
use healthimaging_pixels::{Disposition, FrameShape, disposition, is_encapsulated};

use super::encode::{memory_of_a_frame, shape};
use super::{EXPLICIT_LITTLE_ENDIAN, LARGEST};
use crate::ingest::memory::Memory;
use crate::ingest::outcome::{Reason, Refusal, Warning};

/// What to do with the pixels of a file.
#[derive(Debug, Clone)]
pub(in crate::ingest) enum PixelPlan {
    /// There are none.
    None,
    /// Each frame as received.
    Keep {
        description: PixelDescription,
        /// In which the frames are.
        transfer_syntax: String,
        /// Bytes of the pixel data.
        length: u64,
    },
    /// Each frame in the lossless format of the data store.
    Encode {
        description: PixelDescription,
        length: u64,
    },
    /// Native samples that no lossless format can hold, such as those of 32 bits: the frames in little
    /// endian, as one blob.
    Plain {
        description: PixelDescription,
        length: u64,
    },
    /// The whole pixel data as received, as one blob.
    Whole {
        /// Absent when it is not known what the pixels are.
        description: Option<PixelDescription>,
        warning: Warning,
        length: u64,
    },
}

impl PixelPlan {
    /// The plan for a file; refuses pixel data that is cut short.
    pub(in crate::ingest) fn of<S: Read + Seek>(part10: &Part10<S>) -> Result<Self, Refusal> {
        let Some(pixels) = part10.pixels() else {
            return Ok(Self::None);
        };
        let length = pixels.length;
        let encapsulated = matches!(pixels.layout, PixelLayout::Encapsulated(_));
        let syntax = part10.transfer_syntax.as_str();
        let description = part10.description();
        let whole = |reason, message: String| {
            if length > LARGEST {
                return Err(Refusal::invalid(format!(
                    "{message}, and {length} bytes are too many to keep whole; the limit is {LARGEST}"
                )));
            }
            Ok(Self::Whole {
                description: part10.description().ok(),
                warning: Warning::new(reason, message),
                length,
            })
        };
        let bits = description.as_ref().map_or(0, |found| found.bits_allocated);
        let disposition = disposition(syntax, bits);
        if disposition == Disposition::Unsupported {
            let message =
                "the transfer syntax is not supported; the pixel data is kept as received";
            return whole(Reason::UnsupportedTransferSyntax, message.to_owned());
        }
        if let Some(problem) = part10.frame_problem() {
            return match problem.warning_code().and_then(Reason::of_code) {
                Some(reason) => whole(reason, problem.to_string()),
                None if matches!(problem, FrameError::Undescribed(_)) => {
                    whole(Reason::FramesExtractionFailure, problem.to_string())
                }
                None => Err(problem.into()),
            };
        }
        let description = match description {
            Ok(description) => description,
            Err(error) => return whole(Reason::FramesExtractionFailure, error.message()),
        };
        if encapsulated != is_encapsulated(syntax) {
            let message = "the pixel data is not encapsulated as its transfer syntax says";
            return whole(Reason::FramesExtractionFailure, message.to_owned());
        }
        let little = description.byte_order == ByteOrder::Little;
        Ok(match disposition {
            Disposition::Keep => Self::Keep {
                transfer_syntax: syntax.to_owned(),
                description,
                length,
            },
            Disposition::Native if description.bits_allocated == 1 && little => Self::Keep {
                transfer_syntax: EXPLICIT_LITTLE_ENDIAN.to_owned(),
                description,
                length,
            },
            Disposition::Native if !is_encodable(&shape(&description)) => Self::Plain {
                description,
                length,
            },
            _ => Self::Encode {
                description,
                length,
            },
        })
    }

    /// Memory that storing takes at most.
    pub(in crate::ingest) fn memory(&self) -> Memory {
        Memory(match self {
            Self::None => 0,
            Self::Whole { length, .. } => *length,
            Self::Plain { length, .. } => length.saturating_mul(2),
            Self::Keep {
                description,
                length,
                ..
            } => {
                // Frames differ in size; four times the average leaves room.
                let average = length / u64::from(description.number_of_frames.max(1));
                average.saturating_mul(4).min(*length)
            }
            Self::Encode {
                description,
                length,
            } => {
                let one = memory_of_a_frame(description, *length);
                one.saturating_mul(super::encode::frames_at_once(one, description) as u64)
            }
        })
    }
}

/// Whether the lossless formats hold such samples exactly.
fn is_encodable(shape: &FrameShape) -> bool {
    matches!(shape.bits_allocated, 8 | 16) && shape.samples_per_pixel <= 4
}
