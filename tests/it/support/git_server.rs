//! A git server that answers with what a test wants, right or wrong, and needs no git binary.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gix::ObjectId;
use gix::hash::Kind as Hash;
use gix::objs::Kind;
use parking_lot::Mutex;

/// How a server answers a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// 200 with this body.
    Body(Vec<u8>),
    /// A body that ends too early.
    Cut(Vec<u8>),
    /// The first part, then the second one without end.
    Endless(Vec<u8>, Vec<u8>),
    /// A body in pieces of one byte, with this pause between them.
    Drip(Vec<u8>, Duration),
    /// A status line, and headers.
    Status(&'static str),
    /// Nothing, not even headers.
    Silence,
    /// A body that begins so and never goes on.
    Stop(Vec<u8>),
    /// Bytes that are no HTTP.
    Raw(&'static [u8]),
}

/// The replies to the three requests of a fetch: what the server can do, its refs, the pack.
#[derive(Clone, Debug)]
pub struct Replies {
    pub abilities: Reply,
    pub refs: Reply,
    pub pack: Reply,
}

/// It serves until the process exits.
pub struct GitServer {
    pub url: String,
    pub replies: Arc<Mutex<Replies>>,
    /// The heads of all requests.
    pub requests: Arc<Mutex<Vec<String>>>,
    /// Number of bytes of the longest endless answer.
    pub sent: Arc<AtomicUsize>,
    /// Number of endless answers that nobody reads any more.
    pub given_up: Arc<AtomicUsize>,
}

impl GitServer {
    pub fn start(replies: Replies) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/access.git", listener.local_addr().unwrap());
        let server = Self {
            url,
            replies: Arc::new(Mutex::new(replies)),
            requests: Arc::default(),
            sent: Arc::default(),
            given_up: Arc::default(),
        };
        let (replies, requests) = (Arc::clone(&server.replies), Arc::clone(&server.requests));
        let (sent, given_up) = (Arc::clone(&server.sent), Arc::clone(&server.given_up));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (replies, requests) = (Arc::clone(&replies), Arc::clone(&requests));
                let (sent, given_up) = (Arc::clone(&sent), Arc::clone(&given_up));
                std::thread::spawn(move || {
                    let (head, body) = request(&stream)?;
                    requests.lock().push(head.clone());
                    let reply = replies.lock().for_request(&head, &body);
                    let is_endless = matches!(reply, Reply::Endless(..));
                    let ended = answer(&mut stream, reply, &sent);
                    given_up.fetch_add((is_endless && ended.is_err()).into(), Ordering::Relaxed);
                    Some(())
                });
            }
        });
        server
    }
}

impl Replies {
    /// A branch `main` whose commit has this file.
    pub fn of(name: &str, text: &str) -> Self {
        let (tip, objects) = commit(name, text);
        Self::with(tip, &pack(&objects))
    }

    /// A branch `main` with this pack.
    pub fn with(tip: ObjectId, pack: &[u8]) -> Self {
        let abilities = "version 2\n|ls-refs\n|fetch\n|object-format=sha1\n";
        let abilities =
            abilities.split('|').map(|text| packet(text.as_bytes())).collect::<Vec<_>>();
        let abilities = [packet(b"# service=git-upload-pack\n"), b"0000".to_vec()]
            .into_iter()
            .chain(abilities)
            .collect::<Vec<_>>();
        let refs = packet(format!("{tip} refs/heads/main\n").as_bytes());
        Self {
            abilities: Reply::Body([&abilities.concat()[..], b"0000"].concat()),
            refs: Reply::Body([&refs[..], b"0000"].concat()),
            pack: Reply::Body(packfile(pack)),
        }
    }

    fn for_request(&self, head: &str, body: &str) -> Reply {
        if head.starts_with("GET ") {
            self.abilities.clone()
        } else if body.contains("command=ls-refs") {
            self.refs.clone()
        } else {
            self.pack.clone()
        }
    }
}

fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let lines = head.to_ascii_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |text| text.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}

fn answer(stream: &mut TcpStream, reply: Reply, sent: &AtomicUsize) -> std::io::Result<()> {
    let head = |length: usize| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
    };
    match reply {
        Reply::Body(body) => {
            stream.write_all(head(body.len()).as_bytes())?;
            stream.write_all(&body)
        }
        Reply::Cut(body) => {
            stream.write_all(head(body.len() + 1).as_bytes())?;
            stream.write_all(&body)
        }
        Reply::Endless(first, rest) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&first)?;
            let mut count = first.len();
            loop {
                stream.write_all(&rest)?;
                count += rest.len();
                sent.fetch_max(count, Ordering::Relaxed);
            }
        }
        Reply::Drip(body, pause) => {
            stream.write_all(head(body.len()).as_bytes())?;
            for byte in body {
                stream.write_all(&[byte])?;
                std::thread::sleep(pause);
            }
            Ok(())
        }
        Reply::Status(status) => {
            let length = "Connection: close\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(format!("HTTP/1.1 {status}\r\n{length}").as_bytes())
        }
        Reply::Silence => until_closed(stream),
        Reply::Stop(body) => {
            stream.write_all(head(body.len() + 1).as_bytes())?;
            stream.write_all(&body)?;
            until_closed(stream)
        }
        Reply::Raw(bytes) => stream.write_all(bytes),
    }
}

fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(drop)
}

/// A packet of git's protocol.
pub fn packet(data: &[u8]) -> Vec<u8> {
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

/// The reply to a fetch: a pack in packets.
pub fn packfile(pack: &[u8]) -> Vec<u8> {
    let packets = pack.chunks(60_000).map(|part| packet(&[b"\x01", part].concat()));
    let packets: Vec<_> = packets.collect();
    [packet(b"packfile\n"), packets.concat(), b"0000".to_vec()].concat()
}

pub type Object = (Kind, Vec<u8>);

/// A commit with one file, and its objects.
pub fn commit(name: &str, text: &str) -> (ObjectId, Vec<Object>) {
    let id = |kind, data: &[u8]| gix::objs::compute_hash(Hash::Sha1, kind, data).unwrap();
    let blob = id(Kind::Blob, text.as_bytes());
    let tree = [format!("100644 {name}\0").as_bytes(), blob.as_bytes()].concat();
    let who = "Matt <matt@acme.io> 1800000000 +0000";
    let tree_id = id(Kind::Tree, &tree);
    let commit = format!("tree {tree_id}\nauthor {who}\ncommitter {who}\n\nBegin\n").into_bytes();
    let tip = id(Kind::Commit, &commit);
    let blob = (Kind::Blob, text.as_bytes().to_vec());
    (tip, vec![(Kind::Commit, commit), (Kind::Tree, tree), blob])
}

/// The begin of a pack.
pub fn pack_head(count: usize) -> Vec<u8> {
    [b"PACK\0\0\0\x02", &u32::try_from(count).unwrap().to_be_bytes()[..]].concat()
}

/// The begin of an object of a pack: the number of its kind, and its size.
pub fn object_head(kind: u8, size: u64) -> Vec<u8> {
    let (mut left, mut head) = (size >> 4, vec![kind << 4 | u8::try_from(size & 15).unwrap()]);
    while left > 0 {
        *head.last_mut().unwrap() |= 0x80;
        head.push(u8::try_from(left & 0x7f).unwrap());
        left >>= 7;
    }
    head
}

pub fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A pack with these objects.
pub fn pack(objects: &[Object]) -> Vec<u8> {
    let mut pack = pack_head(objects.len());
    for (kind, data) in objects {
        let number = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        pack.extend(object_head(number, data.len() as u64));
        pack.extend(deflated(data));
    }
    sealed(pack)
}

/// Adds the checksum.
pub fn sealed(mut pack: Vec<u8>) -> Vec<u8> {
    let mut hasher = gix::hash::hasher(Hash::Sha1);
    hasher.update(&pack);
    pack.extend(hasher.try_finalize().unwrap().as_bytes());
    pack
}
