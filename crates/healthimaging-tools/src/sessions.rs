//! Sessions of HTTP clients: a bounded number, of which the one that is idle for longest is evicted.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use futures::Stream;
use healthimaging::Grant;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use rmcp::transport::streamable_http_server::session::{SessionId, SessionManager};

use tokio_util::sync::{CancellationToken, DropGuard};

/// Most sessions at once.
pub(crate) const MOST_SESSIONS: usize = 256;

/// Sessions in memory, up to a maximum.
#[derive(Debug)]
pub(crate) struct Sessions {
    inner: LocalSessionManager,
    most: usize,
    uses: Uses,
}

/// Last use and number of open streams of each session.
type Uses = Arc<Mutex<HashMap<SessionId, Use>>>;

#[derive(Debug)]
struct Use {
    last: Instant,
    streams: usize,
    /// Whose session it is; `None` until it is initialized.
    owner: Option<Owner>,
}

/// Whose session it is, and what is cancelled when the session is removed.
#[derive(Debug)]
struct Owner {
    grant: Grant,
    _removed: DropGuard,
}

/// Error of a session.
#[derive(Debug)]
pub(crate) enum SessionsError {
    /// Every session has an open stream.
    Full,
    /// Error of one session.
    Session(LocalSessionManagerError),
}

impl fmt::Display for SessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many sessions are in use; try again later"),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionsError {}

impl From<LocalSessionManagerError> for SessionsError {
    fn from(error: LocalSessionManagerError) -> Self {
        Self::Session(error)
    }
}

fn uses(of: &Uses) -> MutexGuard<'_, HashMap<SessionId, Use>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    pub(crate) fn at_most(most: usize) -> Self {
        Self { inner: LocalSessionManager::default(), most, uses: Uses::default() }
    }

    fn touch(&self, id: &SessionId) {
        if let Some(known) = uses(&self.uses).get_mut(id) {
            known.last = Instant::now();
        }
    }

    /// Ends the session that is idle for longest, if there are too many.
    async fn evict(&self) -> Result<(), SessionsError> {
        let alive: Vec<SessionId> = self.inner.sessions.read().await.keys().cloned().collect();
        let oldest = {
            let mut known = uses(&self.uses);
            known.retain(|id, _| alive.contains(id));
            if known.len() < self.most {
                return Ok(());
            }
            let idle = known.iter().filter(|(_, one)| one.streams == 0);
            idle.min_by_key(|(_, one)| one.last).map(|(id, _)| Arc::clone(id))
        };
        let Some(oldest) = oldest else {
            return Err(SessionsError::Full);
        };
        tracing::info!("oldest idle session evicted");
        self.close_session(&oldest).await
    }

    /// Whether a credential may use a session: only the one that it was opened with.
    pub(crate) fn is_owned(&self, id: &str, grant: &Grant) -> bool {
        match uses(&self.uses).get_mut(id).map(|known| &mut known.owner) {
            Some(Some(owner)) if owner.grant.holder() == grant.holder() => {
                // An access token is replaced by another before it expires.
                owner.grant = grant.clone();
                true
            }
            Some(Some(_)) => false,
            // An unknown session is refused by the library.
            Some(None) | None => true,
        }
    }

    /// Makes a session that of a credential: it ends with the grant.
    pub(crate) fn own(self: &Arc<Self>, id: &str, grant: &Grant) {
        let removed = CancellationToken::new();
        let owner = Owner { grant: grant.clone(), _removed: removed.clone().drop_guard() };
        let id: SessionId = match uses(&self.uses).get_key_value(id) {
            Some((id, _)) => Arc::clone(id),
            None => return,
        };
        if let Some(known) = uses(&self.uses).get_mut(&id) {
            known.owner = Some(owner);
        }
        if grant.holder().is_none() {
            return;
        }
        let (sessions, mut grant) = (Arc::downgrade(self), grant.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = removed.cancelled() => return,
                    () = grant.ended() => {}
                }
                let Some(sessions) = sessions.upgrade() else { return };
                match sessions.renewed(&id) {
                    Some(renewed) => grant = renewed,
                    None => return sessions.end(&id).await,
                }
            }
        });
    }

    /// Returns the grant with which a session was last used, unless that has ended too.
    fn renewed(&self, id: &SessionId) -> Option<Grant> {
        let uses = uses(&self.uses);
        let grant = &uses.get(id)?.owner.as_ref()?.grant;
        (!grant.has_ended()).then(|| grant.clone())
    }

    async fn end(&self, id: &SessionId) {
        tracing::info!("a session ended with its credential");
        if let Err(error) = self.close_session(id).await {
            tracing::warn!(%error, "a session could not be ended");
        }
    }

    /// Counts a stream as open until it ends.
    fn counted<S>(&self, id: &SessionId, stream: S) -> Counted<S> {
        if let Some(known) = uses(&self.uses).get_mut(id) {
            known.last = Instant::now();
            known.streams += 1;
        }
        Counted { stream: Box::pin(stream), id: Arc::clone(id), uses: Arc::clone(&self.uses) }
    }
}

impl SessionManager for Sessions {
    type Error = SessionsError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.evict().await?;
        let (id, transport) = self.inner.create_session().await?;
        uses(&self.uses)
            .insert(Arc::clone(&id), Use { last: Instant::now(), streams: 0, owner: None });
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.touch(id);
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.touch(id);
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        uses(&self.uses).remove(id);
        Ok(self.inner.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.counted(id, self.inner.create_stream(id, message).await?))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.touch(id);
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        // It is open as long as the client is connected, idle or not.
        self.touch(id);
        Ok(self.inner.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.touch(id);
        Ok(self.inner.resume(id, last_event_id).await?)
    }
}

/// A stream that counts as open.
struct Counted<S> {
    stream: Pin<Box<S>>,
    id: SessionId,
    uses: Uses,
}

impl<S: Stream> Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.stream.as_mut().poll_next(context)
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        if let Some(known) = uses(&self.uses).get_mut(&self.id) {
            known.streams = known.streams.saturating_sub(1);
            known.last = Instant::now();
        }
    }
}
