//! A conversation of lines, each a message: what is no message is answered, and a client that does not read
//! its answers is not read either.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ClientNotification, JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader, Empty, empty};
use tokio::sync::Notify;

use crate::message::{self, Refusal};

/// Longest message that is read, in bytes.
const LONGEST: usize = 16 << 20;

/// Requests that are being answered, or whose answers are not written yet, before the next one is read.
const MOST_OPEN: usize = 64;

/// A pair of streams as a transport.
pub(crate) struct Lines<R, W: AsyncWrite> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    is_too_long: bool,
    output: AsyncRwTransport<RoleServer, Empty, W>,
    open: Arc<Open>,
}

impl<R, W> Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(crate) fn new(input: R, output: W) -> Self {
        Self {
            input: BufReader::new(input),
            line: Vec::new(),
            is_too_long: false,
            output: AsyncRwTransport::new(empty(), output),
            open: Arc::default(),
        }
    }

    /// The next line; `None` at the end. What was read of one is kept when the future is dropped.
    async fn next_line(&mut self) -> Option<Result<Vec<u8>, Refusal>> {
        loop {
            let part = match self.input.fill_buf().await {
                Ok(part) => part,
                Err(error) => {
                    tracing::info!(%error, "the client cannot be read any more");
                    return None;
                }
            };
            // The last line may end with the stream.
            let is_end = part.is_empty();
            if is_end && self.line.is_empty() {
                return None;
            }
            let newline = part.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(part.len(), |at| at + 1);
            let text = part.get(..newline.unwrap_or(taken)).unwrap_or_default();
            if self.line.len() + text.len() > LONGEST {
                self.is_too_long = true;
            }
            if self.is_too_long {
                self.line.clear();
            } else {
                self.line.extend_from_slice(text);
            }
            self.input.consume(taken);
            if newline.is_none() && !is_end {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if std::mem::take(&mut self.is_too_long) {
                return Some(Err(Refusal::too_long()));
            }
            return Some(Ok(line));
        }
    }

    /// Answers what is no message of the protocol; the conversation goes on.
    fn refuse(&mut self, refusal: &Refusal) {
        tracing::debug!(?refusal, "a message was refused");
        let answer = TxJsonRpcMessage::<RoleServer>::error(refusal.error(), refusal.request_id());
        // Reading is given up and begun again at any time, and the answer must not be cut then.
        tokio::spawn(self.output.send(answer));
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &item {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            JsonRpcMessage::Request(_) => {
                self.open.asks();
                None
            }
            JsonRpcMessage::Notification(_) => None,
        };
        let answered = answered.map(|id| Answered { id, open: Arc::clone(&self.open) });
        let sent = self.output.send(item);
        async move {
            let _answered = answered;
            sent.await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            Arc::clone(&self.open).room().await;
            let line = match self.next_line().await? {
                Ok(line) => line,
                Err(refusal) => {
                    self.refuse(&refusal);
                    continue;
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let read = message::read(&line).and_then(|message| {
                let parsed = serde_json::from_value(message.clone());
                parsed.map_err(|_| Refusal::invalid_request(&message))
            });
            match read {
                Ok(message) => {
                    self.open.note(&message);
                    return Some(message);
                }
                Err(refusal) => self.refuse(&refusal),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.output.close().await
    }
}

/// The requests that are open.
#[derive(Debug, Default)]
struct Open {
    state: Mutex<OpenState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct OpenState {
    /// Of the client, which wait for an answer.
    requests: HashSet<RequestId>,
    /// How many questions of this server wait for the client: it has to be read then.
    questions: usize,
}

impl Open {
    fn state(&self) -> MutexGuard<'_, OpenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asks(&self) {
        self.state().questions += 1;
        self.changed.notify_waiters();
    }

    fn note(&self, message: &RxJsonRpcMessage<RoleServer>) {
        let mut state = self.state();
        match message {
            JsonRpcMessage::Request(request) => _ = state.requests.insert(request.id.clone()),
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                state.questions = state.questions.saturating_sub(1);
            }
            JsonRpcMessage::Notification(notification) => {
                // A request that is cancelled need not be answered.
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    state.requests.remove(id);
                }
            }
        }
    }

    /// Waits until the next message may be read.
    async fn room(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.requests.len() < MOST_OPEN || state.questions > 0 {
                    return;
                }
            }
            changed.await;
        }
    }
}

/// A request that is answered once this is dropped.
struct Answered {
    id: RequestId,
    open: Arc<Open>,
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.open.state().requests.remove(&self.id);
        self.open.changed.notify_waiters();
    }
}
