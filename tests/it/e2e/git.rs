//! Rosters of a git server: a real `git http-backend` behind a small HTTP server.

mod daemon;
mod forge;
mod history;
mod memory;
mod signed;
mod webhooks;

use std::sync::atomic::Ordering;

use rosterd::diagnostic::{Diagnostic, Sources};
use rosterd::source::RosterSource;
use rosterd::source::remote::{GitRemote, clone_folder};
use rosterd::source::secret::SecretSource;

use self::forge::{Forge, git};

const ONE: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";
const TWO: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n  \
                   - { email: alice@acme.io, role: DEVELOPER }\n";

fn texts(found: &Result<Sources, Vec<Diagnostic>>) -> Vec<(&str, &str)> {
    let sources = found.as_ref().unwrap().iter();
    sources.map(|(_, file)| (file.name.as_str(), file.text.as_str())).collect()
}

fn fetch(source: &RosterSource) -> Result<(), String> {
    source.git.as_ref().unwrap().fetch().map_err(|problem| problem.message)
}

#[test]
fn commits_are_fetched_and_explained() {
    let (forge, state) = (Forge::new(), tempfile::tempdir().unwrap());
    let first = forge.push("users.yaml", ONE, "Begin");
    let source = forge.source(state.path(), "main", &["users.yaml"]);
    assert_eq!(source.load().unwrap_err()[0].code, "not-fetched");
    fetch(&source).unwrap();
    let found = source.load();
    assert_eq!(texts(&found), [("users.yaml", ONE)]);
    let found = found.unwrap();
    assert_eq!(found.commit(), Some(&*first));
    assert_eq!(source.revision(&found, &|_| None).unwrap().commit, first);

    forge.push("other", "", "Another file");
    let second = forge.push("users.yaml", TWO, "Let Alice in");
    assert_eq!(texts(&source.load()), [("users.yaml", ONE)], "only what was fetched");
    fetch(&source).unwrap();
    let found = source.load().unwrap();
    let revision = source.revision(&found, &|_| None).unwrap();
    assert_eq!((revision.commit, revision.dirty), (second, false));
    let versions = source
        .versions(&found)
        .map(|(by, files)| (by.subject.unwrap_or_default(), files.unwrap().iter().count()));
    let versions: Vec<_> = versions.collect();
    assert_eq!(versions, [("Let Alice in".to_owned(), 1), ("Begin".to_owned(), 0)]);
    assert!(source.is_in_work_tree() && source.committed(&found).contains("users.yaml"));
}

#[test]
fn a_ref_is_head_a_branch_a_tag_or_a_whole_name() {
    let (forge, state) = (Forge::new(), tempfile::tempdir().unwrap());
    forge.push("users.yaml", ONE, "Begin");
    git(forge.path(), &["tag", "--annotate", "v1", "--message", "One"]);
    git(forge.path(), &["update-ref", "refs/pull/7/head", "HEAD"]);
    git(forge.path(), &["switch", "--quiet", "--create", "two"]);
    forge.push("users.yaml", TWO, "Two");
    git(forge.path(), &["tag", "--annotate", "blob", "--message", "x", "HEAD:users.yaml"]);
    for (reference, text) in [
        ("HEAD", TWO),
        ("main", ONE),
        ("v1", ONE),
        ("two", TWO),
        ("refs/pull/7/head", ONE),
        ("refs/heads/two", TWO),
    ] {
        let source = forge.source(state.path(), reference, &["users.yaml"]);
        fetch(&source).unwrap();
        assert_eq!(texts(&source.load()), [("users.yaml", text)], "{reference}");
    }
    for (reference, why) in
        [("three", "there is no branch or tag `three`"), ("blob", "is not a commit")]
    {
        let source = forge.source(state.path(), reference, &["users.yaml"]);
        let found = fetch(&source).unwrap_err();
        assert!(found.contains(why), "{found}");
        assert_eq!(source.load().unwrap_err()[0].code, "not-fetched");
    }
}

#[test]
fn an_older_commit_or_a_rewritten_history_is_not_read() {
    let (forge, state) = (Forge::new(), tempfile::tempdir().unwrap());
    forge.push("users.yaml", ONE, "Begin");
    forge.push("users.yaml", TWO, "Two");
    let source = forge.source(state.path(), "main", &["users.yaml"]);
    fetch(&source).unwrap();
    source.accept(&source.load().unwrap()).unwrap();
    for change in [&["reset", "--hard", "HEAD~1"][..], &["commit", "--amend", "--message", "x"]] {
        git(forge.path(), change);
        fetch(&source).unwrap();
        assert_eq!(source.load().unwrap_err()[0].code, "rewritten");
        let accepted = source.last_accepted().unwrap();
        assert_eq!(texts(&Ok(accepted)), [("users.yaml", TWO)]);
    }
    git(forge.path(), &["reset", "--hard", "ORIG_HEAD"]);
    git(forge.path(), &["switch", "--quiet", "--create", "other"]);
    git(forge.path(), &["branch", "--delete", "--force", "main"]);
    assert!(fetch(&source).unwrap_err().contains("no branch or tag `main`"));
}

#[test]
fn each_roster_of_a_repository_has_its_own_last_commit() {
    let (forge, state) = (Forge::new(), tempfile::tempdir().unwrap());
    forge.push("one.yaml", ONE, "Begin");
    let [one, two] = ["one.yaml", "two.yaml"].map(|it| forge.source(state.path(), "main", &[it]));
    forge.push("two.yaml", TWO, "Two");
    fetch(&one).unwrap();
    two.accept(&two.load().unwrap()).unwrap();
    forge.push("two.yaml", "users: [", "Break it");
    fetch(&one).unwrap();
    one.accept(&one.load().unwrap()).unwrap();
    assert_eq!(texts(&Ok(two.last_accepted().unwrap())), [("two.yaml", TWO)]);
    assert_eq!(texts(&Ok(one.last_accepted().unwrap())), [("one.yaml", ONE)]);
}

#[test]
fn files_are_read_only_within_the_commit() {
    let (forge, state) = (Forge::new(), tempfile::tempdir().unwrap());
    let link = |target: &str, name: &str| {
        let path = forge.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    };
    for (target, name) in [
        ("teams/data.yaml", "link.yaml"),
        ("../teams/data.yaml", "links/up.yaml"),
        ("teams", "folder"),
        ("/etc/hostname", "absolute.yaml"),
        ("../../etc/hostname", "links/out.yaml"),
        ("loop.yaml", "loop.yaml"),
        ("gone.yaml", "dangling.yaml"),
    ] {
        link(target, name);
    }
    std::fs::write(forge.path().join("latin.yaml"), b"users: \xe9\n").unwrap();
    forge.push("lfs.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "x");
    forge.push("teams/.hidden.yaml", "", "x");
    forge.push("teams/note.txt", "", "x");
    forge.push("teams/data.yaml", ONE, "x");
    forge.push("teams/eu/more.yml", TWO, "x");
    let commit = forge.commit("x");
    git(forge.path(), &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
    git(forge.path(), &["commit", "--quiet", "--message", "With a submodule"]);
    let read = |users: &[&str], max_bytes| {
        let source = RosterSource { max_bytes, ..forge.source(state.path(), "main", users) };
        fetch(&source).unwrap();
        source.load()
    };
    for (users, files) in [
        (&["link.yaml"][..], &[("link.yaml", ONE)][..]),
        (&["links/up.yaml"], &[("links/up.yaml", ONE)]),
        (&["teams"], &[("teams/data.yaml", ONE)]),
        (&["folder"], &[("folder/data.yaml", ONE)]),
        (&["teams/eu/more.yml", "teams/"], &[("teams/eu/more.yml", TWO), ("teams/data.yaml", ONE)]),
        (&["teams/**/*.y*ml"], &[("teams/data.yaml", ONE), ("teams/eu/more.yml", TWO)]),
        (&["*/data.yaml"], &[("teams/data.yaml", ONE)]),
    ] {
        assert_eq!(texts(&read(users, 1 << 20)), files, "{users:?}");
    }
    for (user, code) in [
        ("absolute.yaml", "outside"),
        ("links/out.yaml", "outside"),
        ("../users.yaml", "outside"),
        ("/users.yaml", "outside"),
        ("loop.yaml", "outside"),
        ("dangling.yaml", "missing-file"),
        ("gone.yaml", "missing-file"),
        ("link.yaml/x", "missing-file"),
        ("sub/users.yaml", "submodule"),
        ("sub", "submodule"),
        ("lfs.yaml", "lfs"),
        ("latin.yaml", "not-utf8"),
        ("links/none*", "no-file"),
        ("[", "bad-glob"),
    ] {
        assert_eq!(read(&[user], 1 << 20).unwrap_err()[0].code, code, "{user}");
    }
    assert_eq!(read(&["teams/data.yaml"], ONE.len() - 1).unwrap_err()[0].code, "too-large");
}

#[test]
fn what_cannot_be_fetched_says_why() {
    let (forge, state) = (Forge::new(), tempfile::tempdir().unwrap());
    forge.push("users.yaml", ONE, "Begin");
    let source = forge.source(state.path(), "main", &["users.yaml"]);
    let remote = source.git.unwrap();
    let locked = remote.url.join("/locked/.git").unwrap();
    let result = |remote: &GitRemote| remote.fetch().map_err(|problem| problem.message);
    let with = |url: &reqwest::Url, token: Option<SecretSource>| {
        let clone = clone_folder(state.path(), url, "main");
        result(&GitRemote { url: url.clone(), token, clone, ..remote.clone() })
    };
    assert_eq!(with(&locked, Some(SecretSource::Sandbox("secret"))), Ok(()));
    for token in [None, Some(SecretSource::Sandbox("other"))] {
        let found = with(&locked, token).unwrap_err();
        assert!(found.contains("401") && !found.contains("other"), "{found}");
    }
    let gone = SecretSource::File("/nowhere/token".into());
    assert!(with(&locked, Some(gone)).unwrap_err().contains("/nowhere/token"));
    let missing = remote.url.join("/none.git").unwrap();
    assert!(with(&missing, None).unwrap_err().contains("404"));

    let sha256 = Forge::with(&["--initial-branch=main", "--object-format=sha256"]);
    sha256.push("users.yaml", ONE, "Begin");
    let found = with(&sha256.url.parse().unwrap(), None).unwrap_err();
    assert!(found.contains("SHA-256"), "{found}");
    let shallow = tempfile::tempdir().unwrap();
    forge.push("users.yaml", TWO, "Two");
    let from = format!("file://{}", forge.path().display());
    git(shallow.path(), &["clone", "--quiet", "--depth=1", &from, "."]);
    let other = Forge::new();
    std::fs::remove_dir_all(other.path().join(".git")).unwrap();
    std::fs::rename(shallow.path().join(".git"), other.path().join(".git")).unwrap();
    let found = with(&other.url.parse().unwrap(), None).unwrap_err();
    assert!(found.contains("shallow"), "{found}");
    forge.is_up.store(false, Ordering::Relaxed);
    assert!(result(&remote).is_err());
}
