//! Parsed requests: path, query and body.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{Query, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use healthimaging::{
    DicomWeb, Error, ErrorKind, HealthImaging, Result, Traits, datastore_named, is_datastore_name,
    read_json,
};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base_url::BaseUrl;
use crate::content::{collected, written};
use crate::failure::Failure;

/// Largest body of an operation in bytes: documents have up to 260,000 characters, which may be escaped.
const BODY_LIMIT: usize = 2 << 20;

/// Creates handlers over a back end.
pub(crate) struct Operation<S: ?Sized>(pub(crate) Arc<S>);

impl<S: ?Sized + ForCaller> Operation<S> {
    /// Returns the handler that parses a request and calls `operation`.
    pub(crate) fn run<F, Fut>(&self, operation: F) -> Handler<S, F>
    where
        F: Fn(Arc<S>, Call) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send,
    {
        Handler { back_end: Arc::clone(&self.0), operation }
    }
}

/// Handler of one operation.
pub(crate) struct Handler<S: ?Sized, F> {
    back_end: Arc<S>,
    operation: F,
}

impl<S: ?Sized, F: Clone> Clone for Handler<S, F> {
    fn clone(&self) -> Self {
        Self { back_end: Arc::clone(&self.back_end), operation: self.operation.clone() }
    }
}

impl<S, F, Fut> axum::handler::Handler<(), ()> for Handler<S, F>
where
    S: ?Sized + ForCaller,
    F: Fn(Arc<S>, Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response>> + Send,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, (): ()) -> Self::Future {
        Box::pin(async move {
            let back_end = S::for_caller(self.back_end, &request);
            let answered = match Call::of(request).await {
                Ok(call) => (self.operation)(back_end, call).await,
                Err(error) => Err(error),
            };
            answered.unwrap_or_else(|error| Failure::from(error).into_response())
        })
    }
}

/// The back end of a caller with limited rights; an extension of its requests.
#[derive(Debug, Clone)]
pub(crate) struct Limited(pub(crate) Traits);

/// What handlers work with, which the rights of a caller can limit.
pub(crate) trait ForCaller: Send + Sync + 'static {
    /// Returns what the caller of a request works with.
    fn for_caller(own: Arc<Self>, request: &Request) -> Arc<Self>;
}

impl ForCaller for dyn HealthImaging {
    fn for_caller(own: Arc<Self>, request: &Request) -> Arc<Self> {
        match request.extensions().get() {
            Some(Limited((service, _))) => Arc::clone(service),
            None => own,
        }
    }
}

impl ForCaller for dyn DicomWeb {
    fn for_caller(own: Arc<Self>, request: &Request) -> Arc<Self> {
        match request.extensions().get() {
            Some(Limited((_, dicomweb))) => Arc::clone(dicomweb),
            None => own,
        }
    }
}

/// Parameters of a path.
pub(crate) struct Path(Vec<(String, String)>);

/// Service in which names of data stores are looked up.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) service: Arc<dyn HealthImaging>,
    /// Whether the request is one of DICOMweb.
    pub(crate) is_dicomweb: bool,
}

impl Path {
    /// Parses the path of a request and replaces the name of a data store by its id. A path that is not UTF-8 has no valid
    /// parameters.
    pub(crate) async fn of(request: &mut Request) -> Result<Self> {
        let params = request.extract_parts::<RawPathParams>().await;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut parts: Vec<(String, String)> = params.iter().flatten().map(owned).collect();
        let datastore = parts.iter_mut().find(|(name, _)| name == "datastoreId");
        let names = request.extensions().get::<Names>().cloned();
        if let (Some((_, given)), Some(Names { service, is_dicomweb })) = (datastore, names)
            && is_datastore_name(given)
        {
            let found = datastore_named(&*service, given).await;
            *given = match found {
                // In a path of DICOMweb a name is an identifier as an ID is: there is no such resource. The AWS API has no names.
                Err(error) if is_dicomweb => {
                    return Err(unknown(error));
                }
                found => found?.into(),
            };
        }
        Ok(Self(parts))
    }

    fn text(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    /// Returns a parameter.
    pub(crate) fn get<T: TryFrom<String, Error = Error>>(&self, name: &str) -> Result<T> {
        T::try_from(self.text(name).unwrap_or_default())
    }

    /// Returns a parameter that only some paths have.
    pub(crate) fn get_if<T: TryFrom<String, Error = Error>>(
        &self,
        name: &str,
    ) -> Result<Option<T>> {
        self.text(name).map(T::try_from).transpose()
    }
}

fn unknown(error: Error) -> Error {
    if error.kind() != ErrorKind::Validation {
        return error;
    }
    Error::not_found(error.message())
}

/// Returns the parameters of the query, in their order.
pub(crate) async fn query(request: &mut Request) -> Result<Vec<(String, String)>> {
    let query = request.extract_parts::<Query<Vec<(String, String)>>>().await;
    let Query(query) = query.map_err(|_| Error::validation("malformed query string"))?;
    Ok(query)
}

/// Returns the headers with the media types of the query parameter `accept`, if there is one (`PS3.18 §8.3.3.1`).
pub(crate) fn with_accept(mut headers: HeaderMap, query: &[(String, String)]) -> HeaderMap {
    let named = query.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
    let media: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
    if !media.is_empty()
        && let Ok(value) = HeaderValue::from_str(&media.join(","))
    {
        headers.insert(header::ACCEPT, value);
    }
    headers
}

/// A parsed request.
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    pub(crate) base_url: BaseUrl,
    path: Path,
    query: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    async fn of(mut request: Request) -> Result<Self> {
        let path = Path::of(&mut request).await?;
        let query = query(&mut request).await?;
        let base_url = BaseUrl::of_request(&request);
        let (head, body) = request.into_parts();
        let body = collected(body, BODY_LIMIT).await?;
        Ok(Self { headers: with_accept(head.headers, &query), base_url, path, query, body })
    }

    /// Returns a parameter of the path.
    pub(crate) fn path<T: TryFrom<String, Error = Error>>(&self, name: &str) -> Result<T> {
        self.path.get(name)
    }

    /// Returns a parameter that only some paths have.
    pub(crate) fn path_if<T: TryFrom<String, Error = Error>>(
        &self,
        name: &str,
    ) -> Result<Option<T>> {
        self.path.get_if(name)
    }

    /// Returns a parameter of the path as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path.text(name).unwrap_or_default()
    }

    /// Returns the parameters of the query, in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns every value of a parameter of the query.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.query.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Returns a parameter of the query that is given once at most.
    pub(crate) fn once<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>> {
        let mut given = self.all(name);
        let first = given.next();
        if given.next().is_some() {
            return Err(Error::validation(format!("{name} is given more than once")));
        }
        Ok(first)
    }

    /// Returns an optional parameter of the query.
    pub(crate) fn query<T: FromStr<Err = Error>>(&self, name: &str) -> Result<Option<T>> {
        self.once(name)?.map(str::parse).transpose()
    }

    /// Returns a required parameter of the query.
    pub(crate) fn required<T: FromStr<Err = Error>>(&self, name: &str) -> Result<T> {
        let missing = || Error::validation(format!("the query parameter {name} is missing"));
        self.query(name)?.ok_or_else(missing)
    }

    /// Returns a parameter that is `true` or `false`, by default `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        match self.once(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Error::validation(format!("{name} must be true or false"))),
        }
    }

    /// Returns the parameter `maxResults`.
    pub(crate) fn page_size(&self) -> Result<Option<u32>> {
        let wrong = |_| Error::validation("maxResults must be a number from 1 to 50");
        let given = self.once("maxResults")?;
        given.map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// Parses the body as JSON, whatever its content type: some clients send none. An empty body counts as `{}`.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T> {
        let text: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        // serde would accept an array as an object with members in that order.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(Error::validation("the body must be a JSON object"));
        }
        read_json("request body", text)
    }
}

/// Returns a response of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<Response> {
    written(value, "application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use healthimaging::model::SearchCriteria;

    async fn criteria(body: &'static str) -> Result<SearchCriteria> {
        let request = http::Request::post("/").body(Body::from(body)).unwrap();
        Call::of(request).await.unwrap().body()
    }

    #[tokio::test]
    async fn a_body_is_an_object_or_nothing() {
        for fine in ["", "{}", " \n{\"filters\": []}"] {
            assert!(criteria(fine).await.is_ok(), "{fine}");
        }
        for wrong in [
            "[]",
            "[[]]",
            "null",
            "\"\"",
            "{",
            " ",
            "{\"filter\": []}",
            "{} {}",
            "{\"filters\": []}, 1",
            "{\"filters\": [], \"filters\": []}",
        ] {
            assert!(criteria(wrong).await.is_err(), "{wrong}");
        }
    }
}
