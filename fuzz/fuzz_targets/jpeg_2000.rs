//! Frames of JPEG 2000 and HTJ2K, by OpenJPEG.
#![no_main]

use healthimaging_fuzz::decode_as;
use libfuzzer_sys::fuzz_target;

const TRANSFER_SYNTAXES: &[&str] = &[
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.92",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.203",
];

fuzz_target!(|data: &[u8]| decode_as(TRANSFER_SYNTAXES, data));
