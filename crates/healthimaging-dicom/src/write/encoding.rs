//! How a transfer syntax encodes the data set around the pixels (`PS3.5 §10`, Annex A).

use std::io::Write;

use dicom_encoding::transfer_syntax::DynEncoder;
use dicom_transfer_syntax_registry::entries;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use healthimaging::{Error, Result};

use super::io_error;

/// Encoding of a data set. Every syntax with encapsulated pixels uses explicit VR little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
    Deflated,
    Encapsulated,
}

/// What one data set writer needs: VRs shown or not, and the order of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
}

impl Encoding {
    pub(super) fn of(transfer_syntax: &str) -> Self {
        match transfer_syntax {
            "1.2.840.10008.1.2" => Self::ImplicitLittle,
            "1.2.840.10008.1.2.1" => Self::ExplicitLittle,
            "1.2.840.10008.1.2.2" => Self::ExplicitBig,
            "1.2.840.10008.1.2.1.99" => Self::Deflated,
            _ => Self::Encapsulated,
        }
    }

    /// Runs `write` with a sink for the data set, compressed if the syntax requires it.
    pub(super) fn run(
        self,
        out: &mut dyn Write,
        write: impl FnOnce(&mut dyn Write, Order) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::ImplicitLittle => write(out, Order::ImplicitLittle),
            Self::ExplicitLittle | Self::Encapsulated => write(out, Order::ExplicitLittle),
            Self::ExplicitBig => write(out, Order::ExplicitBig),
            Self::Deflated => {
                let mut deflated =
                    DeflateEncoder::new(Counted { out, count: 0 }, Compression::fast());
                write(&mut deflated, Order::ExplicitLittle)?;
                let sink = deflated.finish().map_err(io_error)?;
                // PS3.5 §A.5: an odd number of bytes is padded with one NUL.
                if sink.count % 2 == 1 {
                    sink.out.write_all(&[0]).map_err(io_error)?;
                }
                Ok(())
            }
        }
    }
}

impl Order {
    pub(super) fn encoder<'w, W: Write + 'w>(self) -> Result<DynEncoder<'w, W>> {
        let encoder = match self {
            Self::ImplicitLittle => entries::IMPLICIT_VR_LITTLE_ENDIAN.encoder_for(),
            Self::ExplicitLittle => entries::EXPLICIT_VR_LITTLE_ENDIAN.encoder_for(),
            Self::ExplicitBig => entries::EXPLICIT_VR_BIG_ENDIAN.encoder_for(),
        };
        encoder.ok_or_else(|| {
            Error::not_supported("this transfer syntax cannot be written; request another one")
        })
    }

    pub(super) fn is_big(self) -> bool {
        self == Self::ExplicitBig
    }

    pub(super) fn shows_vr(self) -> bool {
        self != Self::ImplicitLittle
    }
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
