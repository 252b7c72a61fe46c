//! The sandbox as a client sees it.
