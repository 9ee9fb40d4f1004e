//! Image sets by anything that their summaries tell.
