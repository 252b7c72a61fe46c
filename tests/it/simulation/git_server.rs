//! A git server with the repository of the roster, in some of the simulations, and what people push
//! to it. Its history is recorded here too, so that the checks need not ask git.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use jiff::Timestamp;
use rosterd::source::remote::{GitRemote, clone_folder};

use super::expected_roster::ExpectedRoster;
use super::scenario::{Edit, GitEvent};
use super::sim_state::{SimState, Version, Written};

const BRANCH: &str = "main";
/// How often the daemon fetches without a webhook.
pub const POLL: Duration = Duration::from_hours(48);

/// Commits have the numbers of the versions of the roster that they have.
pub struct GitServer {
    repository: PathBuf,
    pub remote: GitRemote,
    commits: Vec<GitCommit>,
    /// The commit of the branch; none while it is deleted.
    pub tip: Option<usize>,
    /// The commit that the next one follows; none if that is the first of another history.
    head: Option<usize>,
    /// Every commit that the branch has named, in this order.
    tips: Vec<usize>,
}

struct GitCommit {
    id: ObjectId,
    /// They have lower numbers.
    parents: Vec<usize>,
}

impl GitServer {
    pub fn new(folder: &Path) -> Self {
        let repository = folder.join("remote");
        gix::init_bare(&repository).unwrap();
        let url = format!("file://{}", repository.display()).parse().unwrap();
        let clone = clone_folder(&folder.join("state"), &url, BRANCH);
        let remote = GitRemote { poll: POLL, ..GitRemote::new(url, BRANCH.into(), clone) };
        Self { repository, remote, commits: Vec::new(), tip: None, head: None, tips: Vec::new() }
    }

    /// The number of the commit with this name.
    pub fn number(&self, id: &str) -> Option<usize> {
        let id: ObjectId = id.parse().ok()?;
        self.commits.iter().position(|commit| commit.id == id)
    }

    /// Whether a commit is `of`, or one of those before it.
    pub fn is_ancestor(&self, commit: usize, of: usize) -> bool {
        let mut open = vec![of];
        while let Some(at) = open.pop() {
            if at == commit {
                return true;
            }
            if at > commit {
                open.extend(&self.commits[at].parents);
            }
        }
        false
    }

    pub fn was_tip(&self, commit: usize) -> bool {
        self.tips.contains(&commit)
    }

    /// A commit that the branch has named and does not name now.
    fn earlier(&self, which: usize) -> Option<usize> {
        let mut tips: Vec<usize> =
            self.tips.iter().copied().filter(|tip| Some(*tip) != self.tip).collect();
        tips.dedup();
        (!tips.is_empty()).then(|| tips[which % tips.len()])
    }

    /// Writes a commit. No branch names it yet.
    fn commit(&mut self, text: Option<&str>, parents: Vec<usize>, at: Timestamp) -> usize {
        let number = self.commits.len();
        let git = gix::open_opts(&self.repository, gix::open::Options::isolated()).unwrap();
        let files = [("README.md", Some("Access")), ("users.yaml", text)];
        let entries = files.into_iter().filter_map(|(name, text)| {
            let oid = git.write_blob(text?).unwrap().detach();
            Some(Entry { mode: EntryKind::Blob.into(), filename: name.into(), oid })
        });
        let tree = gix::objs::Tree { entries: entries.collect() };
        let tree = git.write_object(tree).unwrap().detach();
        let time = format!("{} +0000", at.as_second());
        let (name, email) = ("Alexandra".into(), "alexandra@acme.io".into());
        let author = gix::actor::SignatureRef { name, email, time: &time };
        let ids = parents.iter().map(|parent| self.commits[*parent].id);
        let message = format!("commit {number}\n");
        let commit = git.new_commit_as(author, author, message, tree, ids).unwrap();
        self.commits.push(GitCommit { id: commit.id, parents });
        number
    }

    fn reference(&self) -> PathBuf {
        self.repository.join("refs/heads").join(BRANCH)
    }

    fn push(&mut self, commit: usize) {
        std::fs::write(self.reference(), format!("{}\n", self.commits[commit].id)).unwrap();
        (self.tip, self.head) = (Some(commit), Some(commit));
        self.tips.push(commit);
    }
}

impl SimState {
    fn commit_on(
        &mut self,
        parents: Vec<usize>,
        text: Option<String>,
        expected: Option<ExpectedRoster>,
    ) -> usize {
        let at = self.clocks.true_now();
        let number = self.git.as_mut().unwrap().commit(text.as_deref(), parents, at);
        self.versions.push(Version { text, expected, written: Written::Commit });
        assert_eq!(number + 1, self.versions.len());
        number
    }

    /// Lets the branch name a commit.
    fn push(&mut self, commit: usize) {
        let git = self.git.as_mut().unwrap();
        let made_again = git.tip.is_none() && !git.tips.is_empty();
        git.push(commit);
        if made_again {
            self.log_event("git branch made again", "");
        }
        self.log_event("git push", &format!("commit {commit}"));
    }

    /// Pushes commits that follow each other. Only the last one may ever be in force.
    pub fn push_versions(&mut self, versions: Vec<Version>) {
        if versions.len() > 1 {
            self.count("git several commits");
        }
        let mut head = self.git.as_ref().unwrap().head;
        for Version { text, expected, .. } in versions {
            head = Some(self.commit_on(head.into_iter().collect(), text, expected));
        }
        if let Some(head) = head {
            self.push(head);
        }
    }

    /// People go on with the roster of an earlier version.
    fn return_to(&mut self, version: usize) {
        if let Some(expected) = &self.versions[version].expected {
            self.latest_roster = expected.clone();
        }
    }

    /// Something happens to the history of the branch, or to the clone. Returns whether somebody
    /// pushed.
    pub fn git_event(&mut self, event: GitEvent, which: usize) -> bool {
        let Some(git) = &self.git else { return false };
        let clone = git.remote.clone.clone();
        match (event, git.earlier(which), git.tip) {
            (GitEvent::PushBack, Some(earlier), _) => {
                self.log_event("git PushBack", "");
                self.return_to(earlier);
                self.push(earlier);
            }
            (GitEvent::PushParallel, Some(base), _) => {
                self.log_event("git PushParallel", &format!("after commit {base}"));
                self.return_to(base);
                let edits = [Edit::Add, Edit::Remove, Edit::ChangeRole, Edit::Repair];
                let (text, expected) = self.edited(edits[which % edits.len()], which);
                let commit = self.commit_on(vec![base], text, expected);
                self.push(commit);
            }
            (GitEvent::MergeOlder, Some(earlier), Some(tip)) => {
                self.log_event("git MergeOlder", &format!("the roster of commit {earlier}"));
                self.return_to(earlier);
                let Version { text, expected, .. } = &self.versions[earlier];
                let (text, expected) = (text.clone(), expected.clone());
                let branch = self.commit_on(vec![earlier], text.clone(), expected.clone());
                let merge = self.commit_on(vec![tip, branch], text, expected);
                self.push(merge);
            }
            (GitEvent::DeleteBranch, _, Some(_)) => {
                self.log_event("git DeleteBranch", "");
                let git = self.git.as_mut().unwrap();
                std::fs::remove_file(git.reference()).unwrap();
                git.tip = None;
                // It may be made again without its history.
                git.head = git.head.filter(|_| which.is_multiple_of(2));
            }
            (GitEvent::LoseClone, ..) if clone.exists() => {
                self.log_event("git LoseClone", "");
                std::fs::remove_dir_all(clone).unwrap();
                self.clone_lost();
                return false;
            }
            _ => return false,
        }
        true
    }
}
