//! Back ends that wrap another one: one function sees every call.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

use crate::dicomweb::DicomWeb;
use crate::effect::Effect;
use crate::error::Result;
use crate::id::DatastoreId;
use crate::model::{self, ImageSetCount};
use crate::named::{Named, Names as _};
use crate::operation::{Limits, Operation, WebOperation};
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
        self.inner().count_image_sets(datastore_id).await
    }
});
crate::with_web_operations!(implement DicomWeb WebOperation {});
