//! Fetches a ref of a git server over HTTP, with version 2 of git's protocol
//! (<https://git-scm.com/docs/protocol-v2>). The whole history comes in one pack.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use gix::ObjectId;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use tokio::runtime::{Builder, Runtime};

use super::pack;
use crate::client::cause;

/// Maximum size of a pack, in bytes.
const MAX_PACK: u64 = 256 << 20;
/// Maximum size of a list of refs, in bytes.
const MAX_REFS: u64 = 1 << 20;
/// Maximum length of a packet, including its length.
const MAX_PACKET: usize = 65_520;

/// One repository on a server.
pub struct Server<'a> {
    url: &'a Url,
    client: Client,
    /// The header of user and password.
    authorization: Option<header::HeaderValue>,
    deadline: Instant,
    /// Packs are read by code that blocks.
    runtime: Runtime,
}

/// The body of a response.
struct Body<'a> {
    response: Response,
    /// What of the last chunk was not read.
    left: bytes::Bytes,
    runtime: &'a Runtime,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            let chunk = self.runtime.block_on(self.response.chunk());
            match chunk.map_err(|error| io::Error::other(said(&error)))? {
                Some(chunk) => self.left = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left.split_to(count));
        Ok(count)
    }
}

/// A packet of the protocol: text or a mark.
#[derive(Debug, PartialEq, Eq)]
enum Packet {
    Data(Vec<u8>),
    Flush,
    /// The end of a section.
    Delimiter,
}

impl<'a> Server<'a> {
    pub fn new(
        url: &'a Url,
        client: Client,
        authorization: Option<header::HeaderValue>,
        deadline: Instant,
    ) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok(Self { url, client, authorization, deadline, runtime })
    }

    /// The commit that a ref names: `HEAD`, a branch, a tag, or a name that begins with `refs/`.
    pub fn tip(&self, reference: &str) -> Result<ObjectId, String> {
        self.check_version()?;
        let names = match reference {
            name if name == "HEAD" || name.starts_with("refs/") => vec![name.to_owned()],
            name => ["heads", "tags"].map(|kind| format!("refs/{kind}/{name}")).to_vec(),
        };
        let prefixes = names.iter().map(|name| format!("ref-prefix {name}"));
        let arguments: Vec<_> = ["peel".to_owned()].into_iter().chain(prefixes).collect();
        let mut refs = self.ask("ls-refs", &arguments)?.take(MAX_REFS);
        let mut found = Vec::new();
        while let Packet::Data(line) = packet(&mut refs).map_err(broken)? {
            let line = String::from_utf8(line).map_err(|_| "a ref that is not UTF-8")?;
            let mut words = line.split_whitespace();
            let (Some(id), Some(name)) = (words.next(), words.next()) else { continue };
            let peeled = words.find_map(|word| word.strip_prefix("peeled:")).unwrap_or(id);
            found.push((name.to_owned(), peeled.to_owned()));
        }
        let found = names.iter().find_map(|name| found.iter().find(|(it, _)| it == name));
        let (_, id) = found.ok_or_else(|| {
            format!("there is no branch or tag `{reference}`; check `ref`, and that it was pushed")
        })?;
        id.parse().map_err(|_| format!("`{reference}` has no valid commit"))
    }

    /// Writes the objects of a commit that those of `have` do not reach into the folder of packs.
    pub fn fetch(&self, want: ObjectId, have: &[ObjectId], packs: &Path) -> Result<(), String> {
        let have = have.iter().map(|id| format!("have {id}"));
        let mut arguments = vec!["ofs-delta".to_owned(), format!("want {want}")];
        arguments.extend(have.chain(["done".to_owned()]));
        let mut body = self.ask("fetch", &arguments)?.take(MAX_PACK);
        loop {
            match packet(&mut body).map_err(broken)? {
                Packet::Data(line) if line.trim_ascii() == b"packfile" => break,
                Packet::Data(line) if line.trim_ascii() == b"shallow-info" => {
                    return Err("the server has only a shallow clone; use the whole one".into());
                }
                Packet::Data(_) | Packet::Delimiter => {}
                Packet::Flush => return Err("it sent no objects".into()),
            }
        }
        pack::store(&mut PackReader::new(body), packs, self.deadline)
    }

    /// Asks for version 2 of the protocol, and for names of objects by SHA-1.
    fn check_version(&self) -> Result<(), String> {
        let url = self.address("info/refs?service=git-upload-pack");
        let mut body = self.send(self.client.get(url))?.take(MAX_REFS);
        let mut lines = Vec::new();
        // Over HTTP a line with the service and a flush may come first.
        for _ in 0..2 {
            while let Packet::Data(line) = packet(&mut body).map_err(broken)? {
                lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if lines.iter().any(|line| line == "version 2") {
                break;
            }
        }
        if !lines.iter().any(|line| line == "version 2") {
            return Err("the server does not speak version 2 of git's protocol".into());
        }
        if lines.iter().any(|line| line == "object-format=sha256") {
            return Err("repositories with SHA-256 are not supported; use one with SHA-1".into());
        }
        Ok(())
    }

    fn ask(&self, command: &str, arguments: &[String]) -> Result<Body<'_>, String> {
        let mut body = line(&format!("command={command}")) + &line("object-format=sha1") + "0001";
        body.extend(arguments.iter().map(|argument| line(argument)));
        body += "0000";
        let request = self.client.post(self.address("git-upload-pack"));
        let kind = "application/x-git-upload-pack-request";
        self.send(request.header(header::CONTENT_TYPE, kind).body(body))
    }

    fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.url.as_str().trim_end_matches('/'))
    }

    fn send(&self, request: RequestBuilder) -> Result<Body<'_>, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut request = request
            .header("Git-Protocol", "version=2")
            .header(header::USER_AGENT, concat!("git/rosterd-", env!("CARGO_PKG_VERSION")));
        request = request.timeout(left.max(Duration::from_millis(1)));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response =
            self.runtime.block_on(async { request.send().await }).map_err(|error| said(&error))?;
        match response.status() {
            StatusCode::OK => {
                Ok(Body { response, left: bytes::Bytes::new(), runtime: &self.runtime })
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(format!("answered {status}: check the token, and that it may read the code"))
            }
            StatusCode::NOT_FOUND => {
                Err("answered 404 Not Found: check the address, and that the \
                                          token may read the repository"
                    .into())
            }
            status if status.is_redirection() => {
                Err(format!("answered {status}: write the address that it has now"))
            }
            status => Err(format!("answered {status}")),
        }
    }
}

/// A line in a packet.
fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

fn packet(reader: &mut impl Read) -> io::Result<Packet> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not a packet of git's protocol");
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = std::str::from_utf8(&length).ok().filter(|text| !text.starts_with('+'));
    let length =
        length.and_then(|text| usize::from_str_radix(text, 16).ok()).ok_or_else(invalid)?;
    match length {
        0 => Ok(Packet::Flush),
        1 => Ok(Packet::Delimiter),
        4..=MAX_PACKET => {
            let mut data = vec![0; length - 4];
            reader.read_exact(&mut data)?;
            match data.strip_prefix(b"ERR ") {
                Some(why) => Err(io::Error::other(String::from_utf8_lossy(why).trim().to_owned())),
                None => Ok(Packet::Data(data)),
            }
        }
        _ => Err(invalid()),
    }
}

/// The pack within packets: each begins with the number of its band.
struct PackReader<R> {
    inner: R,
    left: Vec<u8>,
    at: usize,
    /// It was read to its end, and stays there: nothing is read after it.
    has_ended: bool,
}

impl<R> PackReader<R> {
    fn new(inner: R) -> Self {
        Self { inner, left: Vec::new(), at: 0, has_ended: false }
    }
}

impl<R: Read> Read for PackReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.left.len() && !self.has_ended {
            match packet(&mut self.inner)? {
                Packet::Data(data) if data.first() == Some(&1) => (self.left, self.at) = (data, 1),
                // Progress.
                Packet::Data(data) if data.first() == Some(&2) => {}
                Packet::Data(data) => {
                    let why = String::from_utf8_lossy(data.get(1..).unwrap_or_default());
                    return Err(io::Error::other(why.trim().to_owned()));
                }
                Packet::Flush | Packet::Delimiter => self.has_ended = true,
            }
        }
        let count = buffer.len().min(self.left.len() - self.at);
        buffer[..count].copy_from_slice(&self.left[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn broken(error: io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        "its answer is cut off, or too large".to_owned()
    } else {
        format!("its answer is not usable: {error}")
    }
}

fn said(error: &reqwest::Error) -> String {
    if error.is_timeout() { "did not answer in time".to_owned() } else { cause(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(mut bytes: &[u8]) -> Vec<Result<Packet, String>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            found.push(packet(&mut bytes).map_err(broken));
            if found.last().is_some_and(Result::is_err) {
                break;
            }
        }
        found
    }

    #[test]
    fn packets_are_data_or_marks() {
        let data = |text: &str| Ok(Packet::Data(text.into()));
        let both = line("version 2") + "00010000";
        let all = [data("version 2\n"), Ok(Packet::Delimiter), Ok(Packet::Flush)];
        assert_eq!(packets(both.as_bytes()), all);
        assert_eq!(packets(b"0004"), [data("")]);
        for (bytes, why) in [
            (&b"0003"[..], "not a packet"),
            (b"fffff", "not a packet"),
            (b"<htm", "not a packet"),
            (b"+001", "not a packet"),
            (b"0009ab", "cut off"),
            (b"00", "cut off"),
            (b"0010ERR no entry", "no entry"),
        ] {
            let found = packets(bytes);
            let message = found[0].as_ref().unwrap_err();
            assert!(found.len() == 1 && message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_pack_is_what_the_first_band_holds() {
        let read = |bytes: &[u8]| {
            let mut all = Vec::new();
            let mut reader = PackReader::new(bytes);
            let read = reader.read_to_end(&mut all).map(|_| all).map_err(broken);
            assert!(read.is_err() || reader.read(&mut [0]).unwrap() == 0, "it has ended");
            read
        };
        assert_eq!(
            read(b"0008\x01PAC0007\x02\xff!0005\x010006\x01K0000rest"),
            Ok(b"PACK".to_vec())
        );
        assert_eq!(read(b"0007\x01ab0009\x03none"), Err("its answer is not usable: none".into()));
        assert!(read(b"0007\x01ab").unwrap_err().contains("cut off"));
        assert!(read(b"0004").is_err(), "no band");
    }
}
