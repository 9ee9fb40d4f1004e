//! Face: the tools and resources of the Model Context Protocol
