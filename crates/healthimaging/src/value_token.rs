//! Tokens that stand for values which a caller does not see.

/// How every token begins.
pub const VALUE_TOKEN_PREFIX: &str = "phi-";

/// Longest token, in bytes.
const LONGEST: usize = 1024;

/// Whether a text has the form of a token for a value, so that rules for values do not apply to it. Whether it is one,
/// only the server that made it can find out.
#[must_use]
pub fn is_value_token(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= LONGEST && text.starts_with(VALUE_TOKEN_PREFIX) && text.bytes().all(is_plain)
}
