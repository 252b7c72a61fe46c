//! Git servers that answer wrongly, slowly or without end: what was fetched before stays in force.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gix::ObjectId;
use rosterd::source::RosterSource;
use rosterd::source::remote::{GitRemote, clone_folder};
use rosterd::source::secret::SecretSource;
use tempfile::TempDir;

use crate::cli::test_env::eventually;
use crate::support::git_server::{
    GitServer, Replies, Reply, commit, deflated, object_head, pack, pack_head, packet, packfile,
    sealed,
};

const ONE: &str = "version: 1\nusers:\n  - { email: alexandra@acme.io, role: ADMIN }\n";
const TWO: &str = "version: 1\nusers:\n  - { email: matt@acme.io, role: ADMIN }\n";

/// A source with a clone that has [`ONE`], at a server that has [`TWO`] next.
struct Fixture {
    server: GitServer,
    source: RosterSource,
    state: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let (server, state) = (GitServer::start(one()), tempfile::tempdir().unwrap());
        let source = source(&server.url, state.path());
        fetch(&source).unwrap();
        source.accept(&source.load().unwrap()).unwrap();
        *server.replies.lock() = two();
        Self { server, source, state }
    }

    /// Fetches from a server that answers so, and returns why that fails.
    fn failure(&self, replies: Replies) -> String {
        *self.server.replies.lock() = replies;
        fetch(&self.source).expect_err("the answer is wrong")
    }

    /// The clone is as it was, so that failures do not fill a disk.
    fn check_unchanged(&self, case: &str) {
        assert_eq!(text(&self.source), ONE, "{case}");
        let packs = self.source.git.as_ref().unwrap().clone.join("objects/pack");
        let mut names: Vec<_> = std::fs::read_dir(packs)
            .unwrap()
            .map(|entry| entry.unwrap().path().extension().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["idx", "pack"], "{case}");
    }

    /// A right answer is taken afterwards.
    fn check_recovers(&self) {
        *self.server.replies.lock() = two();
        fetch(&self.source).unwrap();
        assert_eq!(self.source.load().unwrap_err()[0].code, "rewritten", "TWO has no parent");
        assert!(self.state.path().exists());
    }
}

fn one() -> Replies {
    Replies::of("users.yaml", ONE)
}

fn two() -> Replies {
    Replies::of("users.yaml", TWO)
}

fn source(url: &str, state: &Path) -> RosterSource {
    let url: reqwest::Url = url.parse().unwrap();
    let clone = clone_folder(state, &url, "main");
    let remote = GitRemote::new(url, "main".to_owned(), clone);
    let users = vec!["users.yaml".to_owned()];
    RosterSource { git: Some(remote), ..RosterSource::new(users, "".into()) }
}

fn fetch(source: &RosterSource) -> Result<(), String> {
    source.git.as_ref().unwrap().fetch().map_err(|problem| problem.message)
}

fn text(source: &RosterSource) -> String {
    let found = source.load().unwrap();
    found.iter().next().unwrap().1.text.clone()
}

/// The half of a body.
fn half(reply: &Reply) -> Vec<u8> {
    let Reply::Body(body) = reply else { panic!("a body") };
    body[..body.len() / 2].to_vec()
}

fn body(text: &str) -> Reply {
    Reply::Body(text.into())
}

#[test]
fn a_wrong_list_of_refs_is_refused() {
    let fixture = Fixture::new();
    let abilities = |lines: [&str; 2]| {
        let packets = lines.map(|line| packet(line.as_bytes())).concat();
        Reply::Body([&packets[..], b"00000000"].concat())
    };
    let refs = |text: &str| Reply::Body([&packet(text.as_bytes())[..], b"0000"].concat());
    for (abilities, why) in [
        (body("<html>Sign in</html>"), "not a packet"),
        (body(""), "cut off"),
        (body("0000"), "cut off"),
        (body("00000000"), "version 2"),
        (abilities(["version 1", "fetch"]), "version 2"),
        (abilities(["version 2", "object-format=sha256"]), "SHA-256"),
        (Reply::Cut(half(&two().abilities)), "usable"),
        (Reply::Raw(b""), ""),
        (Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n"), ""),
        (Reply::Endless(Vec::new(), packet(&[b'x'; 1000])), "too large"),
    ] {
        let case = format!("{abilities:?}");
        let found = fixture.failure(Replies { abilities, ..two() });
        assert!(found.contains(why), "{case}: {found}");
        fixture.check_unchanged(&case);
    }
    for (refs, why) in [
        (body("0000"), "no branch or tag `main`"),
        (refs("ba5eba11 refs/heads/main"), "no valid commit"),
        (refs("unborn refs/heads/main"), "no valid commit"),
        (refs("refs/heads/main"), "no branch or tag"),
        (refs("ERR access denied"), "access denied"),
        (Reply::Body([&packet(b"\xff refs/heads/main")[..], b"0000"].concat()), "UTF-8"),
        (Reply::Cut(half(&two().refs)), "usable"),
        (Reply::Endless(Vec::new(), packet(&[b'x'; 1000])), "too large"),
    ] {
        let case = format!("{refs:?}");
        let found = fixture.failure(Replies { refs, ..two() });
        assert!(found.contains(why), "{case}: {found}");
        fixture.check_unchanged(&case);
    }
    let given_up = || fixture.server.given_up.load(Ordering::Relaxed) == 2;
    eventually(Duration::from_secs(20), "endless answers are not read to the end", given_up);
    fixture.check_recovers();
}

#[test]
fn a_wrong_pack_is_refused() {
    let fixture = Fixture::new();
    let (tip, objects) = commit("users.yaml", TWO);
    let good = pack(&objects);
    let with = |pack: &[u8]| Reply::Body(packfile(pack));
    let changed = |at: usize| {
        let mut pack = good.clone();
        pack[at] ^= 1;
        with(&pack)
    };
    let one_object = |kind: u8, size: u64, data: &[u8]| {
        with(&sealed([pack_head(1), object_head(kind, size), deflated(data)].concat()))
    };
    let reference = [object_head(7, 4), vec![7; 20], deflated(b"\x01\x01\x01x")].concat();
    let before_it = [object_head(6, 4), vec![100], deflated(b"\x01\x01\x01x")].concat();
    let message = |band: u8, text: &[u8]| packet(&[&[band], text].concat());
    let begin = packet(b"packfile\n");
    for (name, reply, why) in [
        ("no pack", body("0000"), "no objects"),
        ("no HTTP body", body(""), "cut off"),
        ("an error", Reply::Body([&begin[..], &message(3, b"no space")].concat()), "no space"),
        ("only progress", Reply::Body([&begin[..], &message(2, b"10%"), b"0000"].concat()), "cut"),
        ("no packet", Reply::Body([&begin[..], b"PACK"].concat()), "not a packet"),
        ("shallow", Reply::Body(packet(b"shallow-info\n")), "shallow"),
        ("no signature", changed(0), "usable"),
        ("another version", changed(7), "usable"),
        ("another object", changed(30), "usable"),
        ("a wrong checksum", changed(good.len() - 1), "checksum"),
        ("too few objects", with(&sealed([&pack_head(9), &good[12..]].concat())), "usable"),
        ("no end", with(&good[..good.len() - 20]), "usable"),
        ("half of it", Reply::Cut(half(&with(&good))), "usable"),
        ("no objects at all", with(&sealed(pack_head(0))), "is not a commit"),
        ("too many objects", with(&sealed(pack_head(1_000_001))), "1000001 objects"),
        ("another size", one_object(3, 5, b"four"), "as large as it says"),
        ("an object of 10 GiB", one_object(3, 10 << 30, b"four"), "10240 MiB"),
        (
            "a dictionary",
            with(&sealed([&pack_head(1)[..], b"\x34\x78\x20\0\0\0\0"].concat())),
            "usable",
        ),
        ("cut within an object", with(&good[..40]), "as large as it says"),
        ("more than it says", one_object(3, 3, b"four"), "as large as it says"),
        ("an unknown kind", one_object(5, 4, b"four"), "usable"),
        ("no base", with(&sealed([pack_head(1), reference].concat())), "usable"),
        ("a base before it", with(&sealed([pack_head(1), before_it].concat())), "usable"),
    ] {
        let found = fixture.failure(Replies { pack: reply, ..Replies::with(tip, &[]) });
        assert!(found.contains(why), "{name}: {found}");
        fixture.check_unchanged(name);
    }
    fixture.check_recovers();
}

#[test]
fn a_pack_without_the_commit_is_refused() {
    let fixture = Fixture::new();
    let (tip, objects) = commit("users.yaml", TWO);
    for objects in [&commit("users.yaml", "x").1, &objects[2..]] {
        let found = fixture.failure(Replies::with(tip, &pack(objects)));
        assert!(found.contains("is not a commit"), "{found}");
        assert_eq!(text(&fixture.source), ONE);
    }
    fixture.check_recovers();
}

/// A commit whose tree is missing is no reason to forget the one in force.
#[test]
fn an_incomplete_pack_leaves_the_last_commit_in_force() {
    let fixture = Fixture::new();
    let (tip, objects) = commit("users.yaml", TWO);
    *fixture.server.replies.lock() = Replies::with(tip, &pack(&objects[..1]));
    let _ = fetch(&fixture.source);
    if let Ok(found) = fixture.source.load() {
        assert_eq!(found.iter().next().unwrap().1.text, ONE);
    }
    let accepted = fixture.source.last_accepted().unwrap();
    assert_eq!(accepted.iter().next().unwrap().1.text, ONE);
}

#[test]
fn the_answers_of_a_server_say_what_to_do() {
    let fixture = Fixture::new();
    for (status, parts) in [
        ("401 Unauthorized", ["401", "token"]),
        ("403 Forbidden", ["403", "token"]),
        ("404 Not Found", ["404", "address"]),
        ("500 Internal Server Error", ["500", ""]),
        ("503 Service Unavailable", ["503", ""]),
        ("204 No Content", ["204", ""]),
        ("304 Not Modified", ["304", ""]),
    ] {
        for place in 0..3 {
            let mut replies = two();
            *[&mut replies.abilities, &mut replies.refs, &mut replies.pack][place] =
                Reply::Status(status);
            let found = fixture.failure(replies);
            assert!(parts.iter().all(|part| found.contains(part)), "{status}: {found}");
            fixture.check_unchanged(status);
        }
    }
    fixture.check_recovers();
}

/// They would send the token to another host.
#[test]
fn redirects_are_not_followed() {
    let mut fixture = Fixture::new();
    let token = SecretSource::Sandbox("secret-of-git");
    fixture.source.git.as_mut().unwrap().token = Some(token);
    let other = GitServer::start(two());
    for code in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let status = format!("{code}\r\nLocation: {}/info/refs", other.url);
        let abilities = Reply::Status(status.leak());
        let found = fixture.failure(Replies { abilities, ..two() });
        assert!(found.contains(&code[..3]) && found.contains("address"), "{found}");
        assert!(!found.contains("secret-of-git"), "{found}");
        fixture.check_unchanged(code);
    }
    assert_eq!(other.requests.lock().len(), 0);
    assert!(fixture.server.requests.lock().last().unwrap().contains("uthorization: Basic "));
}

/// The limit is one for the whole fetch, also while some bytes arrive.
#[test]
fn a_server_that_stops_answering_is_given_up() {
    let mut fixture = Fixture::new();
    fixture.source.git.as_mut().unwrap().time_limit = Duration::from_millis(200);
    let pause = Duration::from_millis(20);
    let slow = |reply: &Reply| Reply::Drip(half(reply), pause);
    for (name, replies) in [
        ("no headers", Replies { abilities: Reply::Silence, ..two() }),
        ("no list of refs", Replies { refs: Reply::Silence, ..two() }),
        ("no pack", Replies { pack: Reply::Silence, ..two() }),
        (
            "half of what it can do",
            Replies { abilities: Reply::Stop(half(&two().abilities)), ..two() },
        ),
        ("half of the refs", Replies { refs: Reply::Stop(half(&two().refs)), ..two() }),
        ("half of a pack", Replies { pack: Reply::Stop(half(&two().pack)), ..two() }),
        ("a slow list", Replies { abilities: slow(&two().abilities), ..two() }),
        ("a slow pack", Replies { pack: slow(&two().pack), ..two() }),
    ] {
        let started = Instant::now();
        let found = fixture.failure(replies);
        assert!(found.contains("in time"), "{name}: {found}");
        assert!(started.elapsed() < Duration::from_secs(20), "{name}");
        fixture.check_unchanged(name);
    }
    fixture.source.git.as_mut().unwrap().time_limit = Duration::from_mins(1);
    fixture.check_recovers();
}

#[test]
fn a_server_that_nobody_listens_for_is_an_error() {
    let fixture = Fixture::new();
    let mut source = fixture.source.clone();
    source.git.as_mut().unwrap().url = "http://127.0.0.1:1/access.git".parse().unwrap();
    fetch(&source).unwrap_err();
    fixture.check_unchanged("nobody listens");
}

#[test]
fn what_is_known_is_not_fetched_again() {
    let fixture = Fixture::new();
    let fetched =
        |requests: &[String]| requests.iter().filter(|head| head.starts_with("POST ")).count();
    *fixture.server.replies.lock() = one();
    let before = fetched(&fixture.server.requests.lock());
    fetch(&fixture.source).unwrap();
    assert_eq!(fetched(&fixture.server.requests.lock()), before + 1, "only the refs");
    assert_eq!(fixture.server.sent.load(Ordering::Relaxed), 0);
    let none: ObjectId = ObjectId::null(gix::hash::Kind::Sha1);
    let found = fixture.failure(Replies::with(none, &pack(&commit("users.yaml", TWO).1)));
    assert!(found.contains("is not a commit"), "{found}");
}
