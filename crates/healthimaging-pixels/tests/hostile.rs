//! Damaged streams: an error or a frame of the right length, never a panic, never another length.

mod pictures;

use healthimaging_pixels::{FrameShape, decode};
use pictures::{frame, shape, signed};
use proptest::prelude::*;

fn streams() -> Vec<(&'static str, FrameShape, &'static [u8])> {
    let gray = |allocated, stored| shape(19, 23, 1, allocated, stored);
    let rgb = shape(19, 23, 3, 8, 8);
    vec![
        ("1.2.840.10008.1.2.4.50", gray(8, 8), include_bytes!("data/gray8.jpeg")),
        ("1.2.840.10008.1.2.4.50", rgb, include_bytes!("data/rgb8.jpeg")),
        ("1.2.840.10008.1.2.4.50", rgb, include_bytes!("data/rgb8.ybr")),
        ("1.2.840.10008.1.2.4.51", gray(16, 12), include_bytes!("data/gray12.jpeg")),
        ("1.2.840.10008.1.2.4.57", gray(8, 8), include_bytes!("data/gray8.ljpeg")),
        ("1.2.840.10008.1.2.4.70", gray(16, 12), include_bytes!("data/gray12.ljpeg")),
        ("1.2.840.10008.1.2.4.80", gray(8, 8), include_bytes!("data/gray8.jls")),
        ("1.2.840.10008.1.2.4.80", gray(16, 12), include_bytes!("data/gray12.jls")),
        ("1.2.840.10008.1.2.4.81", rgb, include_bytes!("data/rgb8.jls")),
        ("1.2.840.10008.1.2.4.90", gray(8, 8), include_bytes!("data/gray8.jp2")),
        ("1.2.840.10008.1.2.4.90", rgb, include_bytes!("data/rgb8.j2k")),
        ("1.2.840.10008.1.2.4.91", signed(gray(16, 16)), include_bytes!("data/gray16s.j2k")),
        ("1.2.840.10008.1.2.4.201", rgb, include_bytes!("data/rgb8.jhc")),
        ("1.2.840.10008.1.2.4.203", signed(gray(16, 16)), include_bytes!("data/gray16s.jhc")),
        ("1.2.840.10008.1.2.4.112", gray(16, 12), include_bytes!("data/gray12.jxl")),
        ("1.2.840.10008.1.2.4.112", gray(8, 8), include_bytes!("data/gray8.lossy.jxl")),
        ("1.2.840.10008.1.2.4.112", rgb, include_bytes!("data/rgb8.lossy.jxl")),
        ("1.2.840.10008.1.2.5", gray(8, 8), include_bytes!("data/gray8.raw")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damage_is_survived(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        header_only in any::<bool>(),
    ) {
        let streams = streams();
        let (uid, shape, stream) = which.get(&streams);
        let mut data = stream.to_vec();
        for (place, value) in changes {
            // Headers are where decoders get lost, and they are a small part of the stream.
            let reach = if header_only { data.len().min(120) } else { data.len() };
            let place = place.index(reach);
            data[place] = value;
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        let photometric = if shape.samples_per_pixel == 3 { "YBR_FULL" } else { "MONOCHROME2" };
        if let Ok(decoded) = decode(&frame(uid, *shape, photometric, &data)) {
            prop_assert_eq!(decoded.pixels.len() as u64, shape.byte_length());
        }
    }
}
