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

/// Signing name, also of the DICOMweb host.
const SERVICE: &str = "medical-imaging";
/// Payload hash of a body in signed chunks.
const CHUNKED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// Signed content of a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    /// The whole body.
    Whole(&'a [u8]),
    /// Chunks, which are signed when they are sent.
    Chunked,
}

/// Signer with fixed credentials and time.
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

    /// Adds the headers of the signature, and returns the signature, which seeds that of the first chunk.
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

    /// Returns the signature of a chunk after the signature `before`.
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
