//! Shared by several modules.

pub mod directory;
pub mod git_server;
pub mod in_process;
pub mod repository;
pub mod run;
pub mod rust;
pub mod scripted;
pub mod states;
pub mod world;
