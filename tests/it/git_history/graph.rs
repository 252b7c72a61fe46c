//! A small history, on disk and as a model. The model is brute force: sets of ancestors.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gix::ObjectId;
use gix::objs::Kind;
use gix::objs::tree::{Entry, EntryKind};
use gix::prelude::Write as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha512};
use tempfile::TempDir;

/// Who has signed a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    Missing,
    /// A key of the file.
    Listed,
    Unlisted,
    /// A listed key, but it has signed something else.
    OfAnother,
}

#[derive(Clone, Debug)]
pub struct Commit {
    pub parents: Vec<usize>,
    /// None if there is no roster.
    pub roster: Option<u8>,
    pub signature: Signature,
}

pub struct Graph {
    folder: TempDir,
    git: gix::Repository,
    pub commits: Vec<Commit>,
    pub ids: Vec<ObjectId>,
    /// Each commit and all before it.
    ancestors: Vec<BTreeSet<usize>>,
}

impl Graph {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = gix::init_bare(folder.path()).unwrap();
        Self { folder, git, commits: Vec::new(), ids: Vec::new(), ancestors: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a commit, and returns its number.
    pub fn commit(&mut self, commit: Commit, time: i64) -> usize {
        let number = self.commits.len();
        let blob = |text: &str| self.git.write_blob(text).unwrap().detach();
        let entry = |filename: &str, text: &str| Entry {
            mode: EntryKind::Blob.into(),
            filename: filename.into(),
            oid: blob(text),
        };
        let mut entries = vec![entry("other", &number.to_string())];
        entries.extend(commit.roster.map(|roster| entry("users.yaml", &text(roster))));
        let tree = self.git.write_object(gix::objs::Tree { entries }).unwrap().detach();
        let mut head = format!("tree {tree}\n");
        for parent in &commit.parents {
            writeln!(head, "parent {}", self.ids[*parent]).unwrap();
        }
        let who = format!("Matt <matt@acme.io> {} +0000", 1_800_000_000 + time);
        writeln!(head, "author {who}\ncommitter {who}").unwrap();
        let message = format!("\nCommit {number}\n");
        let armor = match commit.signature {
            Signature::Missing => String::new(),
            Signature::Listed => signed(1, &format!("{head}{message}")),
            Signature::Unlisted => signed(2, &format!("{head}{message}")),
            Signature::OfAnother => signed(1, &format!("{head}{message} ")),
        };
        let header = armor.trim_end().replace('\n', "\n ");
        let header = if armor.is_empty() { header } else { format!("gpgsig {header}\n") };
        let bytes = format!("{head}{header}{message}");
        self.ids.push(self.git.objects.write_buf(Kind::Commit, bytes.as_bytes()).unwrap());
        let mut ancestors = BTreeSet::from([number]);
        for parent in &commit.parents {
            ancestors.extend(&self.ancestors[*parent]);
        }
        self.ancestors.push(ancestors);
        self.commits.push(commit);
        number
    }

    pub fn set_branch(&self, tip: Option<usize>) {
        let path = self.path().join("refs/heads/main");
        match tip {
            Some(tip) => std::fs::write(path, format!("{}\n", self.ids[tip])).unwrap(),
            None => drop(std::fs::remove_file(path)),
        }
    }

    /// Replaces the text of a roster, under the name of the object that it was.
    pub fn forge_roster(&self, roster: u8, text: &str) {
        let path = |id: ObjectId| {
            let hex = id.to_string();
            self.path().join("objects").join(&hex[..2]).join(&hex[2..])
        };
        let id = |text: &str| self.git.write_blob(text).unwrap().detach();
        std::fs::rename(path(id(text)), path(id(&self::text(roster)))).unwrap();
    }

    /// The roster of a commit as text.
    pub fn text(&self, commit: usize) -> Option<String> {
        self.commits[commit].roster.map(text)
    }

    pub fn is_ancestor(&self, commit: usize, of: usize) -> bool {
        self.ancestors[of].contains(&commit)
    }

    /// The common ancestors that are no ancestors of another one.
    fn merge_bases(&self, one: usize, other: usize) -> Vec<usize> {
        let common: Vec<_> =
            self.ancestors[one].intersection(&self.ancestors[other]).copied().collect();
        let is_best =
            |it: &usize| !common.iter().any(|later| later != it && self.is_ancestor(*it, *later));
        common.iter().copied().filter(is_best).collect()
    }

    /// The roster that a right merge has: that of the only side that has changed it. If several
    /// have, the first wins.
    pub fn merged(&self, parents: &[usize]) -> Option<u8> {
        let roster = |commit: usize| self.commits[commit].roster;
        let changed = parents.iter().find(|one| {
            let others = parents.iter().filter(|other| other != one);
            let mut bases = others.flat_map(|other| self.merge_bases(**one, *other));
            bases.any(|base| roster(base) != roster(**one))
        });
        roster(*changed.unwrap_or(&parents[0]))
    }

    /// Whether the roster may be used if the one of `accepted` is in force.
    pub fn is_believed(&self, accepted: Option<usize>, commit: usize) -> bool {
        let Some(accepted) = accepted else {
            // Whoever has changed it last has signed that.
            let mut last = commit;
            while let Some(parent) = self.carried(last) {
                last = parent;
            }
            return self.is_signed(last);
        };
        let hidden = &self.ancestors[accepted];
        let mut since = self.ancestors[commit].difference(hidden).copied();
        self.commits[accepted].roster == self.commits[commit].roster
            || since.all(|it| self.carried(it).is_some() || self.is_signed(it))
    }

    fn is_signed(&self, commit: usize) -> bool {
        self.commits[commit].signature == Signature::Listed
    }

    /// The first parent with the same roster, unless a merge undoes what another parent has
    /// changed since they parted.
    fn carried(&self, commit: usize) -> Option<usize> {
        let Commit { parents, roster, .. } = &self.commits[commit];
        let is_kept = |parent: usize, other: usize| {
            let other_roster = self.commits[other].roster;
            let bases = self.merge_bases(parent, other);
            let is_unchanged = |base: &usize| self.commits[*base].roster == other_roster;
            other_roster == *roster || !bases.is_empty() && bases.iter().all(is_unchanged)
        };
        let same = parents.iter().filter(|parent| self.commits[**parent].roster == *roster);
        let mut carried = same.filter(|parent| {
            parents.iter().filter(|other| other != parent).all(|other| is_kept(**parent, *other))
        });
        carried.next().copied()
    }
}

fn text(roster: u8) -> String {
    format!("version: 1\nusers: [] # {roster}\n")
}

fn key(number: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap()
}

/// Fields of the SSH protocol.
fn fields(fields: &[&[u8]]) -> Vec<u8> {
    let field =
        |field: &&[u8]| [&u32::try_from(field.len()).unwrap().to_be_bytes()[..], field].concat();
    fields.iter().flat_map(field).collect()
}

fn public(number: u8) -> Vec<u8> {
    fields(&[b"ssh-ed25519", key(number).public_key().as_ref()])
}

/// The file with the first key.
pub fn allowed_signers() -> String {
    format!("matt@acme.io ssh-ed25519 {}\n", STANDARD.encode(public(1)))
}

/// A signature for git, as `ssh-keygen -Y sign -n git` writes it.
fn signed(number: u8, text: &str) -> String {
    let message = fields(&[b"git", b"", b"sha512", &Sha512::digest(text)]);
    let signature = key(number).sign(&[b"SSHSIG", &message[..]].concat());
    let signature = fields(&[b"ssh-ed25519", signature.as_ref()]);
    let rest = fields(&[&public(number), b"git", b"", b"sha512", &signature]);
    let text = STANDARD.encode([b"SSHSIG\0\0\0\x01", &rest[..]].concat());
    format!("-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n")
}
