//! Entry points of the fuzz targets.

use axum::body::Body;
use futures::TryStreamExt;
use healthimaging::Result;
use http::Request;
use http_body_util::BodyExt;

use crate::access::{Access, AccessKeys};

/// Reads the parts of a multipart body.
pub async fn parts(body: Body, boundary: &str) -> Result<Vec<Vec<u8>>> {
    let parts = crate::dicomweb::parts(body.into_data_stream(), boundary);
    parts.and_then(async |part| Ok(part.collect(u64::MAX).await?.to_vec())).try_collect().await
}

/// Reads an unsigned `aws-chunked` body; `None` if it is malformed.
pub async fn unsigned_chunks(body: Body) -> Option<Vec<u8>> {
    let request = Request::new(body);
    let (mut head, body) = request.into_parts();
    let unsigned = http::HeaderValue::from_static("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    head.headers.insert("x-amz-content-sha256", unsigned);
    let admitted = Access::default().admit(Request::from_parts(head, body)).await.ok()?;
    Some(admitted.into_body().collect().await.ok()?.to_bytes().to_vec())
}

/// Verifies a request that is signed with this key, `ID:SECRET`, and reads its body.
pub async fn admit(request: Request<Body>, key: &str) -> Option<Vec<u8>> {
    let mut access = Access::default();
    access.keys = Some(AccessKeys::new([key]).ok()?.into());
    let admitted = access.admit(request).await.ok()?;
    Some(admitted.into_body().collect().await.ok()?.to_bytes().to_vec())
}
