//! Decoders in child processes: compressed frames from outside are decoded by children of this binary.
//!
//! * [`Children`] is the pool, for the process that serves.
//! * [`serve`] runs a child, for a hidden command of the same binary.
//!
//! Codecs are C, C++ and large libraries, and a frame may be malicious. A child has no files but its two
//! pipes, no environment, and limits of memory and time that follow from the frame's shape. A crashed or
//! stopped child loses one frame, and another child replaces it. A child that cannot start, or makes a
//! system call that the sandbox rejects, is a fault of this program and reported as one.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use healthimaging_pixels::Decoder;
//! use healthimaging_sandbox::{Children, serve, this_binary};
//!
//! // In `main`, before anything else: this process may be a child.
//! if std::env::args().nth(1).as_deref() == Some("decode-frames") {
//!     return serve();
//! }
//! let decoder = Decoder::isolated(Arc::new(Children::new(this_binary()?, "decode-frames")));
//! # Ok::<(), std::io::Error>(())
//! ```

mod allowance;
mod child;
mod children;
mod limits;
mod message;
#[cfg(target_os = "linux")]
mod system_calls;
mod worker;

pub use child::{serve, serve_with};
pub use children::Children;
pub use worker::this_binary;
