//! Synthetic DICOM studies made in code: for the demonstration, the tests and the benches.
//!
//! Nothing here comes from a patient. Everything is derived from a seed, so that the same call gives
//! the same bytes on every machine. Pictures look like anatomy and carry spatially correlated noise,
//! because compression ratios of flat pictures mean nothing.
//!
//! * [`Phantom`] builds one Part 10 file, plain or deliberately odd.
//! * [`demo_archive`] is the small archive of the demonstration.
//! * [`Archive`] is a CT archive of any size, for benches.
//! * [`LosslessJpeg`] encodes lossless JPEG in all its ways, for tests.
//!
//! ```
//! use healthimaging_phantoms::{Phantom, tags};
//!
//! let file = Phantom::ct().patient("DOE^JANE", "MRN-1").size(64, 64).build();
//! assert_eq!(&file[128..132], b"DICM");
//! let broken = Phantom::mr().without(tags::STUDY_INSTANCE_UID).build();
//! assert_eq!(&broken[128..132], b"DICM");
//! ```

mod anatomy;
mod archive;
mod dataset;
mod demo;
mod lossless_jpeg;
mod noise;
mod phantom;
mod plane;
mod seed;
mod stored;
mod write;

pub use archive::{Archive, PhantomFile, write_to};
pub use demo::{DEMO_CT_STUDY_DESCRIPTION, demo_archive};
pub use dicom_core::value::{DataSetSequence, PrimitiveValue};
pub use dicom_core::{Tag, VR};
pub use dicom_dictionary_std::{tags, uids};
pub use dicom_object::InMemDicomObject;
pub use lossless_jpeg::LosslessJpeg;
pub use phantom::Phantom;
pub use seed::uid;
pub use write::TransferSyntax;
