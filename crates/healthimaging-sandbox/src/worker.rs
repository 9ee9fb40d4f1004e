//! One child, as its server sees it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use healthimaging_pixels::{CodecError, DecodedFrame, SourceFrame};

use crate::message::{Request, Response, read_bytes, read_header, write};

/// Longest Photometric Interpretation: a code string (PS3.5 §6.2).
const LONGEST_PHOTOMETRIC: usize = 16;

/// A child that runs; dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    has_answered: bool,
}

/// Why a child gave no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It was stopped.
    TookTooLong,
    /// It ended, or said what no child says.
    Ended(io::Error),
}

impl Worker {
    /// Starts a child: `command` of `program`.
    pub(crate) fn start(program: &Path, command: &OsStr) -> io::Result<Self> {
        let mut child = Command::new(program);
        child
            .arg(command)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Where the system's loader finds the codecs, on machines that need to be told.
        for name in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            child.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // A key that interrupts the server is not for its children, who are needed to the end.
            child.process_group(0).current_dir("/");
        }
        let mut child = child.spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self { child, stdin, stdout, has_answered: false }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Whether it has decoded before: what goes wrong then may be the fault of that.
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Has a frame decoded. A child that was lost must not be asked again.
    pub(crate) fn decode(
        &mut self,
        source: &SourceFrame<'_>,
        time: Duration,
    ) -> Result<Result<DecodedFrame, CodecError>, Lost> {
        let Self { child, stdin, stdout, .. } = self;
        let (answered, waiting) = channel::<()>();
        let (exchanged, stopped) = thread::scope(|scope| {
            let watch = move || {
                let late = waiting.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
                if late && let Err(error) = child.kill() {
                    tracing::error!(%error, "a decoder cannot be stopped");
                }
                late
            };
            let watch = thread::Builder::new().spawn_scoped(scope, watch).map_err(Lost::Ended)?;
            let exchanged = exchange(stdin, stdout, source);
            drop(answered);
            Ok((exchanged, watch.join().unwrap_or(false)))
        })?;
        if stopped {
            return Err(Lost::TookTooLong);
        }
        let answer = exchanged.map_err(Lost::Ended)?;
        self.has_answered = true;
        Ok(answer)
    }

    /// How the child ended, for the log.
    pub(crate) fn end(&mut self) -> String {
        let _ = self.child.kill();
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends the frame and takes the answer, which is not trusted: whoever made the frame may have taken
/// over the child.
fn exchange(
    to: &mut ChildStdin,
    from: &mut ChildStdout,
    source: &SourceFrame<'_>,
) -> io::Result<Result<DecodedFrame, CodecError>> {
    write(to, &Request::of(source), source.data)?;
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

/// The file that this process runs.
///
/// # Errors
/// Systems other than Linux may not know it.
pub fn this_binary() -> io::Result<PathBuf> {
    // The path may lead to another version by now, when the program was updated while it runs.
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe()
}
