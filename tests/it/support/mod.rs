//! What several topics share.

pub mod directory;
pub mod states;
pub mod world;
