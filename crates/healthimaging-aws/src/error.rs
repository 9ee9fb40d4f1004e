//! Every failure on the way to AWS as one of our kinds, with what to do about it.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use healthimaging::{Error, ErrorKind};

use crate::origin::Origin;

/// Where the standard chain looks, in its order.
pub(crate) const NO_CREDENTIALS: &str = "no credentials found: run `aws configure` or set AWS_PROFILE; \
     looked in the environment, the shared config and credentials files (profiles, SSO, processes), \
     web identity tokens, and container and instance roles";

const EXPIRED: &str = "the AWS credentials have expired: renew them, such as by `aws sso login`";
const REFUSED: &str = "AWS does not know these credentials, or their secret is wrong: check the access key, \
     AWS_PROFILE and the region";
const SKEWED: &str = "AWS refuses the time of the signature: set the clock of this machine right";
const SLOW: &str = "AWS HealthImaging did not answer in time; try again";
const TRY_AGAIN: &str = "; try again";
const NO_HOST: &str = "the host of AWS HealthImaging has no address: check the network and the region; the service is in \
     us-east-1, us-west-2, ap-southeast-2, eu-west-1 and eu-west-2";
const NO_WAY: &str =
    "AWS HealthImaging cannot be reached: check the network, the proxy and --endpoint-url";

/// An error of an SDK call.
pub(crate) fn of_sdk<E>(error: SdkError<E, Response>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let request_id = error.request_id().map(str::to_owned);
    let told = match &error {
        SdkError::ServiceError(context) => {
            let (code, message) = (context.err().code(), context.err().message());
            of_answer(code, message, context.raw().status().as_u16())
        }
        SdkError::ResponseError(context) => of_answer(None, None, context.raw().status().as_u16()),
        SdkError::TimeoutError(_) => Error::new(ErrorKind::Service, SLOW),
        // Failures to dispatch, to build the request, and whatever a later SDK adds.
        _ => of_way(&error),
    };
    let told = told.with_source(error);
    match request_id {
        Some(id) => told.with_request_id(id),
        None => told,
    }
}

/// An error of an SDK call that writes and is sent once: after a fault nobody knows whether it was done.
pub(crate) fn of_write<E>(error: SdkError<E, Response>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let never_sent = of_tls(&error).is_some();
    let told = of_sdk(error);
    if told.kind() != ErrorKind::Service || never_sent || told.message() == NO_HOST {
        return told;
    }
    let message = told.message().trim_end_matches(TRY_AGAIN);
    let message = format!(
        "{message}; it is not known whether the change was made, so look at the image set before \
         trying again"
    );
    let (code, request_id) = (told.code().map(str::to_owned), told.request_id().map(str::to_owned));
    let mut open = Error::new(ErrorKind::Service, message).with_source(told);
    if let Some(code) = code {
        open = open.with_code(code);
    }
    match request_id {
        Some(id) => open.with_request_id(id),
        None => open,
    }
}

/// An error of the connection beneath the SDK.
pub(crate) fn of_connector(error: ConnectorError) -> Error {
    if error.is_timeout() {
        return Error::new(ErrorKind::Service, SLOW).with_source(error);
    }
    of_way(&error).with_source(error)
}

/// An error of the chain of credentials, which were to come from `origin`.
pub(crate) fn of_credentials(error: CredentialsError, origin: &Origin) -> Error {
    Error::new(ErrorKind::Credentials, without_credentials(&error, origin)).with_source(error)
}

/// Why there are no credentials, and what to do.
fn without_credentials(error: &CredentialsError, origin: &Origin) -> String {
    let cause = root_cause(error);
    // The metadata of an instance is asked last: all the others had none.
    let last = cause.contains("IMDS") || cause.contains("instance metadata");
    if last || matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return NO_CREDENTIALS.to_owned();
    }
    // Sessions and roles are asked for over the network.
    if causes(error).any(<dyn StdError>::is::<ConnectorError>) {
        let why = of_tls(error).unwrap_or_else(|| "check the network and the proxy".to_owned());
        return format!("the service that gives the AWS credentials could not be reached: {why}");
    }
    match error {
        CredentialsError::ProviderTimedOut(_) => {
            "the source of the AWS credentials did not answer in time; try again".to_owned()
        }
        CredentialsError::InvalidConfiguration(_) => format!(
            "the AWS configuration is not valid ({cause}): check AWS_PROFILE and ~/.aws/config"
        ),
        _ => origin.when_failed(&cause).unwrap_or_else(|| {
            if cause.to_lowercase().contains("expired") {
                EXPIRED.to_owned()
            } else {
                format!("the AWS credentials could not be loaded: {cause}")
            }
        }),
    }
}

/// A request that did not get there, or no answer that can be read.
fn of_way(error: &(dyn StdError + 'static)) -> Error {
    // The credentials error already names the cause.
    if let Some(told) = causes(error).find_map(|cause| cause.downcast_ref::<Error>()) {
        return Error::new(told.kind(), told.message());
    }
    if let Some(message) = of_tls(error) {
        return Error::new(ErrorKind::Service, message);
    }
    let says = |word: &str| causes(error).any(|cause| cause.to_string().contains(word));
    let message = if says("dns error") || says("failed to lookup address") {
        NO_HOST
    } else if says("timed out") || says("timeout") {
        SLOW
    } else {
        NO_WAY
    };
    Error::new(ErrorKind::Service, message)
}

/// The error, what caused it, what caused that; an I/O error does not show what it holds among its causes.
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

/// What is wrong with TLS, and what to do.
fn of_tls(error: &(dyn StdError + 'static)) -> Option<String> {
    use rustls::{CertificateError as Wrong, Error as Tls};
    let found = causes(error).find_map(|cause| cause.downcast_ref::<Tls>())?;
    Some(match found {
        Tls::InvalidCertificate(wrong) => match wrong {
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
                "the TLS certificate of the endpoint is for another host: check --endpoint-url and the proxy".to_owned()
            }
            Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
                "the TLS certificate of the endpoint is not valid now: check the clock of this machine, then the \
                 endpoint"
                    .to_owned()
            }
            _ => format!(
                "the TLS certificate of the endpoint is not trusted ({found}): where a proxy or a private endpoint has a \
                 certificate authority of its own, name the file of its certificates (PEM) with AWS_CA_BUNDLE"
            ),
        },
        other => format!(
            "TLS with the endpoint failed ({other}): check the proxy, and whether the endpoint speaks HTTPS"
        ),
    })
}

/// Whether a code of AWS says that credentials have expired.
pub(crate) fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "ExpiredTokenException")
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(|cause| cause.to_string().trim().to_owned()).unwrap_or_default()
}

/// An error that the service told, by its code, or by the status where there is none.
pub(crate) fn of_answer(code: Option<&str>, message: Option<&str>, status: u16) -> Error {
    let kind = kind(code.unwrap_or_default(), status);
    let said = message.filter(|text| !text.is_empty());
    let skewed = said.is_some_and(|text| {
        text.contains("Signature expired") || text.contains("Signature not yet current")
    });
    let message = match (code.unwrap_or_default(), kind) {
        ("RequestTimeTooSkewed" | "RequestExpired", _) => SKEWED.to_owned(),
        (_, ErrorKind::AccessDenied | ErrorKind::Credentials) if skewed => SKEWED.to_owned(),
        ("ExpiredTokenException" | "ExpiredToken", _) => EXPIRED.to_owned(),
        (_, ErrorKind::Credentials) => match said {
            Some(said) => format!("{REFUSED} ({said})"),
            None => REFUSED.to_owned(),
        },
        (_, ErrorKind::AccessDenied) => format!(
            "{}; the IAM policy of this identity has to allow it, see docs/iam and `doctor`",
            said.unwrap_or("access denied").trim_end_matches('.')
        ),
        (_, kind) => said.map_or_else(|| unsaid(kind, status), str::to_owned),
    };
    let error = Error::new(kind, message);
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

fn unsaid(kind: ErrorKind, status: u16) -> String {
    match kind {
        ErrorKind::NotFound => "AWS HealthImaging has no such thing".to_owned(),
        ErrorKind::Throttled => "AWS HealthImaging was asked too often; try again later".to_owned(),
        _ => format!("AWS HealthImaging answered with status {status} and no reason"),
    }
}
