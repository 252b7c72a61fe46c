//! The world in a file, whole at every instant.

use std::io::{self, Write as _};
use std::path::Path;

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
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(&serde_json::to_vec(world)?)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
