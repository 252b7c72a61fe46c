//! Writes a canonical roster.
