//! Which files make a roster.
