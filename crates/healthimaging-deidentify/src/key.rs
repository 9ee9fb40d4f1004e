//! The secret key, and what is derived from it: the same in every run, and without the key not to be undone or guessed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use healthimaging::{Error, Result};

const LENGTH: usize = 32;
/// RFC 4648.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Days by which dates are moved to the past: 1 to ten years.
const SHIFT_RANGE: u64 = 3650;

/// A secret key of 32 bytes.
#[derive(Clone)]
pub struct Key([u8; LENGTH]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl TryFrom<&[u8]> for Key {
    type Error = Error;

    /// Errors: `Validation` for another length than 32 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| {
            Error::validation(format!("deidentify key: wrong length; give {LENGTH} random bytes"))
        })
    }
}

impl Key {
    /// Reads a key from 64 hexadecimal digits; spaces around them are ignored.
    ///
    /// Errors: `Validation` for anything else.
    pub fn from_hex(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong =
            || Error::validation("deidentify key: invalid; give 64 hexadecimal digits (32 bytes)");
        if !text.is_ascii() || text.len() != 2 * LENGTH {
            return Err(wrong());
        }
        let mut bytes = [0; LENGTH];
        for (number, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * number..2 * number + 2).ok_or_else(wrong)?;
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }

    /// Returns what identifies the key without revealing it: 16 characters of base32.
    pub fn id(&self) -> String {
        self.pseudonym("key-id", "")
    }

    /// Returns the key of another use: neither key reveals the other.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> Self {
        Self(self.digest("derived-key", purpose))
    }

    /// Returns 32 secret bytes, for use as a key of another algorithm.
    #[must_use]
    pub fn secret(&self, purpose: &str) -> [u8; LENGTH] {
        self.digest("secret", purpose)
    }

    /// HMAC-SHA256 of a value; `purpose` keeps the outputs of different uses apart.
    fn digest(&self, purpose: &str, value: &str) -> [u8; 32] {
        // HMAC fills a key up to the block length with zeros (RFC 2104).
        let mut block = [0_u8; 64];
        for (to, from) in block.iter_mut().zip(self.0) {
            *to = from;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Returns a UID under 2.25: a version 8 UUID (RFC 9562) of 128 bits of the digest.
    pub(crate) fn uid(&self, uid: &str) -> String {
        let digest = self.digest("uid", uid);
        let bits = digest.iter().take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        // Version 8, variant 10.
        let bits = bits & !(0xF << 76) | 0x8 << 76;
        let bits = bits & !(0x3 << 62) | 0x2 << 62;
        format!("2.25.{bits}")
    }

    /// Returns 16 characters of base32: 80 bits of the digest.
    pub(crate) fn pseudonym(&self, purpose: &str, value: &str) -> String {
        let digest = self.digest(purpose, value);
        let bits = digest.iter().take(10).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let letter = |number: u32| {
            let five = (bits >> (75 - 5 * number)) & 0x1F;
            char::from(
                usize::try_from(five).ok().and_then(|at| BASE32.get(at)).copied().unwrap_or(b'A'),
            )
        };
        (0..16).map(letter).collect()
    }

    /// Returns by how many days the dates of a patient move: -3650 to -1.
    pub fn date_shift(&self, patient: &str) -> i64 {
        let digest = self.digest("date-shift", patient);
        let bits = digest.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let days = bits % SHIFT_RANGE;
        -1 - i64::try_from(days).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        let bytes: Vec<u8> = (0..32).collect();
        Key::try_from(bytes.as_slice()).unwrap()
    }

    /// Expected values by Python: `hmac.new(bytes(range(32)), b"uid\0" + b"1.2.3", "sha256")`.
    #[test]
    fn digests_are_hmac_sha256() {
        let expected = "f327c820c0f135c32ff671c51d701a74ecb7080cf53c71110b4e0197cc236aaf";
        let pairs =
            (0..32).map(|at| u8::from_str_radix(&expected[2 * at..2 * at + 2], 16).unwrap());
        assert_eq!(key().digest("uid", "1.2.3").to_vec(), pairs.collect::<Vec<_>>());
        assert_eq!(key().uid("1.2.3"), "2.25.323208961630152450876443539203389659764");
        assert_eq!(key().pseudonym("patient-id", "MRN-1"), "X372UPSH4T4OETU2");
        assert_eq!(key().date_shift("MRN-1"), -2242);
        assert_eq!(key().id(), "G6QMPU5H6JPDFLCH");
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        for length in [0, 16, 31, 33, 64] {
            assert!(Key::try_from(vec![1; length].as_slice()).is_err(), "{length}");
        }
        assert!(Key::from_hex(&"0f".repeat(32)).is_ok());
        for text in
            ["", "0f", &"0f".repeat(31), &"0f".repeat(33), &"+f".repeat(32), &"é".repeat(32)]
        {
            let error = Key::from_hex(text).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", key()), "Key(…)");
    }
}
