//! Frames and pictures in base64.

use base64::Engine as _;
use base64::engine::general_purpose::PAD;

/// The engine for megabytes, which uses the vector instructions that the processor has.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
fn engine() -> base64::engine::Simd {
    base64::engine::Simd::standard(PAD)
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
fn engine() -> base64::engine::GeneralPurpose {
    base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, PAD)
}

/// Encodes bytes in base64 (RFC 4648 §4), padded.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    engine().encode(bytes)
}
