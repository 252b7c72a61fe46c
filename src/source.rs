//! Reads the files of the roster: all of them in one consistent state, or none.

mod ancestry;
mod bare_clone;
pub mod deadline;
mod fetch;
mod file;
mod git;
pub mod in_place;
mod local;
mod pack;
pub mod remote;
pub mod revision;
pub mod secret;
mod signers;
mod tree;
mod trust;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use self::file::{TOO_LARGE, outside, unreadable};
pub use self::file::{file, read_limited, stamp};
use self::remote::GitRemote;
use self::revision::Trust;
use crate::diagnostic::{Diagnostic, Sources};
use crate::link::RepoUrl;
use crate::size;

/// Maximum size of a roster in bytes, unless the configuration sets another, and of the
/// configuration. Anything larger is rejected before it is read.
pub const MAX_BYTES: usize = 16 << 20;
/// Maximum number of files of a roster.
pub const MAX_FILES: usize = 10_000;
/// Maximum number of attempts while the list of files changes during reading.
const ATTEMPTS: u32 = 5;

/// Where a roster is read from, and what is believed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterSource {
    /// Files, folders or globs, absolute or relative to `base`.
    pub users: Vec<String>,
    pub base: PathBuf,
    /// The repository on a server that has the files; `base` is not used then.
    pub git: Option<GitRemote>,
    /// Maximum size of all files together, in bytes.
    pub max_bytes: usize,
    /// Whose git work trees are believed.
    pub trust: Trust,
    /// The pages of the repository; None if its remote says where they are.
    pub repo_url: Option<RepoUrl>,
}

impl RosterSource {
    /// With the usual limit, and only the work trees of this process's user and of root.
    pub fn new(users: Vec<String>, base: PathBuf) -> Self {
        let trust = Trust::default();
        Self { users, base, git: None, max_bytes: MAX_BYTES, trust, repo_url: None }
    }

    /// Reads `users`: files, folders (their `*.yaml` and `*.yml` files, without hidden ones) or
    /// globs. Each file is read once, in the order of `users`, then by name. The list of files must
    /// be the same before and after. Links are followed only below the configured folder. All
    /// errors are returned.
    pub fn load(&self) -> Result<Sources, Vec<Diagnostic>> {
        if let Some(remote) = &self.git {
            return self.fetched(remote);
        }
        let Self { users, base, .. } = self;
        for _ in 0..ATTEMPTS {
            let before = list(users, base);
            let found = before.clone().and_then(|files| read(&files, base, self.max_bytes));
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

    /// The folders to watch for changes of the files, whether or not they exist. A folder of
    /// `users` is returned with its parent, because it may be replaced.
    pub fn watched(&self) -> Vec<PathBuf> {
        let Self { users, base, .. } = self;
        if self.git.is_some() {
            return Vec::new();
        }
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
        problems.push(too_many(files.len()));
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
    let paths = glob::glob(&pattern(written, base)).map_err(|error| bad_glob(written, &error))?;
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
                problems.push(roster_too_large(name, limit));
                break;
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// A variable of the environment; None if it is not set or is not UTF-8.
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn roster_too_large(name: &str, limit: usize) -> Diagnostic {
    let limit = size::shown(limit);
    let message = format!("{name}: the roster is larger than {limit}, all files together");
    Diagnostic::error(TOO_LARGE, message)
        .hint("is this the right file? If it is, raise `limits.roster`")
}

fn too_many(files: usize) -> Diagnostic {
    let message = format!("the roster has {files} files, more than {MAX_FILES}");
    Diagnostic::error("too-many-files", message)
}

fn bad_glob(written: &str, error: &glob::PatternError) -> Diagnostic {
    Diagnostic::error("bad-glob", format!("`{written}` is not a valid pattern: {error}"))
        .hint("use `*`, `?` and `[…]`, as in `teams/*.yaml`")
}

fn no_file(written: &str) -> Diagnostic {
    Diagnostic::error("no-file", format!("`{written}` matches no file"))
        .hint("no changes are made; to declare an empty roster, write `users: []`")
}
