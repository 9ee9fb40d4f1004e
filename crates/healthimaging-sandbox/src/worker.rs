//! A child process, on the side of its server.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use healthimaging_pixels::{
    CodecError, DecodedFrame, LARGEST_PAGE, LONGEST_TEXT, PdfContent, PdfError, PdfPart,
    PdfPicture, SourceFrame,
};

use crate::message::{PdfResponse, READY, Request, Response, Task, read_bytes, read_header, write};

/// Longest Photometric Interpretation: a code string (PS3.5 §6.2).
const LONGEST_PHOTOMETRIC: usize = 16;

/// Longest JSON of texts: each character may be an escape, and each page has a text.
const LONGEST_JSON: u64 = 8 * LONGEST_TEXT as u64;

/// A running child; ended on drop.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

/// Why a child did not answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It exceeded its time and was stopped.
    TookTooLong,
    /// It ended, or sent an invalid message.
    Ended(io::Error),
}

/// Why a child did not start.
#[derive(Debug)]
pub(crate) enum Unready {
    /// Another process or the system killed it: the next one may start.
    Killed(ExitStatus),
    /// It cannot start on this machine.
    Failed(io::Error),
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(status) => write!(f, "it ended with {status}"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Worker {
    /// Starts a child, `command` of `program`, and waits until it is ready.
    pub(crate) fn start(program: &Path, command: &OsStr, time: Duration) -> Result<Self, Unready> {
        let mut worker = Self::spawn(program, command).map_err(Unready::Failed)?;
        let ready = worker.within(time, |_, stdout| {
            let mut found = [0; READY.len()];
            stdout.read_exact(&mut found)?;
            if found == READY { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        });
        match ready {
            Ok(()) => Ok(worker),
            Err(Lost::TookTooLong) => Err(Unready::Failed(io::ErrorKind::TimedOut.into())),
            Err(Lost::Ended(error)) => Err(match worker.end() {
                Ok(status) if status.code().is_none() => Unready::Killed(status),
                Ok(status) => Unready::Failed(io::Error::other(format!("it ended with {status}"))),
                Err(_) => Unready::Failed(error),
            }),
        }
    }

    fn spawn(program: &Path, command: &OsStr) -> io::Result<Self> {
        let mut child = Command::new(program);
        child
            .arg(command)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Where the system's loader finds the codecs, on machines that need it.
        for name in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            child.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // A keyboard interrupt must not end the children, which the server needs until it ends.
            child.process_group(0).current_dir("/");
        }
        let mut child = child.spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self { child, stdin, stdout }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Decodes a frame in the child. A lost child must not be used again.
    pub(crate) fn decode(
        &mut self,
        source: &SourceFrame<'_>,
        time: Duration,
    ) -> Result<Result<DecodedFrame, CodecError>, Lost> {
        self.within(time, |stdin, stdout| exchange(stdin, stdout, source))
    }

    /// Reads a PDF document in the child. A lost child must not be used again.
    pub(crate) fn read_pdf(
        &mut self,
        data: &[u8],
        part: PdfPart,
        time: Duration,
    ) -> Result<Result<PdfContent, PdfError>, Lost> {
        self.within(time, |stdin, stdout| exchange_pdf(stdin, stdout, data, part))
    }

    /// Exchanges messages with the child, which is killed if that takes longer than `time`.
    fn within<T>(
        &mut self,
        time: Duration,
        talk: impl FnOnce(&mut ChildStdin, &mut ChildStdout) -> io::Result<T>,
    ) -> Result<T, Lost> {
        let Self { child, stdin, stdout } = self;
        let (answered, waiting) = channel::<()>();
        let (outcome, stopped) = thread::scope(|scope| {
            let watch = move || {
                let late = waiting.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
                if late && let Err(error) = child.kill() {
                    tracing::error!(%error, "a decoder cannot be stopped");
                }
                late
            };
            let watch = thread::Builder::new().spawn_scoped(scope, watch).map_err(Lost::Ended)?;
            let outcome = talk(stdin, stdout);
            drop(answered);
            Ok((outcome, watch.join().unwrap_or(false)))
        })?;
        if stopped {
            return Err(Lost::TookTooLong);
        }
        outcome.map_err(Lost::Ended)
    }

    /// Ends the child and returns its exit status.
    pub(crate) fn end(&mut self) -> io::Result<ExitStatus> {
        let _ = self.child.kill();
        self.child.wait()
    }
}

/// Whether a child ended because of a system call that its sandbox rejects.
pub(crate) fn was_refused_a_system_call(status: &io::Result<ExitStatus>) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::ExitStatusExt;
        let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
        signal == Some(crate::system_calls::REFUSED)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = status;
        false
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Sends the frame and takes the answer, which is not trusted: a malicious frame may have taken over the
/// child.
fn exchange(
    to: &mut ChildStdin,
    from: &mut ChildStdout,
    source: &SourceFrame<'_>,
) -> io::Result<Result<DecodedFrame, CodecError>> {
    write(to, &Task::Frame(Request::of(source)), source.data)?;
    let response = read_header::<Response>(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let pixels = match response {
        Ok(pixels) => pixels,
        Err(error) => return Ok(Err(error)),
    };
    if pixels.length != source.shape.byte_length() || pixels.photometric.len() > LONGEST_PHOTOMETRIC
    {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Ok(DecodedFrame {
        pixels: read_bytes(from, pixels.length)?,
        photometric: pixels.photometric,
    }))
}

/// Sends a PDF document and takes the answer, which is not trusted either.
fn exchange_pdf(
    to: &mut ChildStdin,
    from: &mut ChildStdout,
    data: &[u8],
    part: PdfPart,
) -> io::Result<Result<PdfContent, PdfError>> {
    write(to, &Task::Pdf(part, data.len() as u64), data)?;
    let header = match read_header::<PdfResponse>(from)?.ok_or(io::ErrorKind::UnexpectedEof)? {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let is_too_large = |(rows, columns)| rows > LARGEST_PAGE || columns > LARGEST_PAGE;
    if header.texts_length > LONGEST_JSON || header.size.is_some_and(is_too_large) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let texts = serde_json::from_slice(&read_bytes(from, header.texts_length)?)?;
    let picture = match header.size {
        None => None,
        Some((rows, columns)) => {
            let rgb = read_bytes(from, 3 * u64::from(rows) * u64::from(columns))?;
            Some(PdfPicture { rows, columns, rgb })
        }
    };
    Ok(Ok(PdfContent { page_count: header.page_count, texts, picture }))
}

/// Returns the file of this process.
///
/// # Errors
/// The path may be unknown on systems other than Linux.
pub fn this_binary() -> io::Result<PathBuf> {
    // The path may lead to another version, if the program was updated while it runs.
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe()
}
