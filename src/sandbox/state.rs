//! The world in a file, whole at every instant.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::world::World;

/// Reads a world; None where there is no file yet. A file that is none of ours is an error, and is
/// left as it is.
pub fn load(path: &Path) -> io::Result<Option<World>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(path, &error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let why = format!("{}: this is no state of a sandbox: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

/// Writes a world beside the file, flushes it, and renames it over the file.
pub fn save(path: &Path, world: &World) -> io::Result<()> {
    let beside = beside(path);
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(&serde_json::to_vec(world)?)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|error| named(path, &error))
}

/// The whole name and `.new`, so that it is neither the file itself nor a neighbour of its stem.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_of_the_state_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let neighbour = folder.path().join("state.new");
        std::fs::write(&neighbour, "precious").unwrap();
        let world = World::seeded(&["acme".to_owned()], 0, 1, jiff::Timestamp::UNIX_EPOCH);
        let state = folder.path().join("state.json");
        save(&state, &world).unwrap();
        assert_eq!(load(&state).unwrap(), Some(world));
        assert_eq!(std::fs::read_to_string(&neighbour).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn no_name_of_a_state_is_the_name_beside_it() {
        for name in ["state.json", "state.new", "state", "kept/state.new.new"] {
            let path = Path::new(name);
            assert_ne!(beside(path), path);
            assert_eq!(beside(path).parent(), path.parent());
        }
    }
}
