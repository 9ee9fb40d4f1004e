//! Access tokens of an OAuth 2.1 authorization server, for MCP: this server is a protected resource (RFC 9728).

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use healthimaging::{Effect, Error, Grant, Limit, RedactionLevel, Result, Rights};
use http::Uri;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::word;
pub use super::jwks::{Fetch, JwksSource};
use super::jwks::{Jwks, KeyFailure};

/// Algorithms of signatures. None of them is symmetric.
pub(super) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Difference between the clocks of the authorization server and this one, in seconds.
const LEEWAY: u64 = 30;

/// Longest access token in bytes.
const LONGEST_TOKEN: usize = 16 << 10;

/// Longest part of a name of a caller in characters.
const LONGEST_NAME: usize = 64;

/// Path of the metadata of the protected resource; that of MCP may follow.
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// An authorization server whose access tokens are accepted for MCP.
#[derive(Debug)]
pub struct OAuth {
    issuer: String,
    audience: String,
    jwks: Jwks,
    redaction: Option<RedactionLevel>,
}

/// Why an access token is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not valid.
    Invalid(&'static str),
    /// It has no scope of this server.
    NoScope,
    /// The keys of the authorization server are not available, so the token could not be verified.
    Unavailable,
}

/// The claims that are read (RFC 9068); those of times, issuer and audience are verified before.
#[derive(Deserialize)]
struct Claims {
    exp: u64,
    sub: Option<String>,
    client_id: Option<String>,
    scope: Option<String>,
    scp: Option<Value>,
}

impl OAuth {
    /// Accepts tokens of `issuer` for `audience`, the URI of this server.
    ///
    /// # Errors
    /// `Validation` for an issuer without https that is not on this machine, an audience that is not an absolute URI, and a
    /// file of keys that cannot be used.
    pub fn new(issuer: &str, audience: &str, source: JwksSource, fetch: Fetch) -> Result<Self> {
        check_url("--oauth-issuer", issuer)?;
        if let JwksSource::Url(url) = &source {
            check_url("--oauth-jwks", url)?;
        }
        let is_absolute = audience
            .split_once(':')
            .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        if !is_absolute || audience.contains(|c: char| c.is_whitespace() || c == '#') {
            return Err(Error::validation(
                "--oauth-audience must be the URI of this server, such as https://images.example.org/mcp",
            ));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            jwks: Jwks::new(issuer, source, fetch)?,
            redaction: None,
        })
    }

    /// Keeps the identity of patients from every caller with an access token, whatever its scopes are.
    #[must_use]
    pub fn redacting(self, redaction: Option<RedactionLevel>) -> Self {
        Self { redaction, ..self }
    }

    /// Returns what an access token grants.
    pub(crate) async fn grant(&self, token: &str) -> std::result::Result<Grant, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::Invalid("the access token is too long"));
        }
        let header = decode_header(token).map_err(|_| Refusal::Invalid("it is not a JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Refusal::Invalid(
                "its algorithm is not accepted: use RS256, ES256 or EdDSA",
            ));
        }
        let key =
            self.jwks.key(header.kid.as_deref(), header.alg).await.map_err(|why| match why {
                KeyFailure::Unknown => Refusal::Invalid("no key of the issuer signed it"),
                KeyFailure::Unavailable => Refusal::Unavailable,
            })?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| Refusal::Invalid(reason(error.kind())))?
            .claims;
        let most = claims.most().ok_or(Refusal::NoScope)?;
        let holder = format!("oauth {}", claims.name());
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp));
        let rights = if most == Effect::Destroys {
            Rights::unlimited()
        } else {
            Rights::unlimited().and(Limit::new(
                most,
                format!("the access token has the scope {} at most", scope(most)),
            ))
        };
        Ok(Grant::of_access_token(holder, rights, expires).redacting(self.redaction))
    }

    /// The metadata of the protected resource (RFC 9728 §2).
    pub(crate) fn metadata(&self) -> Value {
        let scopes = [Effect::Reads, Effect::Writes, Effect::Destroys].map(scope);
        json!({
            "resource": self.audience,
            "authorization_servers": [self.issuer],
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": "healthimaging-mcp-server",
        })
    }

    /// The challenge of a response (RFC 6750 §3, RFC 9728 §5.1). `base` is the address of this server as the client has it,
    /// unless the audience is one.
    pub(crate) fn challenge(&self, base: &str, refusal: Option<&Refusal>) -> String {
        let url = self.audience.parse::<Uri>().ok();
        let url = url.filter(|url| matches!(url.scheme_str(), Some("https" | "http")));
        let metadata = match url
            .as_ref()
            .and_then(|url| Some((url.scheme_str()?, url.authority()?, url.path())))
        {
            Some((scheme, authority, "/")) => format!("{scheme}://{authority}{METADATA}"),
            Some((scheme, authority, path)) => format!("{scheme}://{authority}{METADATA}{path}"),
            None => format!("{base}{METADATA}/mcp"),
        };
        let more = match refusal {
            Some(Refusal::Invalid(why)) => {
                format!(", error=\"invalid_token\", error_description=\"{why}\"")
            }
            Some(Refusal::NoScope) => insufficient(Effect::Reads),
            Some(Refusal::Unavailable) | None => format!(", scope=\"{}\"", scope(Effect::Reads)),
        };
        format!("Bearer resource_metadata=\"{metadata}\"{more}")
    }

    /// The challenge of a response to a call whose effect the scope of its token does not include.
    pub(crate) fn wider(&self, base: &str, needed: Effect) -> String {
        let challenge = self.challenge(base, None);
        let first = challenge.split(", ").next().unwrap_or_default();
        format!("{first}{}", insufficient(needed))
    }
}

/// The members of a challenge that ask for a wider scope, with the scopes that it includes.
fn insufficient(needed: Effect) -> String {
    let all = [Effect::Reads, Effect::Writes, Effect::Destroys];
    let scopes: Vec<_> = all.into_iter().filter(|effect| *effect <= needed).map(scope).collect();
    format!(", error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" "))
}

/// The scope of an effect.
fn scope(effect: Effect) -> String {
    format!("healthimaging:{}", word(effect))
}

impl Claims {
    /// The largest effect of the scopes; `None` without a scope of this server.
    fn most(&self) -> Option<Effect> {
        let listed = match &self.scp {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(all)) => all.split(' ').collect(),
            _ => Vec::new(),
        };
        let scopes = self.scope.as_deref().unwrap_or_default().split(' ').chain(listed);
        let scopes: Vec<&str> = scopes.collect();
        let all = [Effect::Destroys, Effect::Writes, Effect::Reads];
        all.into_iter().find(|effect| scopes.contains(&scope(*effect).as_str()))
    }

    /// Names the caller in the audit log.
    fn name(&self) -> String {
        let name = self.sub.as_deref().or(self.client_id.as_deref()).unwrap_or("without a subject");
        name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
    }
}

fn reason(kind: &jsonwebtoken::errors::ErrorKind) -> &'static str {
    use jsonwebtoken::errors::ErrorKind as Kind;
    match kind {
        Kind::ExpiredSignature => "it has expired",
        Kind::ImmatureSignature => "it is not valid yet",
        Kind::InvalidAudience => "it is for another audience",
        Kind::InvalidIssuer => "it is of another issuer",
        Kind::InvalidSignature => "its signature is wrong",
        Kind::MissingRequiredClaim(_) => "a required claim is missing: exp, iss or aud",
        _ => "it cannot be verified",
    }
}

/// Rejects a URL without https, unless it is on this machine.
pub(super) fn check_url(flag: &str, text: &str) -> Result<()> {
    let url = text.parse::<Uri>().ok();
    let is_fine = url.is_some_and(|url| {
        let host = url.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let is_loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_clean = !host.is_empty() && !text.contains(['#', '@', '"']);
        is_clean
            && (url.scheme_str() == Some("https")
                || (url.scheme_str() == Some("http") && is_loopback))
    });
    if is_fine {
        return Ok(());
    }
    Err(Error::validation(format!(
        "{flag} must be a URL with https, such as https://login.example.org"
    )))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "invalid access token: {why}"),
            Self::NoScope => f.write_str(
                "the access token has no scope of this server: healthimaging:read, healthimaging:write or \
                 healthimaging:destroy",
            ),
            Self::Unavailable => f.write_str(
                "the keys of the authorization server are not available; try again later",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::SystemTime;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use bytes::Bytes;
    use futures::FutureExt as _;
    use healthimaging::ErrorKind;
    use jsonwebtoken::{EncodingKey, Header, encode};

    use super::*;

    const ISSUER: &str = "https://login.example";
    const AUDIENCE: &str = "https://images.example/mcp";

    /// Keys that were made for this test alone, PKCS #8.
    const ED: &str = "MC4CAQAwBQYDK2VwBCIEIBwQ6WNz5NsFkXwKNoi3WB/NY4uAmodK11/qyzmjJZht";
    const EC: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNficgCsPh3Efwkf12pG4seGG6QC+MolQG4t1qobAmQmhRANCAAThYYdLAZfRM8s0j2c5SCKlPyGtjPHB0pf60pOFAdtSQyOqgzywSCTR4WYMoGirs3ePEs5pzL8grhEHzF2N/csx";
    const ED_X: &str = "e1jepwwLS8f4QEYpkBANu5cGBuOgGO67iqoB0yAbCmU";

    fn key_set() -> Value {
        json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "x": ED_X, "kid": "ed", "use": "sig" },
            { "kty": "EC", "crv": "P-256", "x": "4WGHSwGX0TPLNI9nOUgipT8hrYzxwdKX-tKThQHbUkM", "y": "I6qDPLBIJNHhZgygaKuzd48SzmnMvyCuEQfMXY39yzE", "kid": "ec", "alg": "ES256" },
            { "kty": "oct", "k": "c2VjcmV0LW9mLXRoZS10ZXN0", "kid": "oct" },
            { "kty": "unknown", "kid": "other" },
            { "kty": "OKP", "crv": "Ed25519", "x": ED_X, "kid": "enc", "use": "enc" },
        ] })
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    fn claims() -> Value {
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "a.person", "exp": now() + 300,
            "scope": "openid healthimaging:read" })
    }

    fn signed(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
        let der = |text: &str| BASE64_STANDARD.decode(text).unwrap();
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der(ED)),
            Algorithm::ES256 => EncodingKey::from_ec_der(&der(EC)),
            // A verifier that takes the public key for a secret would accept it.
            _ => EncodingKey::from_secret(ED_X.as_bytes()).unwrap(),
        };
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, claims, &key).unwrap()
    }

    /// A resource whose keys are fetched, with the number of fetches.
    fn resource(answer: fn() -> Result<Bytes>) -> (OAuth, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let fetch: Fetch = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { answer() }.boxed()
        });
        let source = JwksSource::Url("https://login.example/keys".to_owned());
        (OAuth::new(ISSUER, AUDIENCE, source, fetch).unwrap(), count)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the type of a fetch")]
    fn answered() -> Result<Bytes> {
        Ok(key_set().to_string().into())
    }

    #[tokio::test]
    async fn a_token_grants_what_its_scopes_include() {
        let (oauth, count) = resource(answered);
        for (scopes, most) in [
            (json!({ "scope": "healthimaging:read" }), Some(Effect::Reads)),
            (json!({ "scope": "healthimaging:write openid" }), Some(Effect::Writes)),
            (json!({ "scope": "", "scp": ["healthimaging:destroy"] }), Some(Effect::Destroys)),
            (json!({ "scope": "", "scp": "healthimaging:write" }), Some(Effect::Writes)),
            (json!({ "scope": "healthimaging" }), None),
            (json!({ "scope": "healthimaging:reading" }), None),
            (json!({ "scope": "" }), None),
        ] {
            for (algorithm, kid) in [(Algorithm::EdDSA, "ed"), (Algorithm::ES256, "ec")] {
                let mut claims = claims();
                claims.as_object_mut().unwrap().extend(scopes.as_object().unwrap().clone());
                let found = oauth.grant(&signed(algorithm, Some(kid), &claims)).await;
                match most {
                    Some(most) => {
                        let grant = found.unwrap();
                        assert_eq!(grant.rights().most(), most, "{scopes}");
                        assert_eq!(grant.holder(), Some("oauth a.person"));
                        assert!(!grant.has_ended() && grant.can_widen());
                    }
                    None => assert_eq!(found.unwrap_err(), Refusal::NoScope, "{scopes}"),
                }
            }
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn no_scope_of_a_token_ends_the_redaction_of_all_tokens() {
        for level in [RedactionLevel::On, RedactionLevel::Strict] {
            let oauth = resource(answered).0.redacting(Some(level));
            for scope in ["read", "write", "destroy"] {
                let mut claims = claims();
                claims["scope"] =
                    json!(format!("healthimaging:{scope} healthimaging:identity openid"));
                let grant =
                    oauth.grant(&signed(Algorithm::EdDSA, Some("ed"), &claims)).await.unwrap();
                assert_eq!(grant.redaction(), Some(level), "{scope}");
                assert!(grant.can_widen(), "a wider scope can be asked for");
            }
        }
        let (oauth, _) = resource(answered);
        let grant = oauth.grant(&signed(Algorithm::EdDSA, Some("ed"), &claims())).await.unwrap();
        assert!(!grant.redacts());
    }

    /// RFC 8725 §3: algorithms, keys, issuer, audience and times are verified.
    #[tokio::test]
    async fn wrong_tokens_are_refused() {
        let (oauth, count) = resource(answered);
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            signed(Algorithm::EdDSA, Some("ed"), &claims)
        };
        let without = |name: &str| {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            signed(Algorithm::EdDSA, Some("ed"), &claims)
        };
        let good = signed(Algorithm::EdDSA, Some("ed"), &claims());
        assert!(oauth.grant(&good).await.is_ok());
        let parts: Vec<&str> = good.split('.').collect();
        // {"alg":"none"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
        for (what, token) in [
            ("none", unsigned),
            ("HS256 with the public key", signed(Algorithm::HS256, Some("ed"), &claims())),
            ("HS256 with a symmetric key", signed(Algorithm::HS256, Some("oct"), &claims())),
            ("the key of another kind", signed(Algorithm::EdDSA, Some("ec"), &claims())),
            ("a key for encryption", signed(Algorithm::EdDSA, Some("enc"), &claims())),
            ("another signature", format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86))),
            ("another audience", with("aud", json!("https://other.example"))),
            ("another issuer", with("iss", json!("https://other.example"))),
            ("expired", with("exp", json!(now() - 60))),
            ("not yet valid", with("nbf", json!(now() + 60))),
            ("no issuer", without("iss")),
            ("no audience", without("aud")),
            ("no end", without("exp")),
            ("a text", "not-a-token".to_owned()),
            ("nothing", String::new()),
            ("too long", "a".repeat(LONGEST_TOKEN + 1)),
        ] {
            let found = oauth.grant(&token).await;
            assert!(matches!(found, Err(Refusal::Invalid(_))), "{what}: {found:?}");
        }
        let several = with("aud", json!(["https://other.example", AUDIENCE]));
        assert!(oauth.grant(&several).await.is_ok());
        // Unknown keys cause no load.
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn keys_that_are_not_available_are_no_fault_of_the_token() {
        for answer in [
            (|| Err(Error::new(ErrorKind::Service, "down"))) as fn() -> Result<Bytes>,
            || Ok(Bytes::from_static(b"<html>")),
            || Ok(Bytes::from_static(b"{\"keys\":[]}")),
        ] {
            let (oauth, count) = resource(answer);
            for _ in 0..3 {
                let found = oauth.grant(&signed(Algorithm::EdDSA, Some("ed"), &claims())).await;
                assert_eq!(found.unwrap_err(), Refusal::Unavailable);
            }
            assert_eq!(count.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn the_settings_are_checked() {
        let fetch: Fetch = Arc::new(|_| async { answered() }.boxed());
        let made = |issuer: &str, audience: &str, source: JwksSource| {
            OAuth::new(issuer, audience, source, Arc::clone(&fetch))
        };
        for issuer in [ISSUER, "http://127.0.0.1:9000", "http://localhost/realm", "http://[::1]:1"]
        {
            assert!(made(issuer, AUDIENCE, JwksSource::Issuer).is_ok(), "{issuer}");
        }
        for issuer in ["http://login.example", "login.example", "", "https://", "ftp://127.0.0.1"] {
            assert!(made(issuer, AUDIENCE, JwksSource::Issuer).is_err(), "{issuer}");
        }
        for audience in ["", "images", ":", "https://a b", "https://a/#b"] {
            assert!(made(ISSUER, audience, JwksSource::Issuer).is_err(), "{audience}");
        }
        let at = |url: &str| JwksSource::Url(url.to_owned());
        assert!(made(ISSUER, AUDIENCE, at("http://login.example/keys")).is_err());
        let file = JwksSource::File("no-such-file".into());
        assert!(made(ISSUER, AUDIENCE, file).unwrap_err().message().contains("no-such-file"));
    }

    #[test]
    fn a_challenge_names_the_metadata_and_the_scope() {
        let (oauth, _) = resource(answered);
        let metadata = "https://images.example/.well-known/oauth-protected-resource/mcp";
        let named = oauth.challenge("http://other", None);
        assert_eq!(
            named,
            format!("Bearer resource_metadata=\"{metadata}\", scope=\"healthimaging:read\"")
        );
        assert_eq!(
            oauth.wider("http://other", Effect::Writes),
            format!(
                "Bearer resource_metadata=\"{metadata}\", error=\"insufficient_scope\", \
                 scope=\"healthimaging:read healthimaging:write\""
            )
        );
    }
}
