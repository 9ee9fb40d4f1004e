//! What AWS HealthImaging does with each transfer syntax, from its developer guide.

use healthimaging_pixels::{
    Disposition, LosslessFormat, content_type, disposition, is_encapsulated, is_video, lacks_end,
};

const ROOT: &str = "1.2.840.10008.1.2";

fn of(suffix: &str, bits_allocated: u16) -> Disposition {
    disposition(&format!("{ROOT}{suffix}"), bits_allocated)
}

#[test]
fn dispositions_are_those_of_the_guide() {
    for native in ["", ".1", ".1.99", ".2"] {
        assert_eq!(of(native, 16), Disposition::Native, "{native}");
    }
    for compressed in [
        ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.92", ".4.93", ".4.201", ".4.202",
        ".5",
    ] {
        assert_eq!(of(compressed, 16), Disposition::Transcode, "{compressed}");
    }
    for kept in [
        ".4.50", ".4.91", ".4.203", ".4.112", ".4.100", ".4.100.1", ".4.101", ".4.101.1", ".4.102",
        ".4.102.1", ".4.103", ".4.103.1", ".4.104", ".4.104.1", ".4.105", ".4.105.1", ".4.106",
        ".4.106.1", ".4.107", ".4.108",
    ] {
        assert_eq!(of(kept, 8), Disposition::Keep, "{kept}");
    }
    assert_eq!(of(".1", 1), Disposition::Keep, "binary segmentation");
    for unknown in [".4.107.1", ".4.109", ".4.52", ".4.1000", ".8.1", ".4."] {
        assert_eq!(of(unknown, 8), Disposition::Unsupported, "{unknown}");
    }
    assert_eq!(disposition("1.2.840.113619.5.2", 16), Disposition::Unsupported);
}

#[test]
fn video_and_encapsulation() {
    assert!(is_video("1.2.840.10008.1.2.4.103.1"));
    assert!(!is_video("1.2.840.10008.1.2.4.112"));
    assert!(!is_encapsulated("1.2.840.10008.1.2.1.99"));
    assert!(is_encapsulated("1.2.840.10008.1.2.5"));
}

#[test]
fn content_types_are_those_of_the_api() {
    for (uid, expected) in [
        (None, "image/jph"),
        (Some(".4.202"), "image/jph"),
        (Some(".4.203"), "image/jphc"),
        (Some(".4.91"), "image/j2c"),
        (Some(".4.50"), "image/jpeg"),
        (Some(".4.112"), "image/jxl"),
        (Some(".1"), "application/octet-stream"),
        (Some(".4.100"), "video/mpeg"),
        (Some(".4.101.1"), "video/mpeg"),
        (Some(".4.102"), "video/mp4"),
        (Some(".4.106.1"), "video/mp4"),
        (Some(".4.107"), "video/H256"),
        (Some(".4.108"), "video/H256"),
    ] {
        let uid = uid.map(|suffix| format!("{ROOT}{suffix}"));
        assert_eq!(content_type(uid.as_deref()), expected, "{uid:?}");
    }
    assert_eq!(LosslessFormat::Htj2k.transfer_syntax(), "1.2.840.10008.1.2.4.202");
    assert_eq!(LosslessFormat::Jpeg2000.transfer_syntax(), "1.2.840.10008.1.2.4.90");
}

#[test]
fn frames_end_with_a_marker_in_the_syntaxes_that_have_one() {
    let ended = [0xFF, 0xD8, 1, 2, 0xFF, 0xD9, 0];
    let cut = &ended[..4];
    for syntax in ["50", "57", "70", "80", "90", "91", "202"] {
        let uid = format!("{ROOT}.4.{syntax}");
        assert!(!lacks_end(&uid, &ended), "{uid}");
        assert!(lacks_end(&uid, cut), "{uid}");
    }
    for syntax in [".1", ".5", ".4.102", ".4.110"] {
        assert!(!lacks_end(&format!("{ROOT}{syntax}"), cut), "{syntax}");
    }
}
