//! What is derived from a seed: UIDs and random generators.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The digest that stands for `seed` and the words of `path`.
fn digest(seed: u64, path: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for word in path {
        hash.update([0]);
        hash.update(word.as_bytes());
    }
    hash.finalize().into()
}

/// A UID under `2.25.` (PS3.5 §B.2) that `seed` and the words of `path` determine.
///
/// ```
/// use healthimaging_phantoms::uid;
/// assert_eq!(uid(1, &["study"]), uid(1, &["study"]));
/// assert_ne!(uid(1, &["study"]), uid(2, &["study"]));
/// ```
#[must_use]
pub fn uid(seed: u64, path: &[&str]) -> String {
    // 120 bits: at most 37 digits, well within the 64 characters of a UID.
    let number = digest(seed, path).iter().take(15).fold(0u128, |n, b| n << 8 | u128::from(*b));
    format!("2.25.{number}")
}

/// A random generator that `seed` and the words of `path` determine, the same on every platform.
#[derive(Debug)]
pub(crate) struct Generator(Pcg64);

impl Generator {
    pub(crate) fn new(seed: u64, path: &[&str]) -> Self {
        Self(Pcg64::from_seed(digest(seed, path)))
    }

    /// A number in `low..high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        let [a, b, c, _] = self.0.next_u32().to_be_bytes();
        let unit = f32::from(u16::from_be_bytes([a, b])) / 65_536.0 + f32::from(c) / 16_777_216.0;
        low + (high - low) * unit
    }

    /// A whole number in `0..limit`, or 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.next_u32()).unwrap_or(0).checked_rem(limit).unwrap_or(0)
    }

    /// A sample of the normal distribution with mean 0 and deviation 1, nearly: the sum of four
    /// even ones, which never leaves ±3.5.
    pub(crate) fn normal(&mut self) -> f32 {
        let word = self.0.next_u64();
        let sum: f32 = (0..4u32).map(|i| f32::from((word >> (16 * i) & 0xffff) as u16)).sum();
        (sum / 65_536.0 - 2.0) * 1.732
    }
}
