//! What a caller may do: up to which effect, and with which data stores.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::id::DatastoreId;
use crate::model::GetDatastoreRequest;
use crate::names::is_datastore_name;
use crate::service::HealthImaging;

/// Most data stores whose names are remembered.
const MOST_REMEMBERED: usize = 10_000;

/// One limit: that of a flag, of a policy or of a credential.
#[derive(Debug)]
pub struct Limit {
    most: Effect,
    refusal: Cow<'static, str>,
    datastores: Datastores,
}

impl Limit {
    /// Allows effects up to `most`; `refusal` is the error of any other call: why, and what to do.
    pub fn new(most: Effect, refusal: impl Into<Cow<'static, str>>) -> Self {
        Self { most, refusal: refusal.into(), datastores: Datastores::default() }
    }

    /// The limit of a server that only reads.
    #[must_use]
    pub fn read_only() -> Self {
        Self::new(
            Effect::Reads,
            "this server is read-only; start it without --read-only to change anything",
        )
    }

    /// The limit of a server that deletes nothing.
    #[must_use]
    pub fn no_delete() -> Self {
        Self::new(
            Effect::Writes,
            "this server deletes nothing, removes no instance or series and reverts to no version; start it \
             without --no-delete to do so",
        )
    }

    /// Allows these data stores alone, by ID or name.
    #[must_use]
    pub fn only(mut self, datastores: impl IntoIterator<Item = String>) -> Self {
        self.datastores.only = Some(datastores.into_iter().collect());
        self
    }

    /// Forbids these data stores, by ID or name.
    #[must_use]
    pub fn except(mut self, datastores: impl IntoIterator<Item = String>) -> Self {
        self.datastores.except = datastores.into_iter().collect();
        self
    }
}

/// The data stores of a limit.
#[derive(Debug, Default)]
struct Datastores {
    only: Option<BTreeSet<String>>,
    except: BTreeSet<String>,
}

impl Datastores {
    fn is_limited(&self) -> bool {
        self.only.is_some() || !self.except.is_empty()
    }

    fn has_names(&self) -> bool {
        self.only.iter().flatten().chain(&self.except).any(|one| is_datastore_name(one))
    }

    fn admits(&self, id: &str, name: Option<&str>) -> bool {
        let has = |set: &BTreeSet<String>| {
            set.contains(id) || name.is_some_and(|name| set.contains(name))
        };
        self.only.as_ref().is_none_or(has) && !has(&self.except)
    }
}

/// What a caller may do: everything that each of its limits allows. Clones share what they found out.
#[derive(Clone, Default)]
pub struct Rights {
    limits: Vec<Arc<Limit>>,
    /// Names of data stores, which never change.
    names: Arc<Mutex<HashMap<DatastoreId, String>>>,
}

impl Rights {
    /// Rights without a limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Whether nothing is forbidden.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.limits.is_empty()
    }

    /// Adds a limit.
    #[must_use]
    pub fn and(mut self, limit: Limit) -> Self {
        self.limits.push(Arc::new(limit));
        self
    }

    /// Returns what both allow.
    #[must_use]
    pub fn and_all(mut self, other: &Self) -> Self {
        self.limits.extend(other.limits.iter().cloned());
        self
    }

    /// The largest effect that is allowed.
    #[must_use]
    pub fn most(&self) -> Effect {
        self.limits.iter().map(|limit| limit.most).min().unwrap_or(Effect::Destroys)
    }

    /// Whether only some data stores are allowed.
    #[must_use]
    pub fn limits_datastores(&self) -> bool {
        self.limits.iter().any(|limit| limit.datastores.is_limited())
    }

    /// Refuses an effect that is not allowed.
    ///
    /// # Errors
    ///
    /// `AccessDenied`, with the reason of the limit.
    pub fn check_effect(&self, effect: Effect) -> Result<()> {
        match self.limits.iter().find(|limit| effect > limit.most) {
            None => Ok(()),
            Some(limit) => Err(Error::new(ErrorKind::AccessDenied, limit.refusal.clone())),
        }
    }

    /// Refuses what affects all data stores, if only some are allowed.
    ///
    /// # Errors
    ///
    /// `AccessDenied`.
    pub fn check_all_datastores(&self) -> Result<()> {
        if !self.limits_datastores() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            "this caller may use only certain data stores, and this request is about others",
        ))
    }

    /// Whether a data store with this ID and name is allowed.
    #[must_use]
    pub fn admits(&self, id: &DatastoreId, name: &str) -> bool {
        self.limits.iter().all(|limit| limit.datastores.admits(id.as_str(), Some(name)))
    }

    /// Whether a data store is allowed; its name is looked up in `service` if a limit has names. A data store that does
    /// not exist is not allowed then.
    ///
    /// # Errors
    ///
    /// Those of the lookup.
    pub async fn admits_id(&self, service: &dyn HealthImaging, id: &DatastoreId) -> Result<bool> {
        if !self.limits.iter().any(|limit| limit.datastores.has_names()) {
            return Ok(self.limits.iter().all(|limit| limit.datastores.admits(id.as_str(), None)));
        }
        if let Some(name) = self.remembered().get(id) {
            return Ok(self.admits(id, name));
        }
        let request = GetDatastoreRequest { datastore_id: id.clone() };
        let name = match service.get_datastore(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found?.datastore_properties.datastore_name,
        };
        let is_admitted = self.admits(id, &name);
        let mut remembered = self.remembered();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(id.clone(), name);
        Ok(is_admitted)
    }

    /// Hides a data store that is not allowed.
    ///
    /// # Errors
    ///
    /// `NotFound`, as for a data store that does not exist.
    pub async fn check_datastore(
        &self,
        service: &dyn HealthImaging,
        id: &DatastoreId,
    ) -> Result<()> {
        if !self.limits_datastores() || self.admits_id(service, id).await? {
            return Ok(());
        }
        Err(Error::no_datastore())
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<DatastoreId, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.limits).finish()
    }
}
