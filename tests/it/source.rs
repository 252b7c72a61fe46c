//! The files of a roster.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rosterd::diagnostic::{Diagnostic, Sources};
use rosterd::source::{MAX_BYTES, MAX_FILES, RosterSource};
use tempfile::TempDir;

/// A folder with these files; a name that ends in `/` is a folder.
fn tree(names: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    grow(root.path(), names);
    root
}

fn grow(root: &Path, names: &[&str]) {
    for name in names {
        let path = root.join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("# {name}\n")).unwrap();
        }
    }
}

fn written(users: &[&str]) -> Vec<String> {
    users.iter().map(|&name| name.to_owned()).collect()
}

/// The names under which the files are shown, in their order.
#[track_caller]
fn names(users: &[&str], base: &Path) -> Vec<String> {
    let sources = load(written(users), base).unwrap();
    sources.iter().map(|(_, file)| file.name.clone()).collect()
}

fn load(users: Vec<String>, base: &Path) -> Result<Sources, Vec<Diagnostic>> {
    RosterSource::new(users, base.to_owned()).load()
}

fn watched(users: Vec<String>, base: &Path) -> Vec<PathBuf> {
    RosterSource::new(users, base.to_owned()).watched()
}

/// Code and message of every problem.
#[track_caller]
fn problems(users: &[&str], base: &Path) -> Vec<(&'static str, String)> {
    let found = load(written(users), base).unwrap_err();
    for problem in &found {
        assert!(problem.is_error() && problem.place.is_none(), "{problem:?}");
    }
    found.into_iter().map(|problem| (problem.code, problem.message)).collect()
}

fn one(code: &'static str, message: &str) -> Vec<(&'static str, String)> {
    vec![(code, message.to_owned())]
}

/// The watched folders, relative to the base; `.` is the base itself.
fn folders(users: &[&str], base: &Path) -> Vec<String> {
    let relative = |folder: PathBuf| match folder.strip_prefix(base) {
        Ok(within) if within.as_os_str().is_empty() => ".".to_owned(),
        Ok(within) => within.display().to_string(),
        Err(_) if base.parent() == Some(&folder) => "..".to_owned(),
        Err(_) => folder.display().to_string(),
    };
    watched(written(users), base).into_iter().map(relative).collect()
}

#[test]
fn a_file_is_read_as_it_is_and_its_folder_watched() {
    let root = tree(&["users.yaml", "other.yaml"]);
    let sources = load(written(&["users.yaml"]), root.path()).unwrap();
    let (_, file) = sources.iter().next().unwrap();
    assert_eq!((&*file.name, &*file.text), ("users.yaml", "# users.yaml\n"));
    assert_eq!(folders(&["users.yaml"], root.path()), ["."]);
    assert_eq!(folders(&["gone/users.yaml"], root.path()), ["gone"], "it may come yet");
}

#[test]
fn any_file_name_and_absolute_paths_are_accepted() {
    let root = tree(&["roster", "teams/a.yaml"]);
    assert_eq!(names(&["roster"], root.path()), ["roster"], "a named file may end as it likes");
    let file = root.path().join("roster");
    let folder = root.path().join("teams");
    let (file, folder) = (file.to_str().unwrap(), folder.to_str().unwrap());
    let elsewhere = tree(&[]);
    let inside = format!("{folder}/a.yaml");
    assert_eq!(names(&[file], elsewhere.path()), [file]);
    assert_eq!(names(&[folder], elsewhere.path()), [&*inside]);
    assert_eq!(names(&[&format!("{folder}/*")], elsewhere.path()), [&*inside]);
    assert_eq!(watched(written(&[file]), elsewhere.path()), [root.path()]);
}

#[test]
fn a_folder_means_its_yaml_files_by_name() {
    let root = tree(&[
        "teams/b.yml",
        "teams/a.yaml",
        "teams/.hidden.yaml",
        "teams/README.md",
        "teams/a.yaml~",
        "teams/yaml",
        "teams/sub/c.yaml",
        "teams/folder.yaml/d.yaml",
    ]);
    for written in ["teams", "teams/"] {
        assert_eq!(names(&[written], root.path()), ["teams/a.yaml", "teams/b.yml"], "{written}");
    }
    assert_eq!(folders(&["teams"], root.path()), [".", "teams"], "it may be replaced as a whole");
    assert_eq!(names(&["."], &root.path().join("teams/sub")).len(), 1);
}

#[test]
fn globs_reach_files_and_their_folders_are_watched() {
    let root = tree(&["teams/b.yaml", "teams/a.yaml", "teams/.c.yaml", "teams/x/d.yaml", "e.yaml"]);
    assert_eq!(names(&["teams/*.yaml"], root.path()), ["teams/a.yaml", "teams/b.yaml"]);
    assert_eq!(names(&["teams/[a]?yaml"], root.path()), ["teams/a.yaml"]);
    assert_eq!(names(&["*/*/d.yaml"], root.path()), ["teams/x/d.yaml"]);
    assert_eq!(
        names(&["**/*.yaml"], root.path()),
        ["e.yaml", "teams/a.yaml", "teams/b.yaml", "teams/x/d.yaml"],
    );
    assert_eq!(folders(&["teams/*.yaml"], root.path()), ["teams"]);
    assert_eq!(folders(&["*/*/d.yaml"], root.path()), [".", "teams", "teams/x"]);
    assert_eq!(folders(&["gone/*.yaml"], root.path()), ["gone"]);
    assert_eq!(problems(&["teams/[.yaml"], root.path())[0].0, "bad-glob");
}

#[test]
fn a_list_keeps_its_order_and_reads_each_file_once() {
    let root = tree(&["z.yaml", "teams/a.yaml", "teams/b.yaml"]);
    assert_eq!(
        names(&["z.yaml", "teams", "./z.yaml", "teams/*.yaml", "teams//b.yaml"], root.path()),
        ["z.yaml", "teams/a.yaml", "teams/b.yaml"],
    );
    assert_eq!(folders(&["z.yaml", "teams"], root.path()), [".", "teams"]);
}

#[test]
fn links_are_followed() {
    let root = tree(&["real/a.yaml", "real/b.yaml"]);
    symlink("real/a.yaml", root.path().join("users.yaml")).unwrap();
    symlink("real", root.path().join("teams")).unwrap();
    assert_eq!(names(&["users.yaml"], root.path()), ["users.yaml"]);
    assert_eq!(names(&["teams"], root.path()), ["teams/a.yaml", "teams/b.yaml"]);
    symlink("nowhere", root.path().join("real/c.yaml")).unwrap();
    assert_eq!(
        problems(&["teams"], root.path()),
        one("missing-file", "teams/c.yaml does not exist")
    );
}

/// How a cluster mounts files: `users.yaml` → `..data/users.yaml`, `..data` → a dated folder.
#[test]
fn a_mounted_config_map_is_read_once_and_after_it_is_replaced() {
    let root = tree(&["..one/users.yaml", "..two/users.yaml", "..two/more.yaml"]);
    symlink("..one", root.path().join("..data")).unwrap();
    symlink("..data/users.yaml", root.path().join("users.yaml")).unwrap();
    for users in [".", "*.yaml", "**/*.yaml"] {
        assert_eq!(names(&[users], root.path()), ["users.yaml"], "{users}");
    }
    symlink("..two", root.path().join("..new")).unwrap();
    fs::rename(root.path().join("..new"), root.path().join("..data")).unwrap();
    let sources = load(written(&["users.yaml"]), root.path()).unwrap();
    assert_eq!(sources.iter().next().unwrap().1.text, "# ..two/users.yaml\n");
    assert_eq!(names(&["..data/*.yaml"], root.path()).len(), 2, "a name that is written counts");
    assert_eq!(folders(&["users.yaml"], root.path()), ["."]);
}

#[test]
fn all_missing_files_are_reported_and_nothing_is_read() {
    let root = tree(&["empty/", "teams/README.md", "good.yaml"]);
    assert_eq!(
        problems(&["good.yaml", "empty", "teams", "gone/*.yaml"], root.path()),
        [
            ("no-file", "`empty` matches no file".to_owned()),
            ("no-file", "`teams` matches no file".to_owned()),
            ("no-file", "`gone/*.yaml` matches no file".to_owned()),
        ],
    );
    assert_eq!(
        problems(&["gone.yaml", "good.yaml", "good.yaml/x"], root.path())[0],
        ("missing-file", "gone.yaml does not exist".to_owned()),
    );
    assert_eq!(problems(&["good.yaml/x"], root.path())[0].0, "unreadable-file");
    let hint = load(written(&["empty"]), root.path()).unwrap_err().remove(0).hint.unwrap();
    assert!(hint.contains("users: []"), "{hint}");
}

#[test]
fn text_that_is_not_utf8_is_reported_with_its_place() {
    let root = tree(&[]);
    for (bytes, place) in [
        (&b"\xff"[..], "1:1"),
        (b"version: 1\nusers:\n  - \xe9\n", "3:5"),
        ("# é\n# ü".as_bytes(), ""),
        (b"# \xc3\xa9\xc3", "1:4"),
        (b"v\0e\0r\0\xfe\xff", "1:7"),
    ] {
        fs::write(root.path().join("users.yaml"), bytes).unwrap();
        match load(written(&["users.yaml"]), root.path()) {
            Ok(_) => assert_eq!(place, ""),
            Err(found) => {
                assert_eq!(found[0].code, "not-utf8");
                assert_eq!(found[0].message, format!("users.yaml:{place}: not UTF-8"));
            }
        }
    }
}

#[test]
fn a_roster_may_have_sixteen_mebibytes_and_no_byte_more() {
    let root = tree(&[]);
    let path = root.path().join("users.yaml");
    let limit = MAX_BYTES;
    assert_eq!(limit, 16 << 20);
    fs::write(&path, vec![b'#'; limit]).unwrap();
    let sources = load(written(&["users.yaml"]), root.path()).unwrap();
    assert_eq!(sources.iter().next().unwrap().1.text.len(), limit);
    fs::write(&path, vec![b'#'; limit + 1]).unwrap();
    assert_eq!(
        problems(&["users.yaml"], root.path()),
        one("too-large", "users.yaml: the roster is larger than 16MiB, all files together"),
    );
}

#[test]
fn files_have_a_limit_together() {
    let root = tree(&["teams/a.yaml", "teams/b.yaml", "teams/c.yaml"]);
    let source = RosterSource::new(written(&["teams"]), root.path().to_owned());
    let load = |max_bytes| RosterSource { max_bytes, ..source.clone() }.load();
    assert_eq!(load(3 * 15).unwrap().iter().count(), 3);
    for (limit, named) in [(3 * 15 - 1, "teams/c.yaml"), (15, "teams/b.yaml"), (1, "teams/a.yaml")]
    {
        let found = load(limit).unwrap_err();
        assert!(
            found[0].message.starts_with(&format!("{named}: the roster is larger")),
            "{found:?}"
        );
        assert_eq!((found.len(), found[0].code), (1, "too-large"), "the rest is not read");
        assert!(found[0].hint.as_ref().unwrap().contains("limits.roster"));
    }
}

/// Whatever a link leads to, it is refused if that is outside of the configured folder.
#[test]
fn links_out_of_the_folder_are_refused() {
    let root = tree(&["secret", "secrets/a.yaml", "git/users.yaml", "git/teams/a.yaml"]);
    let base = root.path().join("git");
    fs::create_dir_all(base.join(".git")).unwrap();
    fs::write(base.join(".git/config"), "token").unwrap();
    let secret = root.path().join("secret");
    let targets = ["../../secret", "../.git/config", "../users.yaml", "/proc/self/environ"];
    for target in targets.into_iter().map(Path::new).chain([&*secret]) {
        let link = base.join("teams/b.yaml");
        symlink(target, &link).unwrap();
        for users in ["teams", "teams/*.yaml", "teams/b.yaml", "./teams/../teams/b.yaml"] {
            let found = problems(&[users], &base);
            assert_eq!((found.len(), found[0].0), (1, "outside"), "{users} to {target:?}");
            assert!(found[0].1.contains("/b.yaml is not read"), "{found:?}");
        }
        fs::remove_file(link).unwrap();
    }
    // A part of the repository, the kernel's view of a process, and folders.
    symlink(".git/config", base.join("link.yaml")).unwrap();
    symlink("../secrets", base.join("more")).unwrap();
    symlink("../../secrets", base.join("teams/x")).unwrap();
    for users in ["link.yaml", "/proc/self/environ", "/proc/self/fd/0", "more", "more/*"] {
        let found = problems(&[users], &base);
        assert!(["outside", "not-a-file"].contains(&found[0].0), "{users}: {found:?}");
    }
    assert_eq!(problems(&["*/*/*.yaml"], &base)[0].0, "outside");
    // A link within the folder, also by its whole path, and a folder that is the base itself.
    symlink(base.join("users.yaml"), base.join("whole.yaml")).unwrap();
    assert_eq!(names(&["whole.yaml"], &base), ["whole.yaml"]);
    fs::remove_file(base.join("link.yaml")).unwrap();
    symlink(&base, root.path().join("current")).unwrap();
    for users in [".", "*.yaml", "users.yaml", "../git/users.yaml", "teams/.."] {
        assert!(!names(&[users], &root.path().join("current")).is_empty(), "{users}");
    }
    assert_eq!(names(&["current"], root.path()).len(), 2);
}

#[test]
fn pipes_and_devices_are_rejected_without_reading() {
    let root = tree(&["teams/a.yaml"]);
    let pipe = root.path().join("teams/pipe.yaml");
    let made = Command::new("sh").args(["-c", "mkfifo \"$0\""]).arg(&pipe).status().unwrap();
    assert!(made.success());
    let begun = Instant::now();
    for users in ["teams", "teams/*", "teams/pipe.yaml"] {
        assert_eq!(
            problems(&[users], root.path()),
            one("not-a-file", "teams/pipe.yaml is not a regular file"),
        );
    }
    assert_eq!(problems(&["/dev/zero"], root.path())[0].0, "not-a-file");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn wildcards_in_the_base_folder_are_literal() {
    let root = tree(&["a[b]*/teams/a.yaml", "ab/teams/b.yaml"]);
    let base = root.path().join("a[b]*");
    assert_eq!(names(&["teams/*.yaml"], &base), ["teams/a.yaml"]);
    assert_eq!(names(&["*/a.yaml"], &base), ["teams/a.yaml"]);
    assert_eq!(folders(&["teams/*.yaml"], &base), ["teams"]);
    assert_eq!(folders(&["*/a.yaml"], &base), [".", "teams"]);
}

#[test]
fn the_empty_base_is_the_working_directory() {
    assert_eq!(names(&["config/users.yaml"], Path::new("")), ["config/users.yaml"]);
    assert!(names(&["config/users*.yaml"], Path::new("")).contains(&"config/users.yaml".into()));
    assert_eq!(watched(written(&["users.yaml"]), Path::new("")), [Path::new(".")]);
}

#[test]
fn too_many_files_are_rejected() {
    let root = tree(&[]);
    for number in 0..=MAX_FILES {
        fs::write(root.path().join(format!("{number}.yaml")), "").unwrap();
    }
    for users in [".", "*.yaml"] {
        let told = problems(&[users], root.path());
        assert_eq!(told, one("too-many-files", "the roster has 10001 files, more than 10000"));
    }
    fs::remove_file(root.path().join("0.yaml")).unwrap();
    assert_eq!(names(&["."], root.path()).len(), MAX_FILES);
}

/// One file that has another name at every look: what was listed is often gone when it is read.
#[test]
fn a_changing_list_of_files_is_read_again() {
    let root = tree(&["0.yaml"]);
    let (stop, mut read, mut told) = (AtomicBool::new(false), 0, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let name = |number: u32| root.path().join(format!("{number}.yaml"));
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                fs::rename(name(number), name(number + 1)).unwrap();
                number += 1;
                std::thread::sleep(Duration::from_micros(150));
            }
        });
        for _ in 0..2000 {
            match load(written(&["."]), root.path()) {
                Ok(_) => read += 1,
                Err(found) => told.extend(found.into_iter().map(|problem| problem.code)),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(read > 0 && !told.contains(&"missing-file"), "{read} readings, {told:?}");
}
