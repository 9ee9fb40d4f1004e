//! Frames: stored frame to pixels and back; every codec; no I/O.
//!
//! * [`decode`] turns one frame of a DICOM file, of any supported transfer syntax, into pixels of
//!   one layout: little endian, interleaved by pixel.
//! * [`Decoder`] does that for frames from outside, in another process where it is given one.
//! * [`encode`] turns pixels into a lossless HTJ2K or JPEG 2000 codestream, and proves it by
//!   decoding it again.
//! * [`read_pdf`] reads the text and pages of a PDF document; [`Decoder::read_pdf`] does it in another process.
//! * [`lower_resolution`] takes a lower resolution out of an HTJ2K frame, for small pictures.
//! * [`decode_stored`] reads back what was stored, [`decode_stored_lower`] a lower resolution of it.
//! * [`jp2_header`] makes a JP2 file of a codestream, [`codestream_of`] takes it out again.
//! * [`disposition`], [`content_type`] and the functions beside them return how AWS HealthImaging treats
//!   a transfer syntax.
//! * [`prepare`] is called once by a program that handles many frames, [`return_freed_memory`] after large work, [`warm_up`] by a thread that
//!   decodes and is about to lose its rights.
//!
//! Without the feature `codecs` there are no codecs in C and C++, and frames that need one are unsupported. Without the
//! feature `pdf` PDF documents are not read.
//!
//! This is the only crate with `unsafe` code, in `openjph`, `openjpeg`, `memory_stream` and
//! `turbojpeg`, and the only one that names codecs. It opens no file, reads no data set and keeps
//! no state.
#![cfg_attr(not(feature = "codecs"), allow(dead_code, reason = "the codecs use the rest of it"))]

#[cfg(not(feature = "codecs"))]
mod absent;
mod codestream;
mod decode;
mod decoder;
mod encode;
mod error;
mod facts;
mod jp2;
mod jpeg;
mod jpeg_header;
#[cfg(feature = "codecs")]
mod jpeg_ls;
mod jpeg_stream;
mod jpeg_xl;
#[cfg(feature = "codecs")]
mod memory_stream;
mod native;
#[cfg(feature = "codecs")]
mod openjpeg;
#[cfg(feature = "codecs")]
mod openjph;
mod pdf;
#[cfg(feature = "pdf")]
mod pdf_pages;
mod resolution;
mod rle;
mod samples;
mod shape;
mod show;
mod transfer_syntax;
#[cfg(feature = "codecs")]
mod turbojpeg;

#[cfg(not(feature = "codecs"))]
use absent::{jpeg_ls, openjpeg, openjph, turbojpeg};
pub use decode::{DecodedFrame, SourceFrame, decode, decode_stored, decode_stored_lower};
pub use decoder::{Decoder, IsolatedDecoder, decode_guarded};
pub use encode::{EncodedFrame, encode};
pub use error::CodecError;
pub use facts::{FrameFacts, checksum, facts};
pub use healthimaging_image::{ByteOrder, PixelRepresentation, PlanarConfiguration};
pub use jp2::{codestream_of, jp2_header, jp2_header_length};
pub use jpeg::warm_up;
pub use openjph::{prepare, return_freed_memory};
pub use pdf::{
    LARGEST_PAGE, LONGEST_TEXT, MOST_PAGES, PdfContent, PdfError, PdfPart, PdfPicture, READS_PDF,
    read_pdf,
};
pub use resolution::lower_resolution;
pub use shape::FrameShape;
pub use show::ShownFrame;
pub use transfer_syntax::{
    Disposition, LosslessFormat, byte_order, content_type, disposition, is_encapsulated, is_video,
    lacks_end,
};
