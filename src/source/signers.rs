//! Checks that a commit is signed with one of the SSH keys in a file. The file has the format of
//! git's `gpg.ssh.allowedSignersFile`: ssh-keygen(1), "ALLOWED SIGNERS". Settings of git do not
//! count, and no process is started.
//!
//! Unlike for ssh-keygen, a time without a `Z` is UTC too, and a security key (`sk-…`) must have
//! been touched. Certificates and patterns of namespaces are not supported.

mod sshsig;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use gix::objs::signature::Format;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use self::sshsig::{SshSig, fields, number, unarmored};
use super::file::not_text;
use super::read_limited;
use crate::diagnostic::Diagnostic;
use crate::escape::escape;

/// Maximum size of the file, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The types of keys that are supported, and how many fields such a key has.
const TYPES: [(&str, usize); 6] = [
    ("ssh-ed25519", 2),
    ("ecdsa-sha2-nistp256", 3),
    ("ecdsa-sha2-nistp384", 3),
    ("ssh-rsa", 3),
    ("sk-ssh-ed25519@openssh.com", 3),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 4),
];
/// Size of the modulus of an RSA key, in bytes.
const RSA: RangeInclusive<usize> = 256..=1024;

/// The keys of a file of allowed signers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers(Vec<Signer>);

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signer {
    principals: String,
    /// Its fields as bytes.
    key: Vec<u8>,
    /// When the key counts.
    valid: RangeInclusive<Timestamp>,
}

impl Signers {
    /// Reads the file. Lines for other namespaces than `git` are skipped.
    pub fn read(path: &Path) -> Result<Self, Diagnostic> {
        let name = path.to_string_lossy();
        let name = escape(&name);
        let bytes = read_limited(path, MAX_BYTES).map_err(|error| {
            let message = format!("cannot read {name}: {error}");
            invalid(message, "write a file of allowed signers, of at most 1 MiB")
        })?;
        let text = String::from_utf8(bytes).map_err(|error| not_text(&name, &error))?;
        let mut signers = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if !line.is_empty() && !line.starts_with('#') {
                signers.extend(Signer::parse(line).map_err(|problem| {
                    let message = format!("{name}:{number}: {}", problem.message);
                    Diagnostic { message, ..problem }
                })?);
            }
        }
        if signers.is_empty() {
            let message = format!("{name} has no key for commits");
            return Err(invalid(message, "add a line as `alexandra@acme.io ssh-ed25519 AAAA…`"));
        }
        Ok(Self(signers))
    }

    /// The principals of the key that has signed the commit, as the file has them. The error is
    /// why the commit does not count as signed, for example "it has no signature".
    ///
    /// A key must be valid at `now`: the author of a commit chooses its date.
    pub fn check(&self, commit: &gix::Commit<'_>, now: Timestamp) -> Result<String, String> {
        let broken = |error: gix::Error| format!("it cannot be read: {error}");
        let decoded = commit.decode().map_err(broken)?;
        let headers = decoded.extra_headers.iter();
        if headers.filter(|(name, _)| name.starts_with(b"gpgsig")).count() > 1 {
            return Err("it has more than one signature".into());
        }
        let (armor, signed) = commit.signature().map_err(broken)?.ok_or("it has no signature")?;
        match Format::from_signature(&armor) {
            Some(Format::Ssh) => {}
            Some(Format::OpenPgp) => return Err("it is signed with OpenPGP, not with SSH".into()),
            _ => return Err("it is not signed with SSH".into()),
        }
        let bytes = unarmored(&armor);
        let signature = bytes.as_deref().and_then(SshSig::read);
        let signature = signature.ok_or("its signature cannot be read")?;
        if signature.namespace != b"git" {
            let namespace = String::from_utf8_lossy(signature.namespace);
            return Err(format!("it is signed for `{}`, not for `git`", escape(&namespace)));
        }
        let digest = STANDARD_NO_PAD.encode(Sha256::digest(signature.key));
        let mut listed = self.0.iter().filter(|signer| signer.key == signature.key).peekable();
        listed.peek().ok_or_else(|| format!("its key SHA256:{digest} is not listed"))?;
        let signer = listed.find(|signer| signer.valid.contains(&now));
        let signer = signer.ok_or_else(|| format!("its key SHA256:{digest} is not valid now"))?;
        signature.verify(&signed.to_bstring())?;
        Ok(signer.principals.clone())
    }
}

impl Signer {
    /// A line `principals [options] type key [comment]`. None if it is for other namespaces.
    fn parse(line: &str) -> Result<Option<Self>, Diagnostic> {
        let is_type = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|it| word.starts_with(it));
        let (principals, options, kind, key) = match split(line, char::is_whitespace)[..] {
            [principals, kind, key, ..] if is_type(kind) => (principals, "", kind, key),
            [principals, options, kind, key, ..] if is_type(kind) => {
                (principals, options, kind, key)
            }
            _ => {
                let message = "not a line of allowed signers".to_owned();
                return Err(invalid(message, "write `principals [options] type key`"));
            }
        };
        let (mut is_for_git, mut after, mut before) = (true, Timestamp::MIN, Timestamp::MAX);
        for option in split(options, |character| character == ',') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = value.trim_matches('"');
            match &*name.to_ascii_lowercase() {
                "namespaces" if !value.contains(['*', '?', '!']) => {
                    is_for_git &= value.split(',').any(|name| name == "git");
                }
                "valid-after" => after = after.max(time(value)?),
                "valid-before" => before = before.min(time(value)?),
                _ => {
                    let message = format!("the option `{}` is not supported", escape(option));
                    let hint = "certificates and patterns are not supported; use `namespaces`, \
                                `valid-after` and `valid-before`";
                    return Err(invalid(message, hint));
                }
            }
        }
        let (principals, valid) = (principals.trim_matches('"').to_owned(), after..=before);
        let signer = || Ok(Self { principals, key: supported(kind, key)?, valid });
        is_for_git.then(signer).transpose()
    }
}

/// The parts of a text between separators. Those in quotes do not count.
fn split(text: &str, is_separator: fn(char) -> bool) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = text.split(|character| {
        is_quoted ^= character == '"';
        !is_quoted && is_separator(character)
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// A time in UTC, with or without a `Z`: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`.
fn time(text: &str) -> Result<Timestamp, Diagnostic> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let is_complete = [8, 12, 14].contains(&digits.len());
    let is_complete = is_complete && digits.bytes().all(|byte| byte.is_ascii_digit());
    let time = DateTime::strptime("%Y%m%d%H%M%S", format!("{digits:0<14}")).ok();
    let time = time.filter(|_| is_complete).and_then(|it| TimeZone::UTC.to_timestamp(it).ok());
    time.ok_or_else(|| {
        let message = format!("`{}` is not a valid time", escape(text));
        invalid(message, "write `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC")
    })
}

/// A key of a type and size that can be verified.
fn supported(kind: &str, key: &str) -> Result<Vec<u8>, Diagnostic> {
    let hint = "use Ed25519, ECDSA with P-256 or P-384, or RSA with 2048 to 8192 bits";
    let supported = TYPES.iter().find(|(name, _)| *name == kind);
    let (_, count) = supported.ok_or_else(|| {
        invalid(format!("keys of type `{}` are not supported", escape(kind)), hint)
    })?;
    let key = STANDARD.decode(key).unwrap_or_default();
    let fields = fields(&key).unwrap_or_default();
    if fields.first() != Some(&kind.as_bytes()) || fields.len() != *count {
        let message = format!("not a key of type `{kind}`");
        return Err(invalid(message, "copy it from its `.pub` file"));
    }
    if let [b"ssh-rsa", _, modulus] = fields[..] {
        let size = number(modulus).map_or(0, <[u8]>::len);
        if !RSA.contains(&size) {
            return Err(invalid(format!("RSA keys of {} bits are not supported", size * 8), hint));
        }
    }
    Ok(key)
}

fn invalid(message: String, hint: &str) -> Diagnostic {
    Diagnostic::error("signers", message).hint(hint)
}
