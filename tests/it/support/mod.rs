//! What several topics share.

pub mod scripted;
