//! Frames: stored frame to pixels and back; every codec; no I/O
