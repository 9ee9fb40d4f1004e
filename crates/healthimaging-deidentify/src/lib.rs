//! De-identification of DICOM data sets by PS3.15 Annex E: the Basic Application Level Confidentiality Profile and its
//! Options.
//!
//! A data set goes in; a data set, the decision about its pixels, and a report without values come out. The rules are
//! the rows of Table E.1-1, which this crate holds as data (`data/table_e1_1.tsv`), and what `data/supplement.tsv` adds.
//! README.md documents every decision that the standard leaves to the implementation.
//!
//! The crate reads no file, decodes no frame and keeps no state. It never returns or logs a value of the original.
//!
//! ```
//! use healthimaging_deidentify::{Deidentifier, Key, Profile};
//!
//! # fn main() -> healthimaging::Result<()> {
//! let profile = Profile::parse("basic", ["clean-descriptors", "retain-modified-dates"])?;
//! let key = Key::try_from([7_u8; 32].as_slice())?;
//! let deidentifier = Deidentifier::new(profile, key);
//! assert_eq!(deidentifier.uid("1.2.3"), deidentifier.uid("1.2.3"));
//! # Ok(())
//! # }
//! ```

mod cleaner;
mod content;
mod dates;
mod deidentifier;
mod dummy;
mod finish;
mod graphics;
mod identity;
mod key;
mod listed;
mod options;
mod pixels;
mod private;
mod report;
mod table;
mod uids;
mod unlisted;
mod walk;

pub use cleaner::Cleaner;
pub use dates::{is_time, shift_date_times, shift_dates};
pub use deidentifier::{Deidentified, Deidentifier, Instance};
pub use key::Key;
pub use options::{Profile, ProfileOption};
pub use pixels::{
    Blanking, HoldReason, PixelDecision, Rectangle, blank_frame, has_unused_bits, may_show_text,
};
pub use report::{AttributeReport, Outcome, Report};
pub use table::{Action, Row, TABLE_SOURCE, row};
pub use uids::{is_well_known, names_definitions};
