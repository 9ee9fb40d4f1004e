//! Tokens: values under deterministic authenticated encryption (AES-SIV, RFC 5297), so they resolve without a table.

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;
use data_encoding::BASE32_NOPAD;
use healthimaging::VALUE_TOKEN_PREFIX as PREFIX;
use healthimaging_deidentify::Key;

/// Lengths of values are rounded up to this many bytes, so that a token does not show the exact length of a name.
const BLOCK: usize = 8;
/// First byte of what is encrypted: the rest is UTF-8, or a UID with two characters in a byte.
const TEXT: u8 = 0;
const UID: u8 = 1;
/// What fills the last bytes: no value ends with it, because values are trimmed.
const FILL: u8 = 0;
/// The characters of a UID by their number; 15 fills the last bytes.
const UID_LETTERS: &[u8; 11] = b"0123456789.";
const UID_FILL: u8 = 15;

/// Seals and opens tokens.
pub(crate) struct Tokens {
    key: [u8; 64],
}

impl Tokens {
    pub(crate) fn new(key: &Key) -> Self {
        let mut bytes = [0; 64];
        let halves = [key.secret("token-1"), key.secret("token-2")];
        for (to, from) in bytes.iter_mut().zip(halves.iter().flatten()) {
            *to = *from;
        }
        Self { key: bytes }
    }

    /// Returns the token of a value, without the spaces that pad it. `class` is what the value is of: another class
    /// does not open it.
    pub(crate) fn seal(&self, class: &str, value: &str) -> Option<String> {
        let packed = pack(trimmed(value));
        let sealed = Aes256Siv::new(&self.key.into()).encrypt([class.as_bytes()], &packed).ok()?;
        Some(format!("{PREFIX}{class}-{}", BASE32_NOPAD.encode(&sealed).to_ascii_lowercase()))
    }

    /// Returns the value of a token; `None` for one of another class or key, and for any other text.
    pub(crate) fn open(&self, class: &str, token: &str) -> Option<String> {
        let (of, sealed) = parts(token)?;
        if of != class {
            return None;
        }
        let sealed = BASE32_NOPAD.decode(sealed.to_ascii_uppercase().as_bytes()).ok()?;
        let packed = Aes256Siv::new(&self.key.into()).decrypt([class.as_bytes()], &sealed).ok()?;
        unpack(&packed)
    }
}

/// Returns the class of a token; `None` for text that has not the form of one.
pub(crate) fn class_of(text: &str) -> Option<&str> {
    parts(text).map(|(class, _)| class)
}

fn parts(token: &str) -> Option<(&str, &str)> {
    let (class, sealed) = token.trim().strip_prefix(PREFIX)?.split_once('-')?;
    let is_base32 = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
    let is_class = !class.is_empty() && class.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_class && sealed.len() >= 32 && sealed.bytes().all(is_base32)).then_some((class, sealed))
}

/// Returns a value without the spaces and nulls that pad it (PS3.5 §6.2).
pub(crate) fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\0'])
}

fn pack(value: &str) -> Vec<u8> {
    let number = |byte: u8| {
        let at = UID_LETTERS.iter().position(|letter| *letter == byte)?;
        u8::try_from(at).ok()
    };
    let digits: Option<Vec<u8>> = value.bytes().map(number).collect();
    let mut packed = match digits {
        Some(digits) if !digits.is_empty() => {
            let pairs = digits.chunks(2);
            let byte = |pair: &[u8]| match pair {
                [high, low] => high << 4 | low,
                [high] => high << 4 | UID_FILL,
                _ => u8::MAX,
            };
            std::iter::once(UID).chain(pairs.map(byte)).collect::<Vec<u8>>()
        }
        _ => std::iter::once(TEXT).chain(value.bytes()).collect(),
    };
    let fill = if packed.first() == Some(&UID) { UID_FILL << 4 | UID_FILL } else { FILL };
    packed.resize(packed.len().next_multiple_of(BLOCK), fill);
    packed
}

fn unpack(packed: &[u8]) -> Option<String> {
    let (form, rest) = packed.split_first()?;
    if *form == TEXT {
        return String::from_utf8(rest.to_vec()).ok().map(|text| trimmed(&text).to_owned());
    }
    let numbers = rest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let letters = numbers.take_while(|number| *number != UID_FILL);
    letters.map(|number| UID_LETTERS.get(usize::from(number)).copied().map(char::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(byte: u8) -> Tokens {
        Tokens::new(&Key::try_from([byte; 32].as_slice()).unwrap())
    }

    #[test]
    fn a_token_opens_to_its_value() {
        for value in ["MRN-1", "", "1.2.840.10008.1", "2.25.1", "7", "Müller^Ann=山田^太郎", "x.1"]
        {
            let token = tokens(1).seal("00100020", value).unwrap();
            assert_eq!(tokens(1).open("00100020", &token).as_deref(), Some(value));
            assert_eq!(tokens(1).seal("00100020", &format!(" {value} ")), Some(token));
        }
        let longest = "2.25.".to_owned() + &"9".repeat(59);
        assert!(tokens(1).seal("uid", &longest).unwrap().len() <= 100);
    }

    #[test]
    fn no_other_text_opens() {
        let token = tokens(1).seal("00100020", "MRN-1").unwrap();
        assert_eq!(tokens(2).open("00100020", &token), None, "another key");
        assert_eq!(tokens(1).open("00100010", &token), None, "another attribute");
        let renamed = token.replace("00100020", "00100010");
        assert_eq!(tokens(1).open("00100010", &renamed), None, "another attribute in the text");
        let at = token.len() - 20;
        for letter in ["a", "b", "7"] {
            let mut altered = token.clone();
            if altered.get(at..=at) != Some(letter) {
                altered.replace_range(at..=at, letter);
                assert_eq!(tokens(1).open("00100020", &altered), None, "altered");
            }
        }
        for text in ["MRN-1", "phi-", "phi-00100020-", "phi-00100020-*", &token[..token.len() - 1]]
        {
            assert_eq!(tokens(1).open("00100020", text), None, "{text}");
        }
    }

    #[test]
    fn names_of_nearly_the_same_length_have_tokens_of_the_same_length() {
        let length = |name: &str| tokens(1).seal("00100010", name).unwrap().len();
        assert_eq!(length("Li^Bo"), length("Doe^Jo"));
    }
}
