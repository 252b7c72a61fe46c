//! Stores a pack of a git server. It is copied into a file first: an object that is too large is
//! refused before it is in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use gix::zlib::Decompress;
use gix::zlib::stream::inflate;
use gix_pack as pack;

use super::fetch::broken;
use super::git::MAX_OBJECT;

/// Maximum number of objects in a pack: each needs about 100 bytes of memory.
const MAX_OBJECTS: u32 = 1_000_000;
/// Length of the name of an object.
const ID: usize = 20;

/// Writes the objects of a pack into the folder of packs.
pub(super) fn store(pack: &mut impl Read, packs: &Path, deadline: Instant) -> Result<(), String> {
    let mut head = [0; 12];
    pack.read_exact(&mut head).map_err(broken)?;
    let count = count(head)?;
    let mut file = tempfile::tempfile_in(packs).map_err(|error| error.to_string())?;
    io::copy(&mut (&head[..]).chain(pack), &mut file).map_err(broken)?;
    check_objects(&file, count, deadline)?;
    file.rewind().map_err(|error| error.to_string())?;
    let options = pack::bundle::write::Options {
        thread_limit: Some(1),
        alloc_limit_bytes: Some(MAX_OBJECT),
        ..Default::default()
    };
    let written = pack::Bundle::write_to_directory(
        &mut BufReader::new(file),
        Some(packs),
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        None::<gix::objs::find::Never>,
        gix::hash::Kind::Sha1,
        options,
    );
    let written = written.map_err(|error| format!("its objects are not usable: {error}"))?;
    // Nothing else removes packs here.
    written.keep_path.map_or(Ok(()), std::fs::remove_file).map_err(|error| error.to_string())
}

/// The number of objects that the head of a pack announces. Fails if there are too many.
fn count(head: [u8; 12]) -> Result<u32, String> {
    let [.., a, b, c, d] = head;
    let count = u32::from_be_bytes([a, b, c, d]);
    if count <= MAX_OBJECTS {
        return Ok(count);
    }
    Err(format!(
        "it sent {count} objects, more than {MAX_OBJECTS}; keep the roster in a repository of its \
         own"
    ))
}

/// Fails if an object is too large, or larger than it says.
fn check_objects(mut file: &File, count: u32, deadline: Instant) -> Result<(), String> {
    file.seek(io::SeekFrom::Start(12)).map_err(|error| error.to_string())?;
    let (mut pack, mut state) = (BufReader::new(file), Decompress::default());
    for _ in 0..count {
        let entry = pack::data::Entry::from_read(&mut pack, 0, ID).map_err(broken)?;
        let size = entry.decompressed_size;
        if size > MAX_OBJECT as u64 {
            return Err(format!(
                "it sent an object of {} MiB, more than {} MiB; keep the roster in a repository \
                 of its own",
                size >> 20,
                MAX_OBJECT >> 20
            ));
        }
        // Compression never adds more than this.
        let mut compressed = (&mut pack).take(size + size / 8 + 1024);
        let found = inflated(&mut compressed, &mut state, size).map_err(broken)?;
        if found != size || compressed.limit() == 0 {
            return Err("it sent an object that is not as large as it says".into());
        }
        if Instant::now() > deadline {
            return Err("its objects could not be read in time".into());
        }
    }
    Ok(())
}

/// The size of what follows, decompressed; any larger one if that is larger than `limit`.
fn inflated(from: &mut impl BufRead, state: &mut Decompress, limit: u64) -> io::Result<u64> {
    let (mut size, mut chunk) = (0, [0; 8192]);
    state.reset();
    while size <= limit {
        match inflate::read(from, state, &mut chunk)? {
            0 => break,
            count => size += count as u64,
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_with_too_many_objects_is_refused() {
        let head = |count: u32| {
            let bytes = [b"PACK\0\0\0\x02", &count.to_be_bytes()[..]].concat();
            self::count(bytes.try_into().unwrap())
        };
        assert_eq!(head(MAX_OBJECTS), Ok(MAX_OBJECTS));
        assert!(head(MAX_OBJECTS + 1).unwrap_err().contains("1000001 objects"));
    }
}
