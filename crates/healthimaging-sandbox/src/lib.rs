//! Decoders apart: compressed frames from outside are decoded in child processes of our own binary.
//!
//! * [`Children`] is the pool, for the process that serves.
//! * [`serve`] is the life of a child, for a hidden command of the same binary.
//!
//! Codecs are C, C++ and large libraries, and a frame is whatever its author wants it to be. A child has
//! no files but its two pipes, no environment, and may take so much memory and time as the frame's
//! shape warrants. When it crashes or is stopped, one frame is lost, another child takes its place,
//! and nothing else notices. A child that cannot start, or makes a system call that the sandbox refuses,
//! is a fault of this program and reported as one.

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
