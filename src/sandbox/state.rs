//! Saves the state to a file atomically.

use std::io;
use std::path::Path;

use super::world::World;
use crate::files::{self, Mode};

/// Loads the state; None if the file does not exist. Never changes a file that it cannot read.
pub fn load(path: &Path) -> io::Result<Option<World>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(with_path(path, &error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let why = format!("{}: not a state of a sandbox: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

/// Replaces the file at once.
pub fn save(path: &Path, world: &World) -> io::Result<()> {
    let text = serde_json::to_vec(world)?;
    files::replace(path, &text, Mode::Kept).map_err(|error| with_path(path, &error))
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_with_the_same_stem_are_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("state.new");
        std::fs::write(&other, "precious").unwrap();
        let world = World::seeded(&["acme".to_owned()], 0, 1, jiff::Timestamp::UNIX_EPOCH);
        let state = folder.path().join("state.json");
        save(&state, &world).unwrap();
        assert_eq!(load(&state).unwrap(), Some(world));
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            2,
            "no temporary file remains"
        );
    }
}
