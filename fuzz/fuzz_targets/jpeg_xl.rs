//! Frames of JPEG XL, by jxl-oxide.
#![no_main]

use healthimaging_fuzz::decode_as;
use libfuzzer_sys::fuzz_target;

const TRANSFER_SYNTAXES: &[&str] = &["1.2.840.10008.1.2.4.112"];

fuzz_target!(|data: &[u8]| decode_as(TRANSFER_SYNTAXES, data));
