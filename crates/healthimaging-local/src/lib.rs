//! Back end: the embedded store on disk
