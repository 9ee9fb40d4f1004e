//! Signature Version 4 for requests that the SDK does not make.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use healthimaging::{Error, Result, Source};
use http::Request;

/// The name that signatures are made for, also on the DICOMweb host.
const SERVICE: &str = "medical-imaging";
/// Stands for the hash of a body whose pieces are signed one after the other.
const CHUNKED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// What is signed of a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Its pieces, each when it is sent.
    Chunked,
}

/// Signs with one set of credentials at one moment.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    identity: Identity,
    region: String,
    time: SystemTime,
}

impl Signer {
    pub(super) fn new(credentials: Credentials, region: &str) -> Self {
        Self { identity: credentials.into(), region: region.to_owned(), time: SystemTime::now() }
    }

    /// Adds the headers that sign a request; the signature, which the first chunk goes on from.
    pub(super) fn sign(
        &self,
        request: &mut Request<SdkBody>,
        payload: Payload<'_>,
    ) -> Result<String> {
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = self.params(settings)?;
        let uri = request.uri().to_string();
        let headers = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = match payload {
            Payload::Whole(bytes) => SignableBody::Bytes(bytes),
            Payload::Chunked => SignableBody::Precomputed(CHUNKED.to_owned()),
        };
        let signable = SignableRequest::new(request.method().as_str(), uri, headers, body)
            .map_err(unsigned)?;
        let signed = sign(signable, &params.into()).map_err(unsigned)?;
        let (instructions, signature) = signed.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(signature)
    }

    /// The signature of a piece that follows what has the signature `before`.
    pub(super) fn sign_chunk(&self, chunk: &Bytes, before: &str) -> Result<String> {
        let params = self.params(())?;
        let signed = v4::sign_chunk(chunk, before, &params).map_err(unsigned)?;
        Ok(signed.into_parts().1)
    }

    fn params<S: Default>(&self, settings: S) -> Result<v4::SigningParams<'_, S>> {
        v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(SERVICE)
            .time(self.time)
            .settings(settings)
            .build()
            .map_err(unsigned)
    }
}

fn unsigned(cause: impl Into<Source>) -> Error {
    Error::internal("the request could not be signed", cause)
}
