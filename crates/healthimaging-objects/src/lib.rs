//! Objects to read and write: s3:// and, inside allowed roots, file://
