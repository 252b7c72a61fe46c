//! The memory of a daemon whose git server sends too much.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cli::test_env::{TestEnv, eventually};
use crate::support::git_server::{GitServer, Replies, Reply, object_head, pack_head, packet};

/// A deployment may give it no more.
const MEMORY: u64 = 128 << 20;
const SOON: Duration = Duration::from_mins(2);

/// The beginning of a zlib stream, and a block of it that is not compressed and not the last.
fn stored() -> (Vec<u8>, Vec<u8>) {
    let length = u16::MAX;
    let data: Vec<u8> = (0..length).map(|at| at.wrapping_mul(40_503).to_le_bytes()[1]).collect();
    let head = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    (vec![0x78, 0x01], [head, data].concat())
}

fn band(data: &[u8]) -> Vec<u8> {
    let packets = data.chunks(60_000).map(|part| packet(&[b"\x01", part].concat()));
    packets.collect::<Vec<_>>().concat()
}

/// What never ends, and is sent instead of a pack.
fn endless() -> [(&'static str, Reply); 3] {
    let (begin, block) = stored();
    let start = |count: usize, object: &[u8]| {
        [packet(b"packfile\n"), band(&[pack_head(count), object.to_vec()].concat())].concat()
    };
    let object = [object_head(3, 10 << 30), begin].concat();
    [
        ("an object of 10 GiB", Reply::Endless(start(1, &object), band(&block))),
        ("progress", Reply::Endless(start(1, b""), packet(&vec![2; 60_000]))),
        ("no pack", Reply::Endless(Vec::new(), packet(&vec![b'x'; 60_000]))),
    ]
}

#[test]
fn an_endless_answer_costs_little_memory() {
    for (name, pack) in endless() {
        let server = GitServer::start(Replies { pack, ..Replies::of("users.yaml", "users: []") });
        let mut env = TestEnv::new();
        env.set("ROSTERD_USERS", &format!("{}#main:users.yaml", server.url));
        let daemon = env.spawn(&[]);
        eventually(SOON, name, || server.given_up.load(Ordering::Relaxed) > 0);
        let (sent, peak) = (server.sent.load(Ordering::Relaxed), daemon.peak());
        println!("{name}: {} MiB sent, at most {} MiB of memory", sent >> 20, peak >> 20);
        // The sockets have buffers.
        assert!((200 << 20..280 << 20).contains(&sent), "{name}: {sent} bytes");
        assert!(peak < MEMORY, "{name}: {peak} bytes");
    }
}
