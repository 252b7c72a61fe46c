use gix::prelude::Write as _;

use super::sshsig::MISMATCH;
use super::*;

const GOOD: [&str; 7] =
    ["ed25519", "sha256", "ecdsa256", "ecdsa384", "rsa", "sk-ed25519", "sk-ecdsa"];
const NOW: &str = "2026-11-30T12:00:00Z";

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/signers/");
    std::fs::read_to_string(folder.to_owned() + name).unwrap()
}

fn read(text: &str) -> Result<Signers, Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signers");
    std::fs::write(&path, text).unwrap();
    Signers::read(&path)
}

/// A check of commits by the file.
fn checks(file: &str, now: &str) -> impl Fn(&str) -> Result<String, String> + use<> {
    let (folder, signers) = (tempfile::tempdir().unwrap(), read(file).unwrap());
    let repository = gix::init_bare(folder.path()).unwrap().with_object_memory();
    let now = now.parse().unwrap();
    move |commit| {
        let id = repository.objects.write_buf(gix::objs::Kind::Commit, commit.as_bytes()).unwrap();
        signers.check(&repository.find_commit(id).unwrap(), now)
    }
}

/// A commit before, in and after its signature.
fn parts(commit: &str) -> [&str; 3] {
    let (before, rest) = commit.split_at(commit.find("gpgsig ").unwrap());
    let (signature, after) = rest.split_at(rest.find("\n\n").unwrap() + 1);
    [before, signature, after]
}

#[test]
fn a_commit_with_a_listed_key_is_signed_by_its_principals() {
    let check = checks(&fixture("allowed_signers"), NOW);
    for name in GOOD {
        assert_eq!(check(&fixture(name)), Ok("alexandra@acme.io".into()), "{name}");
    }
    // Other programs break lines elsewhere.
    let commit = fixture("rsa");
    let [before, signature, after] = parts(&commit);
    let signature = signature.replace("\n ", "").replace("-----U1N", "-----\n U1N");
    let signature = signature.replace("-----END", "\n -----END");
    assert_eq!(check(&[before, &signature, after].concat()), Ok("alexandra@acme.io".into()));
}

#[test]
fn any_other_commit_is_not_signed() {
    let check = checks(&fixture("allowed_signers"), NOW);
    let why = |commit: &str| check(commit).unwrap_err();
    for (name, expected) in [
        ("unsigned", "it has no signature"),
        ("openpgp", "it is signed with OpenPGP, not with SSH"),
        ("unlisted", "its key SHA256:wnr206Z6Az0gtfBDxm4WBYhNfh24em0WnlvP9Q5xLMk is not listed"),
        ("namespace", "it is signed for `file`, not for `git`"),
        ("sk-untouched", "its security key was not touched"),
    ] {
        assert_eq!(why(&fixture(name)), expected, "{name}");
    }
    for name in GOOD {
        let commit = fixture(name);
        for (part, other) in [("Zoe", "Max"), ("tree 5", "tree 6"), ("4000000", "4000001")] {
            assert_eq!(why(&commit.replace(part, other)), MISMATCH, "{name}: {other}");
        }
    }
    let (commit, other) = (fixture("ed25519"), fixture("sha256"));
    let ([before, signature, after], [_, foreign, _]) = (parts(&commit), parts(&other));
    assert_eq!(why(&[before, foreign, after].concat()), MISMATCH);
    for second in [foreign.to_owned(), foreign.replace("gpgsig ", "gpgsig-sha256 ")] {
        for both in [[signature, &second], [&second, signature]].map(|both| both.concat()) {
            assert_eq!(why(&[before, &both, after].concat()), "it has more than one signature");
        }
    }
    let kind = commit.replace("BEGIN SSH SIGNATURE", "BEGIN SIGNED MESSAGE");
    assert_eq!(why(&kind), "it is not signed with SSH");
    for (part, other) in [("U1N", "U2N"), ("U1N", "!!!"), ("\n -----END", "AAAA\n -----END")] {
        assert_eq!(why(&commit.replace(part, other)), "its signature cannot be read", "{other}");
    }
}

#[test]
fn no_bit_of_a_signature_may_differ() {
    let check = checks(&fixture("allowed_signers"), NOW);
    for name in GOOD {
        let commit = fixture(name);
        let start = commit.find("U1N").unwrap();
        for at in start..commit.find("\n -----END").unwrap() {
            let bit = if commit.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = [&commit[..at], bit, &commit[at + 1..]].concat();
            assert!(check(&changed).is_err(), "{name}: {at}\n{changed}");
        }
    }
}

#[test]
fn a_key_counts_while_it_is_valid() {
    let (commit, file) = (fixture("ed25519"), fixture("allowed_signers"));
    let check = |options: &str, now: &str| {
        let file = file.replace("io ssh-ed25519", &format!("io {options} ssh-ed25519"));
        checks(&file, now)(&commit).is_ok()
    };
    let both = "valid-after=\"20260101\",Valid-Before=\"202607011230Z\"";
    for (options, now, is_valid) in [
        (both, "2025-12-31T23:59:59Z", false),
        (both, "2026-01-01T00:00:00Z", true),
        (both, "2026-07-01T12:30:00Z", true),
        (both, "2026-07-01T12:30:01Z", false),
        ("valid-before=20260701123059", "2026-07-01T12:30:59Z", true),
        ("valid-before=20260701123059z", "2026-07-01T12:31:00Z", false),
        ("valid-after=20260101,valid-after=20270101", NOW, false),
        ("valid-after=20270101,valid-after=20260101", NOW, false),
    ] {
        assert_eq!(check(options, now), is_valid, "{options} {now}");
    }
    // The second line has the same key.
    let expired = file.replace("io ssh-ed25519", "io valid-before=20200101 ssh-ed25519");
    let fingerprint = "SHA256:OkEVFQ9dXV8bk2tHDecLoBYubSfeJmM3VaFd9Tw4XZU";
    let why = format!("its key {fingerprint} is not valid now");
    assert_eq!(checks(&expired, NOW)(&commit), Err(why));
    assert!(checks(&(expired + &file), NOW)(&commit).is_ok());
}

#[test]
fn lines_are_read_as_by_ssh_keygen() {
    let file = fixture("allowed_signers");
    let key = file.lines().nth(1).and_then(|line| line.split_once(' ')).unwrap().1;
    for (line, expected) in [
        (format!("alexandra@acme.io {key} her laptop"), "alexandra@acme.io"),
        (format!("  alexandra@acme.io\tnamespaces=\"file,git\" {key}\r"), "alexandra@acme.io"),
        (format!("\"Alexandra, at work\" {key}"), "Alexandra, at work"),
        (format!("alexandra@acme.io,matt@acme.io {key}"), "alexandra@acme.io,matt@acme.io"),
        (format!("# keys\n\n* namespaces=\"file\" {key}\nmatt {key}"), "matt"),
    ] {
        assert_eq!(checks(&line, NOW)(&fixture("ed25519")), Ok(expected.into()), "{line}");
    }
}

#[test]
fn an_error_says_where_it_is_and_what_to_do() {
    let file = fixture("allowed_signers");
    let key = file.lines().nth(1).and_then(|line| line.split_once(' ')).unwrap().1;
    let p256 = file.lines().nth(2).unwrap();
    let short = format!("alexandra@acme.io {}", fixture("rsa1024.pub"));
    let option = |option: &str| format!("alexandra@acme.io {option} {key}");
    for (line, message, hint) in [
        (key.to_owned(), "not a line of allowed signers", "write `principals"),
        ("alexandra@acme.io ssh-ed25519".into(), "not a line", "write `principals"),
        (format!("\"alexandra@acme.io {key}"), "not a line", "write `principals"),
        (option("cert-authority"), "the option `cert-authority` is not", "certificates"),
        (option("no-touch-required"), "the option `no-touch-required` is", "use `namespaces`"),
        (option("namespaces=\"*\""), "the option `namespaces=\"*\"`", "patterns"),
        (option("valid-after=2026"), "`2026` is not a valid time", "YYYYMMDD"),
        (option("valid-after=20261301"), "`20261301` is not", "YYYYMMDD"),
        (option("valid-before=\"2026010\""), "`2026010` is not", "YYYYMMDD"),
        (option("valid-before=2026-1-1"), "`2026-1-1` is not", "YYYYMMDD"),
        (option("").replace("AAAA", "AAAB"), "not a key of type `ssh-ed25519`", "`.pub` file"),
        (option("").replace("AAAAC3", "AAAA!3"), "not a key of type `ssh-ed25519`", "`.pub` file"),
        (option("").replace("-ed25519", "-dss"), "keys of type `ssh-dss`", "use Ed25519"),
        (
            option("").replace("-ed25519", "-ed25519-cert-v01@openssh.com"),
            "keys of type `ssh-ed25519-cert-v01@openssh.com` are not supported",
            "use Ed25519",
        ),
        (option("") + "AAAAAA==", "not a key of type `ssh-ed25519`", "`.pub` file"),
        (p256.replace("256 ", "384 "), "not a key of type `ecdsa-sha2-nistp384`", "`.pub` file"),
        (short, "RSA keys of 1024 bits are not supported", "2048"),
    ] {
        let problem = read(&format!("{file}{line}\n")).unwrap_err();
        let place = format!("/signers:9: {message}");
        assert!(problem.message.contains(&place), "{line}: {}", problem.message);
        assert!(problem.hint.unwrap().contains(hint), "{line}");
    }
    let others = ["namespaces=\"file\"", "namespaces=\"file\",namespaces=\"git\""].map(option);
    for text in ["", "# none\n", &others[0], &others[1]] {
        let problem = read(text).unwrap_err().with_hint();
        assert!(problem.contains("/signers has no key for commits; add a line"), "{problem}");
    }
    let problem = Signers::read(Path::new("/nowhere")).unwrap_err().message;
    assert!(problem.starts_with("cannot read /nowhere: No such file"), "{problem}");
}
