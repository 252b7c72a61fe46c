//! Reads the roster's files.

use std::path::Path;

use crate::diagnostic::{Diagnostic, Sources};

/// Reads what `users` names: files, folders (their `*.yaml` and `*.yml`) or globs, relative to `base`.
pub fn load(_users: &[String], _base: &Path) -> Result<Sources, Vec<Diagnostic>> {
    Ok(Sources::default())
}

/// The folders in which a change may change what [`load`] reads.
pub fn watched(users: &[String], base: &Path) -> Vec<std::path::PathBuf> {
    let folder = |written: &String| {
        let path = base.join(written);
        if path.is_dir() { path } else { path.parent().unwrap_or(&path).to_owned() }
    };
    users.iter().map(folder).collect()
}
