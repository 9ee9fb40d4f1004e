//! `s3://`: a prefix of a bucket, which is any leading part of a key.

use std::error::Error as StdError;
use std::fs::File;
use std::io::{Seek, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use healthimaging::{Error, ErrorKind, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::buffered::BufWriter;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    ClientOptions, CredentialProvider, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt,
};
use tokio::io::AsyncWriteExt;

use crate::connection::Connection;
use crate::credentials::{S3Config, S3CredentialSource};
use crate::listing::{Entry, Listed, ObjectPart, blocking};

/// A prefix of a bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    source: Arc<dyn S3CredentialSource>,
    prefix: String,
    download_dir: Option<PathBuf>,
}

impl Bucket {
    pub(crate) fn new(
        bucket: &str,
        prefix: &str,
        config: &S3Config,
        download_dir: Option<PathBuf>,
    ) -> Result<Self> {
        let source = config.credentials.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::Credentials,
                "s3:// requires AWS credentials, and none are configured: run `aws configure` or set AWS_PROFILE",
            )
        })?;
        let region = config.region.as_deref().unwrap_or("us-east-1");
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(Arc::new(Signer(Arc::clone(&source))));
        let wrong = |error| {
            Error::validation("invalid settings of S3: check AWS_REGION and AWS_ENDPOINT_URL_S3")
                .with_source(error)
        };
        let mut options = ClientOptions::new();
        if let Some(endpoint) = &config.endpoint {
            options = options.with_allow_http(endpoint.starts_with("http://"));
            builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        }
        let connection = Connection { ca_bundle: config.ca_bundle.clone() };
        let builder = builder.with_client_options(options).with_http_connector(connection);
        let store = builder.build().map_err(wrong)?;
        Ok(Self { store: Arc::new(store), source, prefix: prefix.to_owned(), download_dir })
    }

    pub(crate) async fn list(&self) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let prefix = (!self.prefix.is_empty()).then_some(self.prefix.as_str());
            let page = self.store.list_paginated(prefix, options).await;
            let page = page.map_err(|error| self.failed(error, "the input bucket"))?;
            listed.extend(page.result.objects.into_iter().map(|object| Entry {
                key: object.location.to_string(),
                size: object.size,
                path: None,
            }));
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(without_folder_markers(listed, &self.prefix));
            }
        }
    }

    /// Downloads an object to a file without a name.
    pub(crate) async fn fetch(&self, key: &str) -> Result<File> {
        let found = self.store.get(&parsed(key)?).await.map_err(|error| self.unreadable(error))?;
        self.keep(Some(found), Bytes::new()).await
    }

    /// Downloads a range of an object; `Conflict` if it no longer is of `version`.
    pub(crate) async fn fetch_part(
        &self,
        key: &str,
        range: Range<u64>,
        version: Option<&str>,
    ) -> Result<ObjectPart> {
        let found = self.get_part(key, range, version).await?;
        let version = found.meta.e_tag.clone();
        Ok(ObjectPart {
            bytes: found.bytes().await.map_err(|error| self.unreadable(error))?,
            version,
        })
    }

    /// Downloads what follows `start` and writes both to a file without a name; `Conflict` if the object no longer is of
    /// `version`.
    pub(crate) async fn fetch_rest(
        &self,
        key: &str,
        start: Bytes,
        length: u64,
        version: Option<&str>,
    ) -> Result<File> {
        let found = start.len() as u64..length;
        let found =
            if found.is_empty() { None } else { Some(self.get_part(key, found, version).await?) };
        self.keep(found, start).await
    }

    async fn get_part(
        &self,
        key: &str,
        range: Range<u64>,
        version: Option<&str>,
    ) -> Result<GetResult> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: version.map(str::to_owned),
            ..GetOptions::default()
        };
        self.store.get_opts(&parsed(key)?, options).await.map_err(|error| self.unreadable(error))
    }

    /// Writes `start` and a download to a file without a name.
    async fn keep(&self, found: Option<GetResult>, start: Bytes) -> Result<File> {
        let download_dir = self.download_dir.clone();
        let full = |error| Error::internal("the download could not be written to disk", error);
        let mut file = blocking(move || {
            let mut file = match download_dir {
                Some(folder) => tempfile::tempfile_in(folder),
                None => tempfile::tempfile(),
            }
            .map_err(full)?;
            file.write_all(&start).map_err(full)?;
            Ok(file)
        })
        .await?;
        let mut pieces = stream::iter(found).flat_map(GetResult::into_stream);
        while let Some(piece) = pieces.try_next().await.map_err(|error| self.unreadable(error))? {
            file = blocking(move || {
                file.write_all(&piece).map_err(full)?;
                Ok(file)
            })
            .await?;
        }
        file.rewind().map_err(full)?;
        Ok(file)
    }

    /// Begins an upload; the object exists once it is complete.
    pub(crate) fn create(&self, name: &str) -> Result<Upload> {
        let path = Path::parse(self.key(name)?)
            .map_err(|error| Error::validation("the output key is malformed").with_source(error))?;
        let store: Arc<AmazonS3> = Arc::clone(&self.store);
        let writer = BufWriter::with_capacity(store, path, PART);
        let writer = writer.with_max_concurrency(PARTS_AT_ONCE);
        Ok(Upload { writer, source: Arc::clone(&self.source) })
    }

    fn unreadable(&self, error: object_store::Error) -> Error {
        self.failed(error, "the object")
    }

    fn failed(&self, error: object_store::Error, what: &str) -> Error {
        s3_error(error, what, &*self.source)
    }

    /// The key of a relative name; the prefix counts as a folder.
    pub(crate) fn key(&self, name: &str) -> Result<String> {
        if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::validation(
                "the path of an object must be relative and must not contain ..",
            ));
        }
        let prefix = self.prefix.trim_end_matches('/');
        Ok(if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") })
    }
}

/// Bytes of a part of a large upload. With the 10,000 parts of S3, an object has up to 80 GB.
const PART: usize = 8 << 20;
/// Concurrent parts of an upload.
const PARTS_AT_ONCE: usize = 2;

/// Upload of an object: a small one in one request, others in parts.
#[derive(Debug)]
pub(crate) struct Upload {
    writer: BufWriter,
    source: Arc<dyn S3CredentialSource>,
}

impl Upload {
    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.writer.put(piece).await.map_err(|error| self.failed(error))
    }

    pub(crate) async fn finish(mut self) -> Result<()> {
        let ended = self.writer.shutdown().await;
        ended.map_err(|error| match error.downcast::<object_store::Error>() {
            Ok(error) => self.failed(error),
            Err(error) => Error::new(ErrorKind::Service, "the output bucket could not be reached")
                .with_source(error),
        })
    }

    /// Deletes the uploaded parts.
    pub(crate) async fn abandon(mut self) -> Result<()> {
        self.writer.abort().await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: object_store::Error) -> Error {
        s3_error(error, "the output bucket", &*self.source)
    }
}

fn parsed(key: &str) -> Result<Path> {
    Path::parse(key)
        .map_err(|error| Error::validation("the object key is malformed").with_source(error))
}

/// Drops empty objects that mark folders. The library cuts the `/` at the end of their keys, so they are recognized by
/// their size and by the objects beneath them.
fn without_folder_markers(mut listed: Vec<Entry>, prefix: &str) -> Vec<Listed> {
    listed.sort_by(|a, b| a.key.cmp(&b.key));
    let folders: Vec<bool> = listed
        .iter()
        .map(|entry| {
            let folder = format!("{}/", entry.key);
            let after = listed.partition_point(|other| other.key <= folder);
            let holds_some = listed.get(after).is_some_and(|other| other.key.starts_with(&folder));
            entry.size == 0 && (folder == prefix || holds_some)
        })
        .collect();
    let kept = listed.into_iter().zip(folders);
    kept.filter(|(_, folder)| !folder).map(|(entry, _)| Listed::Object(entry)).collect()
}

/// Adapter of our source of credentials to that of the library.
#[derive(Debug)]
struct Signer(Arc<dyn S3CredentialSource>);

#[async_trait]
impl CredentialProvider for Signer {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.credentials().await;
        let found = found.map_err(|error| object_store::Error::Unauthenticated {
            path: String::new(),
            source: Box::new(error),
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id,
            secret_key: found.secret_access_key,
            token: found.session_token,
        }))
    }
}

fn s3_error(error: object_store::Error, what: &str, source: &dyn S3CredentialSource) -> Error {
    use object_store::Error as S3;
    // The credentials error already says what to do.
    let known = causes(&error).find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(known) = known.map(|known| Error::new(known.kind(), known.message())) {
        return known.with_source(error);
    }
    let kind = match &error {
        S3::NotFound { .. } => ErrorKind::NotFound,
        S3::PermissionDenied { source, .. } => match kind_of_code(&source.to_string()) {
            ErrorKind::Credentials => ErrorKind::Credentials,
            _ => ErrorKind::AccessDenied,
        },
        S3::Unauthenticated { .. } => ErrorKind::Credentials,
        S3::InvalidPath { .. } => ErrorKind::Validation,
        S3::Precondition { .. } => ErrorKind::Conflict,
        S3::Generic { source, .. } => kind_of_code(&source.to_string()),
        _ => ErrorKind::Service,
    };
    if kind == ErrorKind::Credentials {
        source.refused();
    }
    let verdict = match kind {
        ErrorKind::NotFound => "does not exist",
        ErrorKind::AccessDenied => {
            "cannot be accessed: S3 denied it; check the bucket policy and the IAM policy of these credentials"
        }
        ErrorKind::Credentials => "was rejected: the AWS credentials are invalid or have expired",
        ErrorKind::Service if is_untrusted(&error) => {
            "could not be reached: the TLS certificate of S3 is not trusted; if a proxy or a private endpoint has its own \
             certificate authority, set AWS_CA_BUNDLE to the file of its certificates (PEM)"
        }
        ErrorKind::Validation => "has a key with empty or relative parts, which is not supported",
        ErrorKind::Conflict => "changed while it was read; try again",
        _ => "could not be reached: check the network, the proxy and the region",
    };
    Error::new(kind, format!("{what} {verdict}")).with_source(error)
}

/// Whether TLS failed over the certificate; the library's types for that are not public.
fn is_untrusted(error: &object_store::Error) -> bool {
    causes(error).any(|cause| cause.to_string().contains("invalid peer certificate"))
}

/// The error and its causes.
fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |&cause| cause.source())
}

/// Kind of an S3 error code. Of a failed listing the library returns only the text of the response, which contains it.
fn kind_of_code(answer: &str) -> ErrorKind {
    const CODES: [(&str, ErrorKind); 6] = [
        ("NoSuchBucket", ErrorKind::NotFound),
        ("AccessDenied", ErrorKind::AccessDenied),
        ("AllAccessDisabled", ErrorKind::AccessDenied),
        ("InvalidAccessKeyId", ErrorKind::Credentials),
        ("SignatureDoesNotMatch", ErrorKind::Credentials),
        ("ExpiredToken", ErrorKind::Credentials),
    ];
    let found = CODES.iter().find(|(code, _)| answer.contains(code));
    found.map_or(ErrorKind::Service, |(_, kind)| *kind)
}
