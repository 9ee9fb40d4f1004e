//! Standard input and output, for a conversation.
//!
//! Clients connect them to pipes, or to sockets as Node does. Those are waited for like connections;
//! anything else is read and written by threads of their own, and each message waits for two of them to wake.

use tokio::io::{AsyncRead, AsyncWrite};

/// What a client says.
pub(crate) type Input = Box<dyn AsyncRead + Send + Unpin>;
/// What a client hears.
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

    /// What a pipe holds, in bytes: a frame in base64. It is as much as any user may ask for.
    const PIPE_SIZE: usize = 1 << 20;

    pub(super) fn input() -> Option<Input> {
        // Opened anew, because how a file is waited for is shared with whoever else has it open.
        if let Ok(pipe) = pipe::OpenOptions::new().open_receiver("/proc/self/fd/0") {
            return Some(Box::new(pipe));
        }
        Some(Box::new(socket(io::stdin().as_fd()).ok()?))
    }

    pub(super) fn output() -> Option<Output> {
        if let Ok(pipe) = pipe::OpenOptions::new().open_sender("/proc/self/fd/1") {
            // A pipe that stays as it is is slower, no more.
            let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_SIZE);
            return Some(Box::new(pipe));
        }
        Some(Box::new(socket(io::stdout().as_fd()).ok()?))
    }

    fn socket(standard: BorrowedFd<'_>) -> io::Result<UnixStream> {
        let socket = StdUnixStream::from(standard.try_clone_to_owned()?);
        // Fails for what is no such socket.
        socket.local_addr()?;
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket)
    }
}
