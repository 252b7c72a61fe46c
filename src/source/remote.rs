//! A git repository on a server, and its bare clone in the state directory. Only commits that the
//! clone has are read.
//!
//! The clone has a ref for the commit that was fetched last, and for each roster one for the last
//! commit in which it was usable.

use std::collections::{BinaryHeap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use gix::refs::transaction::PreviousValue;
use gix::{ObjectId, Repository};
use reqwest::{Certificate, Url, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::fetch::Server;
use super::git::opened;
use super::secret::SecretSource;
use super::{RosterSource, env_var, read_limited, tree};
use crate::diagnostic::{Diagnostic, Sources};
use crate::escape::escape;
use crate::roster::Digest;

const FETCHED: &str = "refs/rosterd/fetched";
/// A file in the clone that is written at every successful fetch.
const REACHED: &str = "rosterd-reached";
/// Maximum time of a fetch.
const TIME_LIMIT: Duration = Duration::from_mins(5);
/// How long a server may be away before that is an outage.
const TOLERATED: Duration = Duration::from_mins(5);
/// When this process first needed a clone. A restart may find an old one.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
const MAX_CA_FILE: usize = 1 << 20;

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
    /// The folder of the clone.
    pub clone: PathBuf,
}

/// The clone as it is now.
pub(super) struct BareClone {
    pub repository: Repository,
    reached: Option<Duration>,
}

impl GitRemote {
    /// Fetches if nothing was fetched yet.
    pub fn fetch_first(&self) -> Result<(), Diagnostic> {
        let fetched = commit_of(&self.open()?.repository, FETCHED);
        if fetched.is_some() { Ok(()) } else { self.fetch() }
    }

    /// Fetches what the ref names now. It may block for 5 minutes. The error is why that was
    /// not possible.
    pub fn fetch(&self) -> Result<(), Diagnostic> {
        let failed = |why: &str| {
            let url = escape(self.url.as_str());
            Diagnostic::error("fetch", format!("cannot fetch {url}: {}", escape(why)))
                .hint("check `git`, `token` and the network; the daemon tries again")
        };
        let fetched = self.fetch_into(&self.open()?.repository);
        fetched.map_err(|why| failed(&why))?;
        let reached = self.clone.join(REACHED);
        std::fs::write(reached, "").map_err(|error| failed(&error.to_string()))
    }

    fn fetch_into(&self, repository: &Repository) -> Result<(), String> {
        let token = self.token.as_ref().map(|token| token.resolve(&env_var)).transpose();
        let token = token.map_err(|error| error.to_string())?;
        let server = Server {
            url: &self.url,
            client: &self.client()?,
            authorization: token.map(|token| self.authorization(&token)).transpose()?,
            deadline: Instant::now() + TIME_LIMIT,
        };
        let tip = server.tip(&self.reference)?;
        if commit_of(repository, FETCHED) != Some(tip) {
            let have = commit_of(repository, FETCHED);
            server.fetch(
                tip,
                have.as_slice(),
                &repository.objects.store_ref().path().join("pack"),
            )?;
            let repository = opened(&self.clone).ok_or("the clone cannot be read")?;
            // A tag may name another kind of object.
            repository.find_commit(tip).map_err(|_| format!("{tip} is not a commit"))?;
            point(&repository, FETCHED, tip)?;
        }
        Ok(())
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

    fn client(&self) -> Result<reqwest::blocking::Client, String> {
        // Fails if another part of the process has installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::blocking::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("git/rosterd-", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &self.ca_file {
            let shown = path.to_string_lossy();
            let shown = escape(&shown);
            let bytes = read_limited(path, MAX_CA_FILE);
            let bytes = bytes.map_err(|error| format!("cannot read {shown}: {error}"))?;
            let certificates = Certificate::from_pem_bundle(&bytes);
            let certificates = certificates.map_err(|error| format!("{shown}: {error}"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map_err(|error| error.to_string())
    }

    /// The clone; it is made if it is missing.
    pub(super) fn open(&self) -> Result<BareClone, Diagnostic> {
        let failed = |error: &dyn std::fmt::Display| {
            let folder = self.clone.to_string_lossy();
            let folder = escape(&folder);
            Diagnostic::error("clone", format!("the clone in {folder} is not usable: {error}"))
                .hint("delete the folder; the next fetch makes it again")
        };
        LazyLock::force(&STARTED);
        if !self.clone.join("HEAD").exists() {
            std::fs::create_dir_all(&self.clone).map_err(|error| failed(&error))?;
            gix::init_bare(&self.clone).map_err(|error| failed(&error))?;
        }
        let repository = opened(&self.clone).ok_or_else(|| failed(&"it is no git repository"))?;
        let reached = std::fs::metadata(self.clone.join(REACHED)).and_then(|it| it.modified());
        let age = |time: SystemTime| time.elapsed().unwrap_or_default();
        Ok(BareClone { repository, reached: reached.ok().map(age) })
    }
}

impl BareClone {
    /// The commit to read, unless that would go back or the server has been away for long.
    pub fn newest(&self, users: &[String]) -> Result<ObjectId, Diagnostic> {
        let fetched = commit_of(&self.repository, FETCHED).ok_or_else(|| {
            Diagnostic::error("not-fetched", "nothing was fetched of the repository yet")
                .hint("the daemon and `rosterd --plan` fetch it")
        })?;
        let away = self.reached.is_none_or(|age| age > TOLERATED);
        if away && STARTED.elapsed() > TOLERATED {
            let message = "the git server has not answered for more than 5 minutes";
            return Err(Diagnostic::error("git-away", message)
                .hint("the last accepted commit stays in force; see the problem of the fetch"));
        }
        match self.accepted(users) {
            Some(accepted) if !is_ancestor(&self.repository, accepted, fetched) => {
                let message = format!(
                    "the history was rewritten: commit {} does not follow {}, the one in force",
                    fetched.to_hex_with_len(12),
                    accepted.to_hex_with_len(12),
                );
                Err(Diagnostic::error("rewritten", message)
                    .hint("push a commit that follows it, or delete the clone to accept this one"))
            }
            _ => Ok(fetched),
        }
    }

    /// The last commit with a usable roster.
    pub fn accepted(&self, users: &[String]) -> Option<ObjectId> {
        commit_of(&self.repository, &accepted_ref(users))
    }

    /// A commit has a usable roster. A later run may have accepted a newer one already.
    pub fn accept(&self, users: &[String], commit: ObjectId) -> Result<(), Diagnostic> {
        if self.accepted(users).is_some_and(|it| is_ancestor(&self.repository, commit, it)) {
            return Ok(());
        }
        point(&self.repository, &accepted_ref(users), commit)
            .map_err(|why| Diagnostic::error("clone", format!("the clone is not writable: {why}")))
    }
}

/// The ref of the last commit with a usable roster in these files.
fn accepted_ref(users: &[String]) -> String {
    let digest = Digest::of(users.iter().map(String::as_str)).hex();
    format!("refs/rosterd/accepted-{}", &digest[..16])
}

/// Whether a commit is `of`, or one of those before it.
fn is_ancestor(repository: &Repository, commit: ObjectId, of: ObjectId) -> bool {
    let time = |id| repository.find_commit(id).ok().and_then(|it| Some(it.time().ok()?.seconds));
    // The newest first, so that a near ancestor is found at once.
    let (mut open, mut seen) = (BinaryHeap::from([(time(of), of)]), HashSet::from([of]));
    while let Some((_, id)) = open.pop() {
        if id == commit {
            return true;
        }
        let Ok(found) = repository.find_commit(id) else { continue };
        let parents = found.parent_ids().map(gix::Id::detach).filter(|id| seen.insert(*id));
        open.extend(parents.map(|id| (time(id), id)));
    }
    false
}

fn commit_of(repository: &Repository, name: &str) -> Option<ObjectId> {
    let found = repository.try_find_reference(name).ok()??;
    found.try_id().map(gix::Id::detach)
}

fn point(repository: &Repository, name: &str, commit: ObjectId) -> Result<(), String> {
    let written = repository.reference(name, commit, PreviousValue::Any, "rosterd");
    written.map(drop).map_err(|error| error.to_string())
}

impl RosterSource {
    /// The files of the newest commit.
    pub(super) fn fetched(&self, remote: &GitRemote) -> Result<Sources, Vec<Diagnostic>> {
        let clone = remote.open().map_err(|problem| vec![problem])?;
        let commit = clone.newest(&self.users).map_err(|problem| vec![problem])?;
        self.of_commit(&clone, commit)
    }

    /// The files of the last commit with a usable roster, if the newest has none.
    pub fn last_accepted(&self) -> Option<Sources> {
        let clone = self.git.as_ref()?.open().ok()?;
        self.of_commit(&clone, clone.accepted(&self.users)?).ok()
    }

    /// The commit of these files has a usable roster: after a restart it is still in force.
    pub fn accept(&self, sources: &Sources) -> Result<(), Diagnostic> {
        match (&self.git, sources.commit().and_then(|it| it.parse().ok())) {
            (Some(remote), Some(commit)) => remote.open()?.accept(&self.users, commit),
            _ => Ok(()),
        }
    }

    fn of_commit(&self, clone: &BareClone, commit: ObjectId) -> Result<Sources, Vec<Diagnostic>> {
        let sources = tree::read(&clone.repository, commit, &self.users, self.max_bytes)?;
        Ok(sources.at_commit(commit.to_string()))
    }
}

/// The folder of the clone of a ref, within the folder of the ledger.
pub fn clone_folder(state: &Path, url: &Url, reference: &str) -> PathBuf {
    let digest = Digest::of([url.as_str(), reference]);
    state.join("git").join(&digest.hex()[..16])
}
