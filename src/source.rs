//! Reads the files of the roster: all of them in one consistent state, or none.

pub mod deadline;
mod git;
pub mod in_place;
pub mod revision;

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::diagnostic::{Diagnostic, SourceFile, Sources, Stamp};
use crate::size;

/// Maximum size of a roster in bytes, unless the configuration sets another, and of the
/// configuration. Anything larger is rejected before it is read.
pub const MAX_BYTES: usize = 16 << 20;
/// Maximum number of files of a roster.
pub const MAX_FILES: usize = 10_000;
/// Maximum number of attempts while the list of files changes during reading.
const ATTEMPTS: u32 = 5;

/// Reads `users`, relative to `base`: files, folders (their `*.yaml` and `*.yml` files, without
/// hidden ones) or globs. Each file is read once, in the order of `users`, then by name. The list
/// of files must be the same before and after. Together the files have at most `limit` bytes. Links
/// are followed only below the configured folder. All errors are returned.
pub fn load(users: &[String], base: &Path, limit: usize) -> Result<Sources, Vec<Diagnostic>> {
    for _ in 0..ATTEMPTS {
        let before = list(users, base);
        let found = before.clone().and_then(|files| read(&files, base, limit));
        // A file that was removed in between is a changed list, not a missing file.
        if list(users, base) == before {
            return found;
        }
    }
    Err(vec![
        Diagnostic::error("files-moving", "the roster's files changed while they were read")
            .hint("the next run reads them again; if this persists, replace all files at once"),
    ])
}

/// The folders to watch for changes of what [`load`] reads, whether or not they exist. A folder of
/// `users` is returned with its parent, because it may be replaced.
pub fn watched(users: &[String], base: &Path) -> Vec<PathBuf> {
    let mut folders = BTreeSet::new();
    for written in users {
        let path = base.join(written);
        if is_glob(written) {
            folders.extend(folders_of_glob(written, base));
        } else {
            folders.extend(path.parent().map(Path::to_owned));
            folders.extend(path.is_dir().then_some(path));
        }
    }
    folders.into_iter().map(or_current).collect()
}

/// Replaces the empty path by `.`.
fn or_current(folder: PathBuf) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

/// The folder before the first wildcard, and every folder that matches up to a later part.
fn folders_of_glob(written: &str, base: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::from([base.join(fixed(written))]);
    for part in Path::new(written).ancestors().skip(1) {
        let part = part.to_string_lossy();
        if !is_glob(&part) {
            break;
        }
        let found = glob::glob(&pattern(&part, base)).into_iter().flatten().flatten();
        folders.extend(found.filter(|path| path.is_dir()).take(MAX_FILES));
    }
    folders
}

/// The part of a pattern before its first wildcard.
fn fixed(written: &str) -> &Path {
    let parts = Path::new(written).ancestors().skip(1);
    parts.into_iter().find(|part| !is_glob(&part.to_string_lossy())).unwrap_or(Path::new(""))
}

/// The pattern including `base`, whose own wildcards are escaped.
fn pattern(written: &str, base: &Path) -> String {
    if base.as_os_str().is_empty() || Path::new(written).is_absolute() {
        return written.to_owned();
    }
    format!("{}/{written}", glob::Pattern::escape(&base.to_string_lossy()))
}

fn is_glob(written: &str) -> bool {
    written.contains(['*', '?', '['])
}

/// A file of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    /// For display.
    name: String,
    /// The folder that it must be in, once links are resolved.
    folder: PathBuf,
}

fn list(users: &[String], base: &Path) -> Result<Vec<Listed>, Vec<Diagnostic>> {
    let mut files: Vec<Listed> = Vec::new();
    let mut problems = Vec::new();
    for written in users {
        match expand(written, base) {
            Ok(found) if found.is_empty() => problems.push(no_file(written)),
            Ok(found) => files.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(base.join(&file.name)));
    if files.len() > MAX_FILES {
        let message = format!("the roster has {} files, more than {MAX_FILES}", files.len());
        problems.push(Diagnostic::error("too-many-files", message));
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn expand(written: &str, base: &Path) -> Result<Vec<Listed>, Diagnostic> {
    let path = base.join(written);
    let (names, folder) = if is_glob(written) {
        (matches(written, base)?, base.join(fixed(written)))
    } else if path.is_dir() {
        (folder(written, base)?, path)
    } else {
        let parent = path.parent().map(Path::to_owned).unwrap_or_default();
        let folder = or_current(parent).canonicalize();
        let folder = folder.map_err(|error| unreadable(written, &error))?;
        return Ok(vec![Listed { name: written.to_owned(), folder }]);
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let folder = real_folder(written, &folder, base)?;
    Ok(names.into_iter().map(|name| Listed { name, folder: folder.clone() }).collect())
}

/// The folder with its links resolved. If it is a link itself, that may lead only below the folder
/// that the link is in; the folder of the configuration may be anywhere.
fn real_folder(written: &str, path: &Path, base: &Path) -> Result<PathBuf, Diagnostic> {
    let real = |path: &Path| {
        or_current(path.to_owned()).canonicalize().map_err(|error| unreadable(written, &error))
    };
    let folder = real(path)?;
    let parent = path.parent().filter(|_| path != base && path.file_name().is_some());
    match parent.map(real).transpose()? {
        Some(parent) if !folder.starts_with(&parent) => Err(outside(written)),
        _ => Ok(folder),
    }
}

fn matches(written: &str, base: &Path) -> Result<Vec<String>, Diagnostic> {
    let paths = glob::glob(&pattern(written, base)).map_err(|error| {
        Diagnostic::error("bad-glob", format!("`{written}` is not a valid pattern: {error}"))
            .hint("use `*`, `?` and `[…]`, as in `teams/*.yaml`")
    })?;
    let fixed = base.join(fixed(written));
    let mut names = Vec::new();
    for path in paths.take(MAX_FILES + 1) {
        let path =
            path.map_err(|error| unreadable(&error.path().to_string_lossy(), error.error()))?;
        if !is_hidden(&path, &fixed) && !path.is_dir() {
            names.push(display_name(&path, base));
        }
    }
    names.sort();
    Ok(names)
}

/// Whether the wildcards matched a hidden name, such as the `..data` of a mounted `ConfigMap`,
/// which contains every file again.
fn is_hidden(path: &Path, fixed: &Path) -> bool {
    let within = path.strip_prefix(fixed).unwrap_or(path);
    within.iter().any(|part| part.to_string_lossy().starts_with('.'))
}

fn folder(written: &str, base: &Path) -> Result<Vec<String>, Diagnostic> {
    let failed = |error: io::Error| unreadable(written, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(base.join(written)).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_visible_yaml(&path) && !path.is_dir() {
            names.push(display_name(&path, base));
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a folder of the roster includes a file with this name.
fn is_visible_yaml(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !is_hidden && path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// The path relative to `base`, for display.
fn display_name(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned()
}

fn read(files: &[Listed], base: &Path, limit: usize) -> Result<Sources, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let mut left = limit;
    for Listed { name, folder } in files {
        match file(name, &base.join(name), Some(folder), left) {
            Ok(file) => {
                left -= file.text.len();
                sources.push(file);
            }
            Err(problem) if problem.code == TOO_LARGE => {
                let limit = size::shown(limit);
                let message =
                    format!("{name}: the roster is larger than {limit}, all files together");
                let hint = "is this the right file? If it is, raise `limits.roster`";
                problems.push(Diagnostic::error(TOO_LARGE, message).hint(hint));
                break;
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// Code of the problem of a file with too many bytes.
const TOO_LARGE: &str = "too-large";

/// One file as it is now, if it has at most `limit` bytes and is in `folder`, wherever links lead.
pub(crate) fn file(
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
        io::ErrorKind::FileTooLarge => {
            Diagnostic::error(TOO_LARGE, format!("{name} is larger than {}", size::shown(limit)))
        }
        _ => unreadable(name, &error),
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
fn real_path(file: &File, path: &Path) -> io::Result<PathBuf> {
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

/// A variable of the environment; None if it is not set or is not UTF-8.
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
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

fn not_text(name: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let (good, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
    let line = good.split(|byte| *byte == b'\n').count();
    let start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = 1 + String::from_utf8_lossy(&good[start..]).chars().count();
    Diagnostic::error("not-utf8", format!("{name}:{line}:{column}: not UTF-8"))
        .hint("save the file as UTF-8")
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
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

fn outside(name: &str) -> Diagnostic {
    let message =
        format!("{name} is not read: it leads out of its folder, or into `.git`, /proc or /sys");
    Diagnostic::error("outside", message)
        .hint("links may lead only below the folder they are in; name the real path in `users`")
}

fn no_file(written: &str) -> Diagnostic {
    Diagnostic::error("no-file", format!("`{written}` matches no file"))
        .hint("no changes are made; to declare an empty roster, write `users: []`")
}

#[cfg(test)]
mod tests {
    use super::*;

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
