//! Signature and scope of a request, from the `Authorization` header or the query (Signature Version 4).

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use healthimaging::Result;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::canonical::{hex_digest, parameters};
use super::refusal::{incomplete, refused};
use crate::failure::UNAUTHENTICATED;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Largest difference between the clocks of client and server.
const SKEW: TimeDelta = TimeDelta::minutes(15);

/// Longest lifetime of a presigned request in seconds: a week.
const MAX_LIFETIME: i64 = 604_800;

/// The signing name of AWS HealthImaging.
const SERVICE: &str = "medical-imaging";

/// A signature with its scope.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) access_key: String,
    pub(super) region: String,
    pub(super) service: String,
    pub(super) signature: String,
    pub(super) time: DateTime<Utc>,
    /// `time` as in the request.
    date: String,
    signed_headers: Vec<String>,
    /// Lifetime of a presigned request.
    lifetime: Option<TimeDelta>,
}

impl Claim {
    /// Parses the signature of a request.
    pub(super) fn of(head: &Parts) -> Result<Self> {
        let header = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let query: Vec<(String, String)> =
            parameters(head.uri.query().unwrap_or_default()).collect();
        let in_query = |name: &str| {
            let found = query.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let claim = if let Some(text) = header.and_then(|text| text.strip_prefix(ALGORITHM)) {
            let member = |name: &str| {
                let members = text.split(',').map(str::trim);
                members
                    .filter_map(|member| member.split_once('='))
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value)
            };
            let date = head.headers.get("x-amz-date").and_then(|value| value.to_str().ok());
            Self::from_members(
                member("Credential"),
                member("SignedHeaders"),
                member("Signature"),
                date,
                None,
            )?
        } else if in_query("X-Amz-Algorithm") == Some(ALGORITHM) {
            let lifetime = in_query("X-Amz-Expires").and_then(|text| text.parse().ok());
            let lifetime = lifetime.filter(|seconds| (1..=MAX_LIFETIME).contains(seconds));
            let lifetime =
                lifetime.ok_or_else(|| incomplete("X-Amz-Expires must be 1 to 604800 seconds"))?;
            Self::from_members(
                in_query("X-Amz-Credential"),
                in_query("X-Amz-SignedHeaders"),
                in_query("X-Amz-Signature"),
                in_query("X-Amz-Date"),
                Some(TimeDelta::seconds(lifetime)),
            )?
        } else {
            return Err(refused(
                UNAUTHENTICATED,
                "sign the request (Signature Version 4) with an access key of this server, or send \
                 its bearer token",
            ));
        };
        if !claim.signs("host") {
            return Err(incomplete("the header host is not signed"));
        }
        Ok(claim)
    }

    fn from_members(
        credential: Option<&str>,
        signed_headers: Option<&str>,
        signature: Option<&str>,
        date: Option<&str>,
        lifetime: Option<TimeDelta>,
    ) -> Result<Self> {
        let credential = credential.ok_or_else(|| incomplete("Credential is missing"))?;
        let scope: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, service, region, day, access_key] = scope[..] else {
            return Err(incomplete("Credential must be KEY/DATE/REGION/SERVICE/aws4_request"));
        };
        let date = date.ok_or_else(|| incomplete("X-Amz-Date is missing"))?;
        let time = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ")
            .map_err(|_| incomplete("X-Amz-Date must be a time such as 20260131T120000Z"))?;
        if !date.starts_with(day) || day.len() != 8 || end != "aws4_request" || service != SERVICE {
            return Err(incomplete(
                "Credential must name the day of X-Amz-Date, the service medical-imaging and aws4_request",
            ));
        }
        let signed = signed_headers.ok_or_else(|| incomplete("SignedHeaders is missing"))?;
        Ok(Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signature: signature.ok_or_else(|| incomplete("Signature is missing"))?.to_owned(),
            time: time.and_utc(),
            date: date.to_owned(),
            signed_headers: signed.split(';').map(str::to_owned).collect(),
            lifetime,
        })
    }

    /// Returns whether a header is signed; others could have been changed in transit and are ignored.
    pub(super) fn signs(&self, name: &str) -> bool {
        self.signed_headers.iter().any(|signed| signed == name)
    }

    /// Rejects expired signatures, and those of the future.
    pub(super) fn check_time(&self, now: DateTime<Utc>) -> Result<()> {
        let from = self.time - SKEW;
        let to = self.time + self.lifetime.unwrap_or(SKEW);
        if (from..=to).contains(&now) {
            return Ok(());
        }
        Err(refused(
            "InvalidSignatureException",
            &format!(
                "the signature is not valid at this time: it is of {}, and the time is {}; check the \
                 clock, and sign again",
                self.date,
                now.format("%Y%m%dT%H%M%SZ"),
            ),
        ))
    }

    /// The signed headers, in their order.
    pub(super) fn signed_headers(&self) -> &[String] {
        &self.signed_headers
    }

    /// Returns the string to sign for a canonical request.
    pub(super) fn string_to_sign(&self, request: &str) -> String {
        self.scoped(ALGORITHM, &hex_digest(request.as_bytes()))
    }

    /// Returns a string to sign of `algorithm`, with the time and scope of this signature.
    pub(super) fn scoped(&self, algorithm: &str, rest: &str) -> String {
        let Self { date, region, service, .. } = self;
        let day = date.get(..8).unwrap_or_default();
        format!("{algorithm}\n{date}\n{day}/{region}/{service}/aws4_request\n{rest}")
    }
}
