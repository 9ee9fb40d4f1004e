//! Transport of one message a line: invalid messages are answered with an error, and a client that does not
//! read its answers is not read further.

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

/// Longest message, in bytes.
const LONGEST: usize = 16 << 20;

/// Most requests that are in progress, or whose answers are not written yet; the next one is not read before.
const MOST_OPEN: usize = 64;

/// A pair of streams as a transport.
pub(crate) struct Lines<R, W: AsyncWrite> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Whether the rest of the line is skipped.
    is_too_long: bool,
    output: AsyncRwTransport<RoleServer, Empty, W>,
    open: Arc<OpenRequests>,
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

    /// Reads the next line; `None` at the end. A partial line is kept when the future is dropped.
    async fn next_line(&mut self) -> Option<Result<Vec<u8>, Refusal>> {
        loop {
            let part = match self.input.fill_buf().await {
                Ok(part) => part,
                Err(error) => {
                    tracing::info!(%error, "reading from the client failed");
                    return None;
                }
            };
            // The last line may lack a newline.
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

    /// Answers an invalid message with an error; the session continues.
    fn refuse(&mut self, refusal: &Refusal) {
        tracing::debug!(?refusal, "message refused");
        let answer = TxJsonRpcMessage::<RoleServer>::error(refusal.error(), refusal.request_id());
        // The future that reads can be dropped at any time, which must not cut the answer.
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
            Arc::clone(&self.open).capacity().await;
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
            let parsed = message::parse(&line).and_then(|message| {
                let typed = serde_json::from_value(message.clone());
                typed.map_err(|_| Refusal::invalid_request(&message))
            });
            match parsed {
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

/// Requests in progress.
#[derive(Debug, Default)]
struct OpenRequests {
    counts: Mutex<OpenCounts>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct OpenCounts {
    /// Requests of the client that wait for an answer.
    requests: HashSet<RequestId>,
    /// Requests of this server that wait for the client, whose answers must be read.
    questions: usize,
}

impl OpenRequests {
    fn counts(&self) -> MutexGuard<'_, OpenCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asks(&self) {
        self.counts().questions += 1;
        self.changed.notify_waiters();
    }

    fn note(&self, message: &RxJsonRpcMessage<RoleServer>) {
        let mut counts = self.counts();
        match message {
            JsonRpcMessage::Request(request) => _ = counts.requests.insert(request.id.clone()),
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                counts.questions = counts.questions.saturating_sub(1);
            }
            JsonRpcMessage::Notification(notification) => {
                // A cancelled request need not be answered.
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    counts.requests.remove(id);
                }
            }
        }
    }

    /// Waits until the next message may be read.
    async fn capacity(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let counts = self.counts();
                if counts.requests.len() < MOST_OPEN || counts.questions > 0 {
                    return;
                }
            }
            changed.await;
        }
    }
}

/// A request that counts as answered when this is dropped.
struct Answered {
    id: RequestId,
    open: Arc<OpenRequests>,
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.open.counts().requests.remove(&self.id);
        self.open.changed.notify_waiters();
    }
}
