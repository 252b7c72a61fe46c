//! Commits that git itself has signed with keys of ssh-keygen.

use std::path::Path;
use std::process::Command;

use super::forge::{Forge, git};
use super::{ONE, TWO, fetch, texts};

fn key(folder: &Path, name: &str) -> String {
    let path = folder.join(name).display().to_string();
    let mut keygen = Command::new("ssh-keygen");
    let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path]).status();
    assert!(made.unwrap().success());
    path
}

/// Commits the file with this text, signed with a key.
fn push_signed(forge: &Forge, text: &str, key: &str) {
    std::fs::write(forge.path().join("users.yaml"), text).unwrap();
    git(forge.path(), &["add", "--all"]);
    let key = format!("user.signingkey={key}");
    let signing = ["-c", "gpg.format=ssh", "-c", &key];
    git(
        forge.path(),
        &[&signing[..], &["commit", "--quiet", "-S", "--message", "Signed"]].concat(),
    );
}

#[test]
fn a_roster_is_used_only_if_its_changes_are_signed_by_a_listed_key() {
    let (forge, folder) = (Forge::new(), tempfile::tempdir().unwrap());
    let [matt, zoe] = ["matt", "zoe"].map(|name| key(folder.path(), name));
    let allowed = folder.path().join("allowed_signers");
    let public = std::fs::read_to_string(format!("{matt}.pub")).unwrap();
    std::fs::write(&allowed, format!("matt@acme.io {public}")).unwrap();
    let mut source = forge.source(folder.path(), "main", &["users.yaml"]);
    source.git.as_mut().unwrap().ssh_signers = Some(allowed.clone());
    let load = || {
        fetch(&source).unwrap();
        let found = source.load();
        let accepted = found.as_ref().ok().map(|sources| source.accept(sources).unwrap());
        assert_eq!(accepted.is_some(), found.is_ok());
        found
    };
    let refused = |why: &str| {
        let problem = load().unwrap_err().remove(0);
        assert!(problem.code == "not-signed" && problem.message.contains(why), "{problem:?}");
        let accepted = source.last_accepted();
        accepted.map(|it| texts(&Ok(it))[0].1.to_owned())
    };
    forge.push("users.yaml", ONE, "Not signed");
    assert_eq!(refused("it has no signature"), None);
    push_signed(&forge, TWO, &zoe);
    assert_eq!(refused("is not listed"), None);
    push_signed(&forge, ONE, &matt);
    assert_eq!(texts(&load()), [("users.yaml", ONE)]);
    forge.push("README", "", "Nobody signs this");
    assert_eq!(texts(&load()), [("users.yaml", ONE)]);
    forge.push("users.yaml", TWO, "Not signed");
    assert_eq!(refused("it has no signature").as_deref(), Some(ONE));
    push_signed(&forge, &format!("{TWO}# more\n"), &matt);
    assert_eq!(refused("it has no signature").as_deref(), Some(ONE), "it has a part without");
    git(forge.path(), &["revert", "--no-edit", "HEAD", "HEAD~1"]);
    assert_eq!(texts(&load()), [("users.yaml", ONE)], "what is undone is no change");
    std::fs::write(&allowed, format!("matt@acme.io valid-before=\"20200101\" {public}")).unwrap();
    push_signed(&forge, TWO, &matt);
    assert_eq!(refused("is not valid now").as_deref(), Some(ONE));
}
