//! Reads one file: a regular one, of a limited size, at a place that is allowed.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::diagnostic::{Diagnostic, SourceFile, Stamp};
use crate::files::denied;
use crate::size;

/// Code of the problem of a file with too many bytes.
pub(super) const TOO_LARGE: &str = "too-large";

/// One file as it is now, if it has at most `limit` bytes and is in `folder`, wherever links lead.
pub fn file(
    name: &str,
    path: &Path,
    folder: Option<&Path>,
    limit: usize,
) -> Result<SourceFile, Diagnostic> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidInput => {
            Diagnostic::error("not-a-file", format!("{name} is not a regular file"))
                .hint("write a file, a folder of files, or a pattern")
        }
        io::ErrorKind::FileTooLarge => too_large(name, limit),
        _ => match denied(path, false) {
            Some(hint) => unreadable(name, &error).hint(hint),
            None => unreadable(name, &error),
        },
    };
    let file = open(path).map_err(failed)?;
    if !is_allowed(&real_path(&file, path).map_err(failed)?, folder) {
        return Err(outside(name));
    }
    let (bytes, metadata) = read_open(file, limit).map_err(failed)?;
    is_linked(name, &metadata)?;
    let text = String::from_utf8(bytes).map_err(|error| not_text(name, &error))?;
    Ok(SourceFile { name: name.to_owned(), text, stamp: Some(stamp(&metadata)) })
}

/// The path of an open file, with all links resolved. The name may lead elsewhere by now, so it is
/// used only on systems without `/proc`.
pub(super) fn real_path(file: &File, path: &Path) -> io::Result<PathBuf> {
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::read_link(opened).or_else(|_| path.canonicalize())
}

/// Whether a file may be read: it is in the folder, and neither a view of the kernel nor a part of
/// a repository, whose settings may contain a token.
fn is_allowed(real: &Path, folder: Option<&Path>) -> bool {
    let is_kernel = ["/proc", "/sys"].iter().any(|root| real.starts_with(root));
    let within = folder.map_or(Some(real), |folder| real.strip_prefix(folder).ok());
    !is_kernel && within.is_some_and(|path| path.iter().all(|part| part != ".git"))
}

/// A file without a name is one that was replaced where it is mounted from. What is read here
/// stays as it is for ever.
fn is_linked(name: &str, metadata: &Metadata) -> Result<(), Diagnostic> {
    if metadata.nlink() > 0 {
        return Ok(());
    }
    let message = format!("{name} was deleted or replaced outside of this mount");
    Err(Diagnostic::error("deleted-file", message)
        .hint("mount the folder of the file instead of the file, and restart"))
}

/// Which file it is, and when it was last written.
pub fn stamp(metadata: &Metadata) -> Stamp {
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    let file = (metadata.dev(), metadata.ino());
    Stamp { file, modified: modified.unwrap_or(Timestamp::MAX) }
}

/// Reads a regular file of at most `limit` bytes. A pipe or a device is rejected before it is read:
/// the read might never end.
pub fn read_limited(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    Ok(read_open(open(path)?, limit)?.0)
}

fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// The contents, and the metadata after they were read.
fn read_open(mut file: File, limit: usize) -> io::Result<(Vec<u8>, Metadata)> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(limit).min(limit);
    let mut bytes = Vec::with_capacity(size + 1);
    (&mut file).take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let why = format!("larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok((bytes, file.metadata()?))
}

/// A file that is larger than what is left of the limit.
pub(super) fn too_large(name: &str, limit: usize) -> Diagnostic {
    Diagnostic::error(TOO_LARGE, format!("{name} is larger than {}", size::shown(limit)))
}

pub(super) fn not_text(name: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let (good, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
    let line = good.split(|byte| *byte == b'\n').count();
    let start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = 1 + String::from_utf8_lossy(&good[start..]).chars().count();
    Diagnostic::error("not-utf8", format!("{name}:{line}:{column}: not UTF-8"))
        .hint("save the file as UTF-8")
}

pub(super) fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "check `users` in the configuration, or `--users`",
        io::ErrorKind::PermissionDenied => "give the user that runs rosterd read access",
        _ => "the next run reads it again",
    };
    let (code, message) = match error.kind() {
        io::ErrorKind::NotFound => ("missing-file", format!("{name} does not exist")),
        _ => ("unreadable-file", format!("cannot read {name}: {error}")),
    };
    Diagnostic::error(code, message).hint(hint)
}

pub(super) fn outside(name: &str) -> Diagnostic {
    let message =
        format!("{name} is not read: it leads out of its folder, or into `.git`, /proc or /sys");
    Diagnostic::error("outside", message)
        .hint("links may lead only below the folder they are in; name the real path in `users`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MAX_BYTES;

    #[test]
    fn a_file_that_was_replaced_outside_of_its_mount_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        std::fs::write(&path, "version: 1").unwrap();
        let mounted = open(&path).unwrap();
        let (bytes, metadata) = read_open(mounted.try_clone().unwrap(), MAX_BYTES).unwrap();
        assert_eq!((&*bytes, is_linked("users.yaml", &metadata)), (&b"version: 1"[..], Ok(())));
        // What a mount of the file shows after a rename over it on the host.
        std::fs::write(folder.path().join("new"), "version: 2").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        let (_, metadata) = read_open(mounted, MAX_BYTES).unwrap();
        let problem = is_linked("users.yaml", &metadata).unwrap_err();
        assert_eq!((problem.code, problem.is_error()), ("deleted-file", true));
        assert!(problem.hint.unwrap().contains("mount the folder"));
        assert!(file("users.yaml", &path, None, MAX_BYTES).is_ok());
    }
}
