//! A git repository, and a server for it that may be switched off.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rosterd::source::RosterSource;
use rosterd::source::remote::{GitRemote, clone_folder};
use tempfile::TempDir;

/// A repository with a work tree, and a server for it.
pub struct Forge {
    folder: TempDir,
    pub url: String,
    pub is_up: Arc<AtomicBool>,
    /// Number of fetches that have begun.
    pub fetches: Arc<AtomicUsize>,
}

pub fn git(folder: &Path, arguments: &[&str]) -> String {
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
    pub fn new() -> Self {
        Self::with(&["--initial-branch=main"])
    }

    pub fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &[&["init", "--quiet"], options].concat());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/.git", listener.local_addr().unwrap());
        let (is_up, root) = (Arc::new(AtomicBool::new(true)), folder.path().to_owned());
        let (up, fetches) = (Arc::clone(&is_up), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&fetches);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (root, counted) = (root.clone(), Arc::clone(&counted));
                let is_up = up.load(Ordering::Relaxed);
                std::thread::spawn(move || serve(&stream, &root, &counted, is_up));
            }
        });
        Self { folder, url, is_up, fetches }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn push(&self, name: &str, text: &str, subject: &str) -> String {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.commit(subject)
    }

    pub fn commit(&self, subject: &str) -> String {
        git(self.path(), &["add", "--all"]);
        git(self.path(), &["commit", "--quiet", "--allow-empty", "--message", subject]);
        git(self.path(), &["rev-parse", "HEAD"])
    }

    /// The source of these paths, with a new clone.
    pub fn source(&self, state: &Path, reference: &str, users: &[&str]) -> RosterSource {
        let url: reqwest::Url = self.url.parse().unwrap();
        let clone = clone_folder(state, &url, reference);
        let remote = GitRemote::new(url, reference.to_owned(), clone);
        let users = users.iter().map(|it| (*it).to_owned()).collect();
        RosterSource { git: Some(remote), ..RosterSource::new(users, PathBuf::new()) }
    }
}

/// One request, then the connection ends. `/locked` needs the token `secret`.
fn serve(stream: &TcpStream, root: &Path, fetches: &AtomicUsize, is_up: bool) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    // It was read, so that the connection always ends in the same way.
    is_up.then_some(())?;
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
    fetches.fetch_add((method == "GET").into(), Ordering::Relaxed);
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
