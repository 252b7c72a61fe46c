//! What several topics share.

pub mod directory;
pub mod scripted;
pub mod states;
pub mod world;
