//! A git repository elsewhere, and how its commits are fetched into the clone in the state
//! directory.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::Repository;
use reqwest::{Url, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::bare_clone::{FETCHED, commit_of, point};
use super::env_var;
use super::fetch::Server;
use super::file::real_path;
use super::git::opened;
use super::local::Local;
use super::secret::SecretSource;
use super::signers::Signers;
use crate::client::{Settings, connections};
use crate::diagnostic::Diagnostic;
use crate::escape::escape;
use crate::files;
use crate::roster::Digest;

/// A file in the clone that is written at every successful fetch.
pub(super) const REACHED: &str = "rosterd-reached";
/// Maximum time of a fetch, unless a test sets another.
const TIME_LIMIT: Duration = Duration::from_mins(5);
/// Scheme of a repository on this machine.
pub const LOCAL: &str = "file";

/// Which commits are read, and how they are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRemote {
    /// Without user and password.
    pub url: Url,
    /// `HEAD`, a branch, a tag, or a name that begins with `refs/`.
    pub reference: String,
    /// Any, if only a token is needed.
    pub username: Option<String>,
    pub token: Option<SecretSource>,
    /// Certificates of a private authority, PEM.
    pub ca_file: Option<PathBuf>,
    /// How often it is fetched without a reason.
    pub poll: Duration,
    /// Maximum time of a fetch.
    pub time_limit: Duration,
    /// What a forge proves itself with when it says that something was pushed.
    pub webhook_secret: Option<SecretSource>,
    /// The keys that commits must be signed by.
    pub ssh_signers: Option<PathBuf>,
    /// The folder of the clone.
    pub clone: PathBuf,
}

impl GitRemote {
    /// A remote with the defaults.
    pub fn new(url: Url, reference: String, clone: PathBuf) -> Self {
        Self {
            url,
            reference,
            username: None,
            token: None,
            ca_file: None,
            poll: Duration::from_mins(1),
            time_limit: TIME_LIMIT,
            webhook_secret: None,
            ssh_signers: None,
            clone,
        }
    }

    /// Another ref of the repository, in a clone of its own. It need not be signed: it is only
    /// looked at.
    #[must_use]
    pub fn preview(&self, reference: &str, clone: &Path) -> Self {
        let (reference, clone) = (reference.to_owned(), clone.to_owned());
        Self { reference, clone, ssh_signers: None, ..self.clone() }
    }

    /// Whether the keys that commits must be signed by can be read.
    pub fn check_signers(&self) -> Result<(), Diagnostic> {
        self.ssh_signers.as_deref().map_or(Ok(()), |path| Signers::read(path).map(drop))
    }

    /// Fetches if nothing was fetched yet.
    pub fn fetch_first(&self) -> Result<(), Diagnostic> {
        // The usual case, without opening the clone.
        let is_fetched = self.clone.join(FETCHED).exists();
        if is_fetched || commit_of(&self.open()?.repository, FETCHED).is_some() {
            Ok(())
        } else {
            self.fetch()
        }
    }

    /// Fetches what the ref names now. It may block for `time_limit`. The error is why that was
    /// not possible.
    pub fn fetch(&self) -> Result<(), Diagnostic> {
        let failed = |why: &str| {
            let url = escape(self.url.as_str());
            Diagnostic::error("fetch", format!("cannot fetch {url}: {}", escape(why)))
                .hint("check `git`, `token` and the network; the daemon tries again")
        };
        let repository = self.open()?.repository;
        // Whatever a server sends must not end the thread that fetches.
        let fetched = catch_unwind(AssertUnwindSafe(|| self.fetch_into(&repository)));
        let fetched = fetched.unwrap_or_else(|_| Err("its answer is not usable".into()));
        fetched.map_err(|why| failed(&why))?;
        let reached = self.clone.join(REACHED);
        std::fs::write(reached, "").map_err(|error| failed(&error.to_string()))?;
        self.give_away();
        Ok(())
    }

    fn fetch_into(&self, repository: &Repository) -> Result<(), String> {
        let have = commit_of(repository, FETCHED);
        let objects = repository.objects.store_ref().path();
        let tip = if self.url.scheme() == LOCAL {
            let local = Local::open(&self.url)?;
            let tip = local.tip(&self.reference)?;
            local.copy(objects, Instant::now() + self.time_limit)?;
            tip
        } else {
            let server = self.server()?;
            let tip = server.tip(&self.reference)?;
            if have != Some(tip) {
                server.fetch(tip, have.as_slice(), &objects.join("pack"))?;
            }
            tip
        };
        if have != Some(tip) {
            let repository = opened(&self.clone).ok_or("the clone cannot be read")?;
            // A tag may name another kind of object.
            repository.find_commit(tip).map_err(|_| format!("{tip} is not a commit"))?;
            point(&repository, FETCHED, tip)?;
        }
        Ok(())
    }

    fn server(&self) -> Result<Server<'_>, String> {
        let token = self.token.as_ref().map(|token| token.resolve(&env_var)).transpose();
        let token = token.map_err(|error| error.to_string())?;
        let authorization = token.map(|token| self.authorization(&token)).transpose()?;
        let ca_file = self.ca_file.clone();
        let settings = Settings { ca_file, ..Settings::new(self.url.clone(), self.time_limit) };
        let client = connections(&settings).map_err(|error| error.message)?;
        Server::new(&self.url, client, authorization, Instant::now() + self.time_limit)
    }

    /// Basic authentication, which forges expect of git, also for tokens.
    fn authorization(&self, token: &SecretString) -> Result<header::HeaderValue, String> {
        use base64::Engine as _;
        let username = self.username.as_deref().unwrap_or("x-access-token");
        let pair = format!("{username}:{}", token.expose_secret());
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        let value = header::HeaderValue::from_str(&format!("Basic {pair}"));
        let mut value = value.map_err(|_| "the token cannot be sent".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What root wrote belongs to the owner of the state directory, whose daemon fetches next.
    fn give_away(&self) -> Option<()> {
        let state = self.clone.ancestors().nth(2)?.canonicalize().ok()?;
        let owner = state.metadata().ok()?;
        let mut open: Vec<PathBuf> = self.clone.ancestors().take(2).map(Path::to_owned).collect();
        while let Some(path) = open.pop() {
            let Ok(found) = path.symlink_metadata() else { continue };
            if found.is_dir() && path.starts_with(&self.clone) {
                let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                open.extend(entries.map(|entry| entry.path()));
            }
            if found.uid() != owner.uid() && (found.is_dir() || found.is_file()) {
                give_within(&path, &state, &owner);
            }
        }
        Some(())
    }
}

/// Gives a file or folder away if it really is in the state directory: its owner may have put links
/// there.
fn give_within(path: &Path, state: &Path, owner: &Metadata) {
    let Ok(file) = File::open(path) else { return };
    let is_within = real_path(&file, path).is_ok_and(|real| real.starts_with(state));
    let has_one_name = file.metadata().is_ok_and(|it| it.is_dir() || it.nlink() == 1);
    if is_within && has_one_name {
        files::give(&file, owner);
    }
}

/// The folder of the clone of a ref, within the folder of the ledger.
pub fn clone_folder(state: &Path, url: &Url, reference: &str) -> PathBuf {
    let digest = Digest::of([url.as_str(), reference]);
    state.join("git").join(&digest.hex()[..16])
}
