//! Triggers, merging, back-off, reload.
