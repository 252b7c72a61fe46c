//! What a change of files looks like from outside.
