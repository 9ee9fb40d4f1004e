//! A back end that carries out only what a caller may do.

use std::fmt;
use std::sync::Arc;

use crate::dicomweb::DicomWeb;
use crate::effect::Effect;
use crate::error::{Error, Result};
use crate::id::DatastoreId;
use crate::layer::{AnyOperation, Call, Layer};
use crate::model::ListDatastoresRequest;
use crate::operation::Operation;
use crate::rights::Rights;
use crate::service::HealthImaging;

/// Sends the calls that [`Rights`] allow to another back end. Other effects are `AccessDenied`. Data stores that are not
/// allowed do not exist for the caller: lists leave them out, and everything else is `NotFound`.
#[derive(Debug, Clone)]
pub struct Restricted<T: ?Sized> {
    rights: Rights,
    /// Where names of data stores are looked up.
    names: Arc<dyn HealthImaging>,
    inner: Arc<T>,
}

impl<T: ?Sized> Restricted<T> {
    /// Restricts `inner`; the names of data stores are looked up in `names`.
    pub fn new(rights: Rights, names: Arc<dyn HealthImaging>, inner: Arc<T>) -> Self {
        Self { rights, names, inner }
    }
}

impl<T: fmt::Debug + Send + Sync + ?Sized> Layer for Restricted<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.inner
    }

    async fn admit(&self, datastore_id: &DatastoreId) -> Result<()> {
        self.rights.check_datastore(&*self.names, datastore_id).await
    }

    async fn call<C: Call<T>>(&self, call: C) -> Result<C::Response> {
        let effect = match call.effect() {
            // An update whose effect is unknown is a write too.
            Err(_) if self.rights.most() == Effect::Reads => Effect::Writes,
            effect => effect?,
        };
        self.rights.check_effect(effect)?;
        if self.rights.limits_datastores() {
            match (call.operation(), call.datastore()) {
                (AnyOperation::Api(Operation::ListDatastores), _) => return self.list(call).await,
                (AnyOperation::Api(Operation::CreateDatastore), _) => {
                    self.rights.check_all_datastores()?;
                }
                (_, Some(datastore_id)) => self.admit(&datastore_id).await?,
                (_, None) => return Err(Error::no_datastore()),
            }
        }
        call.send(&self.inner).await
    }
}

impl<T: fmt::Debug + Send + Sync + ?Sized> Restricted<T> {
    /// Lists the data stores that are allowed: a page is one of the back end without the others. A page has a token only
    /// if one of these data stores follows.
    async fn list<C: Call<T>>(&self, call: C) -> Result<C::Response> {
        let asked = call.again();
        let mut page = call.send(&self.inner).await?;
        let (Some(asked), Some((items, next_token))) = (asked, C::datastores_in(&mut page)) else {
            return Ok(page);
        };
        items.retain(|item| self.rights.admits(&item.datastore_id, &item.datastore_name));
        let mut following = next_token.take();
        while let Some(token) = following {
            let Some(next) = asked.continued(token.clone()) else { break };
            let mut later = next.send(&self.inner).await?;
            let Some((later, token_behind)) = C::datastores_in(&mut later) else { break };
            later.retain(|item| self.rights.admits(&item.datastore_id, &item.datastore_name));
            if !later.is_empty() && !items.is_empty() {
                *next_token = Some(token);
                break;
            }
            items.append(later);
            following = token_behind.take();
        }
        Ok(page)
    }
}

/// The request of the next page.
pub(crate) fn continued(
    request: &ListDatastoresRequest,
    token: crate::id::NextToken,
) -> ListDatastoresRequest {
    ListDatastoresRequest { next_token: Some(token), ..request.clone() }
}

/// Both traits of one back end.
pub type Traits = (Arc<dyn HealthImaging>, Arc<dyn DicomWeb>);

/// Restricts a back end for callers with limited rights, behind the layers that every caller passes.
#[derive(Clone)]
pub struct Restrictor(Arc<dyn Fn(&Rights) -> Traits + Send + Sync>);

impl Restrictor {
    /// Makes one of a function that puts [`Restricted`] in its place among other layers.
    pub fn new(restrict: impl Fn(&Rights) -> Traits + Send + Sync + 'static) -> Self {
        Self(Arc::new(restrict))
    }

    /// Makes one that restricts a back end directly.
    pub fn of((service, dicomweb): Traits) -> Self {
        Self::new(move |rights| restricted(rights, (Arc::clone(&service), Arc::clone(&dicomweb))))
    }

    /// Returns the back end of a caller with these rights.
    pub fn restrict(&self, rights: &Rights) -> Traits {
        (self.0)(rights)
    }
}

impl fmt::Debug for Restrictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restrictor").finish_non_exhaustive()
    }
}

/// Restricts both traits of a back end.
pub fn restricted(rights: &Rights, (service, dicomweb): Traits) -> Traits {
    if rights.is_unlimited() {
        return (service, dicomweb);
    }
    let names = Arc::clone(&service);
    (
        Arc::new(Restricted::new(rights.clone(), Arc::clone(&names), service)),
        Arc::new(Restricted::new(rights.clone(), names, dicomweb)),
    )
}
