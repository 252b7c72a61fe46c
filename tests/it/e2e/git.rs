//! Rosters of a git server: a real `git http-backend` behind a small HTTP server.

mod memory;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rosterd::diagnostic::{Diagnostic, Sources};
use rosterd::source::RosterSource;
use rosterd::source::remote::{GitRemote, clone_folder};
use rosterd::source::secret::SecretSource;
use tempfile::TempDir;

use crate::cli::test_env::{TestEnv, eventually};

const ONE: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";
const TWO: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n  \
                   - { email: alice@acme.io, role: DEVELOPER }\n";

/// A repository with a work tree, and a server for it.
struct Forge {
    folder: TempDir,
    url: String,
    is_up: Arc<AtomicBool>,
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let ran = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Matt", "-c", "user.email=matt@acme.io"])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "git {arguments:?}: {stderr}");
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

impl Forge {
    fn new() -> Self {
        Self::with(&["--initial-branch=main"])
    }

    fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &[&["init", "--quiet"], options].concat());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/.git", listener.local_addr().unwrap());
        let (is_up, root) = (Arc::new(AtomicBool::new(true)), folder.path().to_owned());
        let up = Arc::clone(&is_up);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if up.load(Ordering::Relaxed) {
                    let root = root.clone();
                    std::thread::spawn(move || serve(&stream, &root));
                }
            }
        });
        Self { folder, url, is_up }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn push(&self, name: &str, text: &str, subject: &str) -> String {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.commit(subject)
    }

    fn commit(&self, subject: &str) -> String {
        git(self.path(), &["add", "--all"]);
        git(self.path(), &["commit", "--quiet", "--allow-empty", "--message", subject]);
        git(self.path(), &["rev-parse", "HEAD"])
    }

    /// The source of these paths, with a new clone.
    fn source(&self, state: &Path, reference: &str, users: &[&str]) -> RosterSource {
        let url: reqwest::Url = self.url.parse().unwrap();
        let clone = clone_folder(state, &url, reference);
        let remote = GitRemote::new(url, reference.to_owned(), clone);
        let users = users.iter().map(|it| (*it).to_owned()).collect();
        RosterSource { git: Some(remote), ..RosterSource::new(users, PathBuf::new()) }
    }
}

/// One request, then the connection ends. `/locked` needs the token `secret`.
fn serve(stream: &TcpStream, root: &Path) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let header = |name: &str| {
        let found = head.lines().filter_map(|line| line.split_once(": "));
        found.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|it| it.1)
    };
    let length = header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = match path.strip_prefix("/locked") {
        // x-access-token:secret
        Some(_) if header("authorization") != Some("Basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0") => {
            let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
            return (&mut &*stream).write_all(answer).ok();
        }
        Some(path) => path,
        None => path,
    };
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", length.to_string())
        .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = backend.stdin.take().unwrap().write_all(&body);
    let answer = backend.wait_with_output().unwrap().stdout;
    let status = answer.strip_prefix(b"Status: ").map_or(&b"200 OK"[..], |rest| {
        rest.split(|byte| *byte == b'\r').next().unwrap_or_default()
    });
    let mut out: &TcpStream = stream;
    out.write_all(&[b"HTTP/1.1 ", status, b"\r\nConnection: close\r\n"].concat()).ok()?;
    out.write_all(&answer).ok()
}

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

/// The daemon applies what is pushed, and keeps the last accepted commit through restarts, without
/// the server.
#[test]
fn a_push_is_applied_and_survives_the_server() {
    let forge = Forge::new();
    forge.push("users.yaml", ONE, "Begin");
    let env = TestEnv::with_sandbox(&[]);
    let config = crate::cli::test_env::daemon_config("0s");
    let users = format!("users: {{ git: \"{}\", path: users.yaml, poll: 1s }}", forge.url);
    assert!(config.contains("users: users.yaml"), "{config}");
    env.write("git.yaml", &config.replace("users: users.yaml", &users));
    let arguments = ["-c", "git.yaml"];
    let soon = Duration::from_secs(30);
    let daemon = env.spawn(&arguments);
    forge.push("users.yaml", TWO, "Let Alice in");
    eventually(soon, "the push is applied", || env.knows("alice@acme.io"));
    forge.push("users.yaml", "users: [", "Break it");
    assert!(!env.knows("bob@acme.io"));
    forge.is_up.store(false, Ordering::Relaxed);
    daemon.signal("TERM");
    daemon.ended_within(soon).expect(0);
    let daemon = env.spawn(&arguments);
    let history = || env.run(&["history", "--format", "csv", "-c", "git.yaml"]).expect(0).stdout();
    let bob = format!("{TWO}  - {{ email: bob@acme.io, role: ANALYST }}\n");
    forge.is_up.store(true, Ordering::Relaxed);
    forge.push("users.yaml", &bob, "Let Bob in");
    eventually(soon, "the next push is applied", || env.knows("bob@acme.io"));
    assert!(history().contains("Let Bob in"), "{}", history());
    daemon.signal("TERM");
    daemon.ended_within(soon).expect(0);
}
