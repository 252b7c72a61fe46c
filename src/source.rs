//! Reads the roster's files: all of them, as they were at one moment, or none.

mod git;
pub mod revision;

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Sources};

/// A larger file is refused before it is read.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// A roster of more files is refused.
pub const MAX_FILES: usize = 10_000;
/// So often the files are read again when their list moved while they were read.
const ATTEMPTS: u32 = 5;

/// Reads what `users` names, relative to `base`: files, folders (their `*.yaml` and `*.yml`, names
/// that begin with a dot left out) or globs. Each file is read once, in the order of `users`, then
/// by name. The list of files must be the same before and after; every problem is told at once.
pub fn load(users: &[String], base: &Path) -> Result<Sources, Vec<Diagnostic>> {
    for _ in 0..ATTEMPTS {
        let before = list(users, base);
        let found = match &before {
            Ok(names) => read(names, base),
            Err(problems) => Err(problems.clone()),
        };
        // A file that vanished in between is a list that moved, not a file that is missing.
        if list(users, base) == before {
            return found;
        }
    }
    Err(vec![
        Diagnostic::error("files-moving", "the roster's files change while they are read")
            .hint("the next run reads them again; replace the files all at once if this stays"),
    ])
}

/// The folders in which a change may change what [`load`] reads, whether or not they exist yet.
/// A folder that is itself read is listed with its parent, since it may be replaced.
pub fn watched(users: &[String], base: &Path) -> Vec<PathBuf> {
    let mut folders = BTreeSet::new();
    for written in users {
        let path = base.join(written);
        if is_glob(written) {
            folders.extend(folders_of_glob(written, base));
        } else if path.is_dir() {
            folders.extend(path.parent().map(Path::to_owned));
            folders.insert(path);
        } else {
            folders.extend(path.parent().map(Path::to_owned));
        }
    }
    folders.into_iter().map(here).collect()
}

/// The empty path is the working directory.
fn here(folder: PathBuf) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

/// The folder before the first wildcard, and every folder that the wildcards reach.
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

/// The whole pattern. The folder of the configuration may itself have a name with wildcards in it.
fn pattern(written: &str, base: &Path) -> String {
    if base.as_os_str().is_empty() || Path::new(written).is_absolute() {
        return written.to_owned();
    }
    format!("{}/{written}", glob::Pattern::escape(&base.to_string_lossy()))
}

fn is_glob(written: &str) -> bool {
    written.contains(['*', '?', '['])
}

/// The files, by the names under which they are shown.
fn list(users: &[String], base: &Path) -> Result<Vec<String>, Vec<Diagnostic>> {
    let mut names: Vec<String> = Vec::new();
    let mut problems = Vec::new();
    for written in users {
        match expand(written, base) {
            Ok(found) if found.is_empty() => problems.push(nothing(written)),
            Ok(found) => names.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(base.join(name)));
    if names.len() > MAX_FILES {
        problems.push(Diagnostic::error(
            "too-many-files",
            format!("{} files make the roster, limit {MAX_FILES}", names.len()),
        ));
    }
    if problems.is_empty() { Ok(names) } else { Err(problems) }
}

fn expand(written: &str, base: &Path) -> Result<Vec<String>, Diagnostic> {
    if is_glob(written) {
        return matches(written, base);
    }
    if base.join(written).is_dir() {
        return folder(written, base);
    }
    Ok(vec![written.to_owned()])
}

fn matches(written: &str, base: &Path) -> Result<Vec<String>, Diagnostic> {
    let paths = glob::glob(&pattern(written, base)).map_err(|error| {
        Diagnostic::error("bad-glob", format!("`{written}` is not a pattern: {error}"))
            .hint("use `*`, `?` and `[…]`, as in `teams/*.yaml`")
    })?;
    let fixed = base.join(fixed(written));
    let mut names = Vec::new();
    for path in paths.take(MAX_FILES + 1) {
        let path =
            path.map_err(|error| unreadable(&error.path().to_string_lossy(), error.error()))?;
        if !is_hidden(&path, &fixed) && !path.is_dir() {
            names.push(shown(&path, base));
        }
    }
    names.sort();
    Ok(names)
}

/// Whether wildcards reached a name that begins with a dot, such as the `..data` of a mounted
/// `ConfigMap`, in which every file stands once more.
fn is_hidden(path: &Path, fixed: &Path) -> bool {
    let within = path.strip_prefix(fixed).unwrap_or(path);
    within.iter().any(|part| part.to_string_lossy().starts_with('.'))
}

fn folder(written: &str, base: &Path) -> Result<Vec<String>, Diagnostic> {
    let failed = |error: io::Error| unreadable(written, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(base.join(written)).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && !path.is_dir() && name.is_some_and(|name| !name.starts_with('.')) {
            names.push(shown(&path, base));
        }
    }
    names.sort();
    Ok(names)
}

/// The path as a user would write it.
fn shown(path: &Path, base: &Path) -> String {
    let within =
        if base.as_os_str().is_empty() { path } else { path.strip_prefix(base).unwrap_or(path) };
    within.to_string_lossy().into_owned()
}

fn read(names: &[String], base: &Path) -> Result<Sources, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    for name in names {
        match text(name, &base.join(name)) {
            Ok(text) => {
                sources.add(name, text);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// The text of one file.
pub(crate) fn text(name: &str, path: &Path) -> Result<String, Diagnostic> {
    let bytes = bounded(path, MAX_BYTES).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => {
            Diagnostic::error("not-a-file", format!("{name} is not a regular file"))
                .hint("name a file, a folder of files, or a pattern")
        }
        io::ErrorKind::FileTooLarge => {
            let most = MAX_BYTES / 1024 / 1024;
            Diagnostic::error("too-large", format!("{name} is larger than {most} MiB"))
                .hint("split the roster over several files of a folder")
        }
        _ => unreadable(name, &error),
    })?;
    String::from_utf8(bytes).map_err(|error| not_text(name, &error))
}

/// A variable of the environment; None if it is not set or is not UTF-8.
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The bytes of a regular file, at most so many. A pipe or a device is refused before it is read,
/// since reading it might never end.
pub fn bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a regular file"));
    }
    let size = usize::try_from(about.len().min(most)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size + 1);
    std::fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

fn not_text(name: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let (good, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
    let line = good.split(|byte| *byte == b'\n').count();
    let start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = 1 + String::from_utf8_lossy(&good[start..]).chars().count();
    Diagnostic::error("not-utf8", format!("{name}:{line}:{column}: this is not UTF-8"))
        .hint("save the file as UTF-8")
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "look at `users` in the configuration, or at `--users`",
        io::ErrorKind::PermissionDenied => "let the user that runs rosterd read it",
        _ => "the next run reads it again",
    };
    let (code, message) = match error.kind() {
        io::ErrorKind::NotFound => ("missing-file", format!("{name} does not exist")),
        _ => ("unreadable-file", format!("{name} cannot be read: {error}")),
    };
    Diagnostic::error(code, message).hint(hint)
}

fn nothing(written: &str) -> Diagnostic {
    Diagnostic::error("no-file", format!("`{written}` matches no file"))
        .hint("nothing is concluded from this: an empty roster is written `users: []`")
}
