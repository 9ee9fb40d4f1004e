//! Numbers of either byte order.

use dicom_core::{Tag, VR};

use super::description::ByteOrder;

/// Turns bytes into numbers; bytes that make no whole number are left out.
pub(super) fn numbers<T, const N: usize>(
    bytes: &[u8],
    order: ByteOrder,
    from_little: fn([u8; N]) -> T,
) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| {
            let mut chunk = *chunk;
            if order == ByteOrder::Big {
                chunk.reverse();
            }
            from_little(chunk)
        })
        .collect()
}

/// Turns bytes into tags: two 16-bit numbers each (PS3.5 §6.2).
pub(super) fn tags(bytes: &[u8], order: ByteOrder) -> Vec<Tag> {
    let parts = numbers(bytes, order, u16::from_le_bytes);
    parts.as_chunks::<2>().0.iter().map(|&[group, element]| Tag(group, element)).collect()
}

/// Bytes of one unit of a binary VR, by which byte order goes (PS3.5 §7.3).
pub(super) fn unit(vr: VR) -> usize {
    match vr {
        VR::OW | VR::US | VR::SS | VR::AT => 2,
        VR::OF | VR::OL | VR::UL | VR::SL | VR::FL => 4,
        VR::OD | VR::OV | VR::UV | VR::SV | VR::FD => 8,
        _ => 1,
    }
}

/// Makes big endian units of a binary value little endian.
pub(super) fn to_little_endian(vr: VR, bytes: &mut [u8]) {
    let unit = unit(vr);
    if unit > 1 {
        bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
    }
}
