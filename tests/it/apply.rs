//! What becomes of each change, for each kind of failure.
