//! Conversion of failures of AWS and of the network into errors of the contract.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use healthimaging::{Error, ErrorKind, Outage, Source};
use tower_http::timeout::TimeoutError;

use crate::origin::Origin;

/// Error without credentials, with the sources of the standard chain in its order.
pub(crate) const NO_CREDENTIALS: &str = "no credentials found: run `aws configure` or set AWS_PROFILE; \
     searched the environment, the shared config and credentials files (profiles, SSO, processes), \
     web identity tokens, and container and instance roles";

/// Name of the service in errors.
const NAME: &str = "AWS HealthImaging";

const EXPIRED: &str =
    "the AWS credentials have expired: renew them, for example with `aws sso login`";
const REJECTED: &str = "AWS rejected the credentials: check the access key and its secret, \
     AWS_PROFILE and the region";
const SKEWED: &str = "AWS rejected the time of the signature: correct the clock of this machine";
const SLOW: &str = "AWS HealthImaging did not respond in time; try again";
const TRY_AGAIN: &str = "; try again";
const NO_HOST: &str = "the host of AWS HealthImaging has no address: check the network and the region; the service is available in \
     us-east-1, us-west-2, ap-southeast-2, eu-west-1 and eu-west-2";
const UNREACHABLE: &str =
    "AWS HealthImaging cannot be reached: check the network, the proxy and --endpoint-url";

/// Converts the error of an SDK call.
pub(crate) fn of_sdk<E>(error: SdkError<E, Response>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let request_id = error.request_id().map(str::to_owned);
    let converted = match &error {
        SdkError::ServiceError(context) => {
            let (code, message) = (context.err().code(), context.err().message());
            of_response(code, message, context.raw().status().as_u16())
        }
        SdkError::ResponseError(context) => {
            of_response(None, None, context.raw().status().as_u16())
        }
        SdkError::TimeoutError(_) => late(SLOW),
        // Failures to dispatch or to build the request, and those of later SDKs.
        _ => of_network(&error),
    };
    let converted = converted.with_source(error);
    match request_id {
        Some(id) => converted.with_request_id(id),
        None => converted,
    }
}

/// Converts the error of a write, which is sent once: after a failure its outcome is unknown.
pub(crate) fn of_write<E>(error: SdkError<E, Response>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let is_unsent = of_tls(&error).is_some();
    let error = of_sdk(error);
    if error.kind() != ErrorKind::Service || is_unsent || error.message() == NO_HOST {
        return error;
    }
    let message = error.message().trim_end_matches(TRY_AGAIN);
    let message = format!(
        "{message}; it is not known whether the change was made, so check the image set before \
         trying again"
    );
    let (code, request_id) =
        (error.code().map(str::to_owned), error.request_id().map(str::to_owned));
    let outage = error.outage();
    let mut unknown = Error::new(ErrorKind::Service, message).with_source(error);
    if let Some(outage) = outage {
        unknown = unknown.with_outage(outage);
    }
    if let Some(code) = code {
        unknown = unknown.with_code(code);
    }
    match request_id {
        Some(id) => unknown.with_request_id(id),
        None => unknown,
    }
}

/// Converts an error of the HTTP client.
pub(crate) fn of_connector(error: ConnectorError) -> Error {
    if error.is_timeout() {
        return late(SLOW).with_source(error);
    }
    of_network(&error).with_source(error)
}

/// Error of a service that did not respond in time.
pub(crate) fn late(message: &str) -> Error {
    Error::new(ErrorKind::Service, message).with_outage(Outage::TimedOut)
}

/// Converts an error of reading a response.
pub(crate) fn of_body(cause: impl Into<Source>) -> Error {
    let cause = cause.into();
    if cause.is::<TimeoutError>() {
        return late(SLOW).with_source(cause);
    }
    let message =
        "the connection to AWS HealthImaging broke before the response was complete; try again";
    Error::new(ErrorKind::Service, message).with_source(cause)
}

/// Converts an error of the credentials of `origin`.
pub(crate) fn of_credentials(error: CredentialsError, origin: &Origin) -> Error {
    Error::new(ErrorKind::Credentials, credentials_message(&error, origin)).with_source(error)
}

/// Returns why there are no credentials, and what to do.
fn credentials_message(error: &CredentialsError, origin: &Origin) -> String {
    let cause = root_cause(error);
    // The instance metadata is the last source: all others have no credentials.
    let last = cause.contains("IMDS") || cause.contains("instance metadata");
    if last || matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return NO_CREDENTIALS.to_owned();
    }
    // Credentials of sessions and roles are requested over the network.
    if causes(error).any(<dyn StdError>::is::<ConnectorError>) {
        let why = of_tls(error).unwrap_or_else(|| "check the network and the proxy".to_owned());
        return format!("the service that issues the AWS credentials could not be reached: {why}");
    }
    match error {
        CredentialsError::ProviderTimedOut(_) => {
            "the source of the AWS credentials did not respond in time; try again".to_owned()
        }
        CredentialsError::InvalidConfiguration(_) => {
            format!("invalid AWS configuration ({cause}): check AWS_PROFILE and ~/.aws/config")
        }
        _ => origin.when_failed(&cause).unwrap_or_else(|| {
            if cause.to_lowercase().contains("expired") {
                EXPIRED.to_owned()
            } else {
                format!("the AWS credentials could not be loaded: {cause}")
            }
        }),
    }
}

/// Converts a failure to send the request or to read the response.
fn of_network(error: &(dyn StdError + 'static)) -> Error {
    // The credentials error already names the cause.
    if let Some(known) = causes(error).find_map(|cause| cause.downcast_ref::<Error>()) {
        return Error::new(known.kind(), known.message());
    }
    if let Some(message) = of_tls(error) {
        return Error::new(ErrorKind::Service, message);
    }
    let says = |word: &str| causes(error).any(|cause| cause.to_string().contains(word));
    let message = if says("dns error") || says("failed to lookup address") {
        NO_HOST
    } else if says("timed out") || says("timeout") {
        return late(SLOW);
    } else {
        UNREACHABLE
    };
    Error::new(ErrorKind::Service, message)
}

/// Returns the error and its causes. An I/O error does not list the error that it contains.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => cause.source(),
        }
    })
}

/// Returns what is wrong with TLS, and what to do.
fn of_tls(error: &(dyn StdError + 'static)) -> Option<String> {
    use rustls::{CertificateError as Wrong, Error as Tls};
    let found = causes(error).find_map(|cause| cause.downcast_ref::<Tls>())?;
    Some(match found {
        Tls::InvalidCertificate(wrong) => match wrong {
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
                "the TLS certificate of the endpoint is for another host: check --endpoint-url and the proxy".to_owned()
            }
            Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
                "the TLS certificate of the endpoint has expired or is not valid yet: check the clock of this machine, then the \
                 endpoint"
                    .to_owned()
            }
            _ => format!(
                "the TLS certificate of the endpoint is not trusted ({found}): if a proxy or a private endpoint has its own \
                 certificate authority, set AWS_CA_BUNDLE to the file of its certificates (PEM)"
            ),
        },
        other => format!(
            "TLS with the endpoint failed ({other}): check the proxy, and whether the endpoint supports HTTPS"
        ),
    })
}

/// Returns whether an error code of AWS means expired credentials.
pub(crate) fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "ExpiredTokenException")
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(|cause| cause.to_string().trim().to_owned()).unwrap_or_default()
}

/// Converts an error response by its code or, without one, its status.
pub(crate) fn of_response(code: Option<&str>, message: Option<&str>, status: u16) -> Error {
    let kind = kind(code.unwrap_or_default(), status);
    let message = message.filter(|text| !text.is_empty());
    let is_skewed = message.is_some_and(|text| {
        text.contains("Signature expired") || text.contains("Signature not yet current")
    });
    let text = match (code.unwrap_or_default(), kind) {
        ("RequestTimeTooSkewed" | "RequestExpired", _) => SKEWED.to_owned(),
        (_, ErrorKind::AccessDenied | ErrorKind::Credentials) if is_skewed => SKEWED.to_owned(),
        ("ExpiredTokenException" | "ExpiredToken", _) => EXPIRED.to_owned(),
        (_, ErrorKind::Credentials) => match message {
            Some(message) => format!("{REJECTED} ({message})"),
            None => REJECTED.to_owned(),
        },
        (_, ErrorKind::AccessDenied) => format!(
            "{}; the IAM policy of this identity must allow it, see docs/iam and `doctor`",
            message.unwrap_or("access denied").trim_end_matches('.')
        ),
        (_, ErrorKind::Service) => match message {
            Some(message) if !message.contains(NAME) => format!("{NAME} failed: {message}"),
            Some(message) => message.to_owned(),
            None => default_message(kind, status),
        },
        (_, kind) => message.map_or_else(|| default_message(kind, status), str::to_owned),
    };
    let error = Error::new(kind, text);
    match code {
        Some(code) => error.with_code(code),
        None => error,
    }
}

fn kind(code: &str, status: u16) -> ErrorKind {
    match code {
        "ValidationException" => ErrorKind::Validation,
        "BadRequestException" => ErrorKind::BadRequest,
        "NotAcceptableException" => ErrorKind::NotAcceptable,
        "ResourceNotFoundException" => ErrorKind::NotFound,
        "AccessDeniedException" | "AccessDenied" => ErrorKind::AccessDenied,
        "ConflictException" => ErrorKind::Conflict,
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown" => ErrorKind::Throttled,
        "ServiceQuotaExceededException" => ErrorKind::QuotaExceeded,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "OptInRequired"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => ErrorKind::Credentials,
        _ => match status {
            400 => ErrorKind::Validation,
            401 => ErrorKind::Credentials,
            402 => ErrorKind::QuotaExceeded,
            403 => ErrorKind::AccessDenied,
            404 => ErrorKind::NotFound,
            406 => ErrorKind::NotAcceptable,
            409 => ErrorKind::Conflict,
            429 => ErrorKind::Throttled,
            _ => ErrorKind::Service,
        },
    }
}

fn default_message(kind: ErrorKind, status: u16) -> String {
    match kind {
        ErrorKind::NotFound => "AWS HealthImaging has no such resource".to_owned(),
        ErrorKind::Throttled => {
            "the rate limit of AWS HealthImaging was exceeded; try again later".to_owned()
        }
        _ => format!("AWS HealthImaging returned status {status} without a message"),
    }
}
