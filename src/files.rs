//! Writes files: completely or not at all, and not where another user points to.
//!
//! In a folder such as `/tmp` everybody can make a link, a pipe or a file under a name that is
//! known in advance.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use gix::sec::identity::is_path_owned_by_current_user;

/// Permissions of a written file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For the owner only.
    Private,
    /// Those that the file had, and its owner and group where that is possible; a new file is for
    /// its owner only.
    Kept,
    /// As the umask allows.
    Public,
}

/// Maximum number of links in a row, as in Linux.
const MAX_LINKS: usize = 40;

/// Names of what this process has open already, whoever made it.
const DESCRIPTORS: [&str; 4] = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"];

/// Writes a file: a regular one is replaced at once, a device or a pipe is written to.
pub fn write(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    if DESCRIPTORS.iter().any(|it| path.starts_with(it)) {
        return stream(path, bytes);
    }
    let path = followed(path)?;
    match path.symlink_metadata() {
        Ok(found) if found.is_file() || found.is_dir() => replace(&path, bytes, mode),
        Ok(found) if !is_ours(&path, &found) => Err(of_another("a pipe or a device", &found)),
        Ok(_) => stream(&path, bytes),
        Err(_) => replace(&path, bytes, mode),
    }
}

/// Replaces a regular file, or creates it. A link of this user or of root stays one.
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let path = followed(path)?;
    let before = path.symlink_metadata().ok();
    let folder = path.parent().filter(|it| *it != Path::new("")).unwrap_or(Path::new("."));
    if before.as_ref().is_some_and(|it| !it.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    let permissions = Permissions::from_mode(if mode == Mode::Public { 0o666 } else { 0o600 });
    let mut beside = tempfile::Builder::new();
    let mut beside = beside.prefix(".rosterd-").permissions(permissions).tempfile_in(folder)?;
    beside.write_all(bytes)?;
    let file = beside.as_file();
    if let Some(before) = before.filter(|_| mode == Mode::Kept) {
        give(file, &before);
        // Without the bits that give the rights of the owner to whoever executes it.
        file.set_permissions(Permissions::from_mode(before.mode() & 0o777))?;
    }
    file.sync_all()?;
    beside.persist(&path).map_err(|error| error.error)?;
    // Some file systems cannot flush a folder.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Creates a file for its owner only: the owner of `like`, if this process may choose.
pub fn create_new(path: &Path, like: &Path) -> io::Result<File> {
    let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).clone();
    let file = options.open(path)?;
    if let Ok(like) = fs::metadata(like) {
        give(&file, &like);
    }
    Ok(file)
}

/// Opens a file that nothing else is a name of. A link is not followed.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let found = path.symlink_metadata()?;
    let is_same = |it: &Metadata| (it.dev(), it.ino(), it.nlink()) == (found.dev(), found.ino(), 1);
    if found.is_file() {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if is_same(&file.metadata()?) {
            return Ok(file);
        }
    }
    Err(io::Error::other("it is a link, or no regular file"))
}

/// Gives a file to the owner of another one. Only root can give files away.
pub fn give(file: &File, like: &Metadata) {
    let _ = fchown(file, None, Some(like.gid()));
    let _ = fchown(file, Some(like.uid()), None);
}

/// The file that a path means. A link is followed if it belongs to this user or to root.
pub fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match path.symlink_metadata() {
            Ok(found) if found.is_symlink() && is_ours(&path, &found) => {
                let target = path.read_link()?;
                path = path.parent().map(|folder| folder.join(&target)).unwrap_or(target);
            }
            Ok(found) if found.is_symlink() => return Err(of_another("a link", &found)),
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// What this user may not read, or not write if `writes`, of a file and its folder: its owner, and
/// what to do. None if nothing is denied.
pub fn denied(path: &Path, writes: bool) -> Option<String> {
    let is_denied = |tried: io::Result<()>| {
        tried.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    let found = path.ancestors().find(|it| it.symlink_metadata().is_ok())?;
    let opened = || OpenOptions::new().read(true).write(writes).open(path).map(drop);
    // A pipe might never open.
    let blamed = if path.is_file() && is_denied(opened()) {
        path
    } else {
        let folder = if found == path { path.parent()? } else { found };
        let made = || tempfile::tempfile_in(folder).map(drop);
        let reached = || path.symlink_metadata().map(drop);
        is_denied(if writes { made() } else { reached() }).then_some(folder)?
    };
    let (is, shown) = (fs::metadata(blamed).ok()?, blamed.display());
    let (user, owner, mode) = (fs::metadata("/proc/self").ok()?.uid(), is.uid(), is.mode() & 0o777);
    let mend = match owner {
        _ if owner == user => "chmod u+rwX".to_owned(),
        0 => format!("chown {user}"),
        _ => format!("run it as that user, or chown {user}"),
    };
    Some(format!(
        "{shown} is owned by uid {owner} (mode {mode:o}); rosterd runs as uid {user}: \
         {mend} {shown}"
    ))
}

fn stream(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(bytes)
}

fn is_ours(path: &Path, found: &Metadata) -> bool {
    found.uid() == 0 || is_path_owned_by_current_user(path).unwrap_or(false)
}

fn of_another(what: &str, found: &Metadata) -> io::Error {
    let uid = found.uid();
    let message =
        format!("it is {what} of another user (uid {uid}); remove it, or use another path");
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    /// Neither root nor the user of a test.
    const ANOTHER: u32 = 54_321;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn folder() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        (folder, move |name| path.join(name))
    }

    #[test]
    fn a_file_is_replaced_with_the_permissions_that_are_asked_for() {
        let (folder, at) = folder();
        let path = at("file");
        for (before, asked, after) in [
            (None, Mode::Kept, 0o600),
            (None, Mode::Private, 0o600),
            (Some(0o644), Mode::Private, 0o600),
            (Some(0o644), Mode::Kept, 0o644),
            (Some(0o4755), Mode::Kept, 0o755),
            (Some(0o640), Mode::Kept, 0o640),
        ] {
            let _ = fs::remove_file(&path);
            if let Some(before) = before {
                fs::write(&path, "before").unwrap();
                fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            }
            write(&path, b"after", asked).unwrap();
            assert_eq!((mode(&path), fs::metadata(&path).unwrap().mode() & 0o7000), (after, 0));
            assert_eq!(fs::read(&path).unwrap(), b"after", "{before:?} {asked:?}");
        }
        replace(&path, b"page", Mode::Public).unwrap();
        assert_ne!(mode(&path) & 0o044, 0, "unless the umask forbids it");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no other file remains");
    }

    #[test]
    fn what_is_no_regular_file_is_never_replaced() {
        let (_folder, at) = folder();
        fs::create_dir(at("folder")).unwrap();
        for mode in [Mode::Private, Mode::Kept] {
            write(&at("folder"), b"", mode).unwrap_err();
            replace(Path::new("/dev/null"), b"", mode).unwrap_err();
            write(Path::new("/dev/null"), b"gone", mode).unwrap();
        }
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_link_of_this_user_stays_and_its_target_is_replaced() {
        let (_folder, at) = folder();
        fs::create_dir(at("deep")).unwrap();
        symlink("deep/link", at("link")).unwrap();
        symlink("../new", at("deep/link")).unwrap();
        for text in ["one", "other"] {
            write(&at("link"), text.as_bytes(), Mode::Private).unwrap();
            assert_eq!(fs::read_to_string(at("new")).unwrap(), text);
        }
        assert!(at("link").is_symlink() && at("deep/link").is_symlink());
        symlink("loop", at("loop")).unwrap();
        let error = write(&at("loop"), b"", Mode::Kept).unwrap_err();
        assert_eq!(error.to_string(), "too many links");
    }

    #[test]
    fn links_and_pipes_of_another_user_are_refused() {
        let (_folder, at) = folder();
        fs::write(at("precious"), "precious").unwrap();
        symlink("precious", at("link")).unwrap();
        symlink("link", at("ours")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        if [at("link"), at("pipe")].iter().any(|it| lchown(it, Some(ANOTHER), None).is_err()) {
            return; // Only root can give files away.
        }
        for (name, what) in [("link", "a link"), ("ours", "a link"), ("pipe", "a pipe")] {
            let error = write(&at(name), b"plan", Mode::Private).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("(uid 54321)"), "{name}: {error}");
        }
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "precious");
        lchown(at("precious"), Some(ANOTHER), Some(ANOTHER)).unwrap();
        replace(&at("precious"), b"new", Mode::Kept).unwrap();
        let kept = fs::metadata(at("precious")).unwrap();
        assert_eq!((kept.uid(), kept.gid()), (ANOTHER, ANOTHER));
    }

    #[test]
    fn a_file_that_has_another_name_is_not_opened() {
        let (_folder, at) = folder();
        drop(create_new(&at("lock"), &at("")).unwrap());
        create_new(&at("lock"), &at("")).unwrap_err();
        open_regular(&at("lock")).unwrap();
        symlink("lock", at("link")).unwrap();
        open_regular(&at("link")).unwrap_err();
        create_new(&at("link"), &at("")).unwrap_err();
        fs::hard_link(at("lock"), at("second")).unwrap();
        open_regular(&at("lock")).unwrap_err();
        open_regular(&at("")).unwrap_err();
    }
}
