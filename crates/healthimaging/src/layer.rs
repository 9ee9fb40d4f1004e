//! Back ends that wrap another one: one function sees every call.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

use crate::dicomweb::DicomWeb;
use crate::effect::Effect;
use crate::error::Result;
use crate::id::{DatastoreId, NextToken, Resource, ResourceArn};
use crate::model::{self, DatastoreSummary, ImageSetCount};
use crate::named::{Named, Names as _};
use crate::operation::{Limits, Operation, WebOperation};
use crate::restricted;
use crate::service::HealthImaging;

/// An operation of either trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnyOperation {
    /// One of [`HealthImaging`].
    Api(Operation),
    /// One of [`DicomWeb`].
    Web(WebOperation),
}

impl From<Operation> for AnyOperation {
    fn from(operation: Operation) -> Self {
        Self::Api(operation)
    }
}

impl From<WebOperation> for AnyOperation {
    fn from(operation: WebOperation) -> Self {
        Self::Web(operation)
    }
}

/// A request that can be sent to a back end `S`; every request of the contract is one.
pub trait Call<S: ?Sized>: Send + Sized {
    /// What the back end answers.
    type Response: Send;

    /// Returns the operation that is called.
    fn operation(&self) -> AnyOperation;

    /// Returns what the call does to the data.
    ///
    /// # Errors
    ///
    /// `Validation` if that follows from a part of the request that is malformed.
    fn effect(&self) -> Result<Effect>;

    /// Returns the data store that the request is about; `None` if it is about none or all.
    fn datastore(&self) -> Option<DatastoreId>;

    /// Returns the data stores that an answer lists, with the token of the next page.
    fn datastores_in(
        response: &mut Self::Response,
    ) -> Option<(&mut Vec<DatastoreSummary>, &mut Option<NextToken>)>;

    /// Returns the request of the next page of a list of data stores.
    fn continued(&self, token: NextToken) -> Option<Self>;

    /// Returns the objects that the request names.
    fn named(&self) -> Named;

    /// Returns the objects that an answer names.
    fn named_in(response: &Self::Response) -> Named;

    /// Copies the request, so that it can be sent again; `None` if its body can be read only once.
    fn again(&self) -> Option<Self>;

    /// Sends the request.
    fn send(self, service: &S) -> impl Future<Output = Result<Self::Response>> + Send;
}

/// A back end that wraps another one, of either trait or both.
pub trait Layer: Send + Sync + fmt::Debug {
    /// The back end behind it.
    type Inner: Send + Sync + ?Sized;

    /// Returns the back end behind it.
    fn inner(&self) -> &Self::Inner;

    /// Fails if a data store is not accessible through this layer.
    fn admit(&self, _: &DatastoreId) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Handles one call: sends it, or fails.
    fn call<C: Call<Self::Inner>>(
        &self,
        call: C,
    ) -> impl Future<Output = Result<C::Response>> + Send;
}

/// Most calls have the effect of their operation.
macro_rules! effect {
    ($call:ident UpdateImageSetMetadata $effect:ident) => {
        model::UpdateImageSetMetadataRequest::effect($call)
    };
    ($call:ident $operation:ident $effect:ident) => {
        Ok(Effect::$effect)
    };
}

/// Most requests name their data store.
macro_rules! datastore {
    ($call:ident CreateDatastore) => {
        None
    };
    ($call:ident ListDatastores) => {
        None
    };
    ($call:ident TagResource) => {
        datastore_of(&$call.resource_arn)
    };
    ($call:ident UntagResource) => {
        datastore_of(&$call.resource_arn)
    };
    ($call:ident ListTagsForResource) => {
        datastore_of(&$call.resource_arn)
    };
    ($call:ident $operation:ident) => {
        Some($call.datastore_id.clone())
    };
}

fn datastore_of(arn: &ResourceArn) -> Option<DatastoreId> {
    match arn.resource()? {
        Resource::Datastore(id) | Resource::ImageSet(id, _) => Some(id),
    }
}

/// One answer lists data stores.
macro_rules! datastores_in {
    ($answer:ident ListDatastores) => {
        Some((&mut $answer.datastore_summaries, &mut $answer.next_token))
    };
    ($answer:ident $operation:ident) => {{
        let _ = $answer;
        None
    }};
}

/// One request asks for a page of data stores.
macro_rules! continued {
    ($call:ident $token:ident ListDatastores) => {
        Some(restricted::continued($call, $token))
    };
    ($call:ident $token:ident $operation:ident) => {{
        let _ = $token;
        None
    }};
}

/// Most requests can be sent again.
macro_rules! again {
    ($call:ident StoreInstances) => {
        None
    };
    ($call:ident $operation:ident) => {
        Some($call.clone())
    };
}

macro_rules! implement {
    (
        $trait:ident $name:ident { $($rest:item)* }
        $($(#[$doc:meta])* $effect:ident $operation:ident $api:literal:
            $method:ident($request:ident) -> $response:ident;)*
    ) => {
        $(impl<S: $trait + ?Sized> Call<S> for model::$request {
            type Response = model::$response;

            fn operation(&self) -> AnyOperation {
                AnyOperation::from($name::$operation)
            }

            fn effect(&self) -> Result<Effect> {
                effect!(self $operation $effect)
            }

            fn datastore(&self) -> Option<DatastoreId> {
                datastore!(self $operation)
            }

            fn datastores_in(
                answer: &mut Self::Response,
            ) -> Option<(&mut Vec<DatastoreSummary>, &mut Option<NextToken>)> {
                datastores_in!(answer $operation)
            }

            fn continued(&self, token: NextToken) -> Option<Self> {
                continued!(self token $operation)
            }

            fn named(&self) -> Named {
                self.names()
            }

            fn named_in(response: &Self::Response) -> Named {
                response.names()
            }

            fn again(&self) -> Option<Self> {
                again!(self $operation)
            }

            async fn send(self, service: &S) -> Result<Self::Response> {
                service.$method(self).await
            }
        })*

        #[async_trait]
        impl<L: Layer> $trait for L
        where
            L::Inner: $trait,
        {
            $($rest)*
            $(async fn $method(&self, request: model::$request) -> Result<model::$response> {
                self.call(request).await
            })*
        }
    };
}
crate::with_operations!(implement HealthImaging Operation {
    fn limits(&self) -> Limits {
        self.inner().limits()
    }

    async fn count_image_sets(&self, datastore_id: DatastoreId) -> Result<Option<ImageSetCount>> {
        self.admit(&datastore_id).await?;
        self.inner().count_image_sets(datastore_id).await
    }
});
crate::with_web_operations!(implement DicomWeb WebOperation {});
