//! Standard input and output as asynchronous streams.
//!
//! Clients connect them to pipes, or to sockets as Node does, which the runtime polls like connections. Anything
//! else is read and written by threads, two of which have to wake for each message.

use tokio::io::{AsyncRead, AsyncWrite};

/// Requests of a client.
pub(crate) type Input = Box<dyn AsyncRead + Send + Unpin>;
/// Answers to a client.
pub(crate) type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// Standard input.
pub(crate) fn input() -> Input {
    #[cfg(target_os = "linux")]
    if let Some(input) = linux::input() {
        return input;
    }
    Box::new(tokio::io::stdin())
}

/// Standard output. It belongs to the protocol: nothing else may write to it.
pub(crate) fn output() -> Output {
    #[cfg(target_os = "linux")]
    if let Some(output) = linux::output() {
        return output;
    }
    Box::new(tokio::io::stdout())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream as StdUnixStream;

    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    use super::{Input, Output};

    /// Capacity of a pipe, in bytes: the largest that Linux gives to every user, so that a frame fits.
    const PIPE_SIZE: usize = 1 << 20;

    pub(super) fn input() -> Option<Input> {
        // Opened again, because the non-blocking mode is shared with other processes that have the file open.
        if let Ok(pipe) = pipe::OpenOptions::new().open_receiver("/proc/self/fd/0") {
            return Some(Box::new(pipe));
        }
        Some(Box::new(socket(io::stdin().as_fd()).ok()?))
    }

    pub(super) fn output() -> Option<Output> {
        if let Ok(pipe) = pipe::OpenOptions::new().open_sender("/proc/self/fd/1") {
            // A failure only makes the pipe slower.
            let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_SIZE);
            return Some(Box::new(pipe));
        }
        Some(Box::new(socket(io::stdout().as_fd()).ok()?))
    }

    fn socket(standard: BorrowedFd<'_>) -> io::Result<UnixStream> {
        let socket = StdUnixStream::from(standard.try_clone_to_owned()?);
        // Fails for anything but a Unix socket.
        socket.local_addr()?;
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket)
    }
}
