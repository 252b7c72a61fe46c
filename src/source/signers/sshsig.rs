//! Signatures by SSH keys
//! (<https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED as P256, ECDSA_P384_SHA384_FIXED as P384, ED25519,
    RSA_PKCS1_2048_8192_SHA256 as RSA_SHA256, RSA_PKCS1_2048_8192_SHA512 as RSA_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use sha2::{Digest as _, Sha256, Sha512};

/// Maximum length of a signature as text.
const MAX_ARMOR: usize = 64 << 10;
/// How a signature begins: a mark and the version.
const START: &[u8] = b"SSHSIG\0\0\0\x01";
/// How a message for git begins: a mark, the fields `git` and "", and three bytes of the length of
/// the next.
const FOR_GIT: &[u8] = b"SSHSIG\0\0\0\x03git\0\0\0\0\0\0\0";
/// Length of the flags and the counter that follow a signature by a security key.
const TRAILER: usize = 5;
/// The flag of a security key that was touched.
const TOUCHED: u8 = 1;
pub const MISMATCH: &str = "its signature does not match";

/// A signature of any text.
#[derive(Clone, Copy)]
pub struct SshSig<'a> {
    /// Its fields as bytes.
    pub key: &'a [u8],
    /// What it was made for: `git` for commits.
    pub namespace: &'a [u8],
    hash: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SshSig<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        match fields(bytes.strip_prefix(START)?)?[..] {
            [key, namespace, [], hash, signature] => Some(Self { key, namespace, hash, signature }),
            _ => None,
        }
    }

    /// Verifies that the key has signed the text for git. The error is why that does not count.
    pub fn verify(&self, text: &[u8]) -> Result<(), &'static str> {
        let message = match self.hash {
            b"sha256" => [FOR_GIT, b"\x06sha256\0\0\0\x20", &Sha256::digest(text)].concat(),
            b"sha512" => [FOR_GIT, b"\x06sha512\0\0\0\x40", &Sha512::digest(text)].concat(),
            _ => return Err(MISMATCH),
        };
        verify(self.key, self.signature, &message)
    }
}

/// The bytes between the first and the last line. Lines may have any length.
pub fn unarmored(armor: &[u8]) -> Option<Vec<u8>> {
    let armor = std::str::from_utf8(armor).ok().filter(|armor| armor.len() <= MAX_ARMOR)?;
    let text: String = armor.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(text).ok()
}

/// The fields of a key or signature, each after its length
/// (<https://www.rfc-editor.org/rfc/rfc4251#section-5>).
pub fn fields(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        bytes = rest;
    }
    Some(fields)
}

/// A positive number without the zero before its first bit.
pub fn number(field: &[u8]) -> Option<&[u8]> {
    match field {
        [0, number @ ..] if number.first().is_some_and(|first| *first >= 0x80) => Some(number),
        [0x01..0x80, ..] => Some(field),
        _ => None,
    }
}

/// Verifies the signature of a message. The error is why it does not count.
fn verify(key: &[u8], signature: &[u8], message: &[u8]) -> Result<(), &'static str> {
    let key = fields(key).unwrap_or_default();
    let (signature, message) = match key[..] {
        // What a security key signs:
        // <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.u2f>.
        [kind, .., application] if kind.starts_with(b"sk-") => {
            let (signature, trailer) = signature.split_last_chunk::<TRAILER>().ok_or(MISMATCH)?;
            if trailer[0] & TOUCHED == 0 {
                return Err("its security key was not touched");
            }
            let [application, message] = [application, message].map(Sha256::digest);
            (signature, [&application[..], trailer, &message].concat())
        }
        _ => (signature, message.to_vec()),
    };
    let signature = fields(signature).unwrap_or_default();
    let [algorithm, bytes] = signature[..] else { return Err(MISMATCH) };
    let verified = match key[..] {
        [b"ssh-rsa", e, n] => {
            let (n, e) = number(n).zip(number(e)).ok_or(MISMATCH)?;
            let algorithm = match algorithm {
                b"rsa-sha2-256" => &RSA_SHA256,
                b"rsa-sha2-512" => &RSA_SHA512,
                _ => return Err(MISMATCH),
            };
            RsaPublicKeyComponents { n, e }.verify(algorithm, &message, bytes)
        }
        [kind, ..] if kind != algorithm => return Err(MISMATCH),
        [b"ssh-ed25519", point] | [b"sk-ssh-ed25519@openssh.com", point, _] => {
            UnparsedPublicKey::new(&ED25519, point).verify(&message, bytes)
        }
        [b"ecdsa-sha2-nistp384", _, point] => {
            let bytes = ecdsa(bytes, 48).ok_or(MISMATCH)?;
            UnparsedPublicKey::new(&P384, point).verify(&message, &bytes)
        }
        [b"ecdsa-sha2-nistp256", _, point]
        | [b"sk-ecdsa-sha2-nistp256@openssh.com", _, point, _] => {
            let bytes = ecdsa(bytes, 32).ok_or(MISMATCH)?;
            UnparsedPublicKey::new(&P256, point).verify(&message, &bytes)
        }
        _ => return Err(MISMATCH),
    };
    verified.map_err(|_| MISMATCH)
}

/// The two numbers of an ECDSA signature, each with `size` bytes.
fn ecdsa(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let fields = fields(bytes)?;
    let [r, s] = fields[..] else { return None };
    let padded = |field| {
        let number = number(field)?;
        let missing = size.checked_sub(number.len())?;
        Some([&vec![0; missing], number].concat())
    };
    Some([padded(r)?, padded(s)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_numbers_have_one_form() {
        assert_eq!(fields(b"\0\0\0\x02ab\0\0\0\0"), Some(vec![&b"ab"[..], b""]));
        for bytes in [&b"\0\0\0"[..], b"\0\0\0\x01", b"\xff\xff\xff\xffab", b"\0\0\0\x01ab"] {
            assert_eq!(fields(bytes), None, "{bytes:?}");
        }
        for (field, expected) in [
            (&[0, 0x80][..], Some(&[0x80][..])),
            (&[0x7f, 0], Some(&[0x7f, 0])),
            (&[0x01], Some(&[0x01])),
            (&[0x80], None),
            (&[0, 0x7f], None),
            (&[0], None),
            (&[], None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
        assert_eq!(ecdsa(b"\0\0\0\x01\x02\0\0\0\x02\0\x80", 2), Some(vec![0, 2, 0, 0x80]));
        assert_eq!(ecdsa(b"\0\0\0\x03\x02\0\0\0\0\0\x02\0\x80", 2), None, "too long");
        assert_eq!(ecdsa(b"\0\0\0\x01\x02", 2), None, "one number");
    }

    #[test]
    fn a_signature_has_one_version_and_nothing_unknown() {
        let fields = b"\0\0\0\x01k\0\0\0\x03git\0\0\0\0\0\0\0\x01h\0\0\0\x01s";
        let signature = [START, fields].concat();
        let read = |bytes: &[u8]| SshSig::read(bytes).map(|it| (it.key.len(), it.signature.len()));
        assert_eq!(read(&signature), Some((1, 1)));
        assert_eq!(read(&[b"SSHSIG\0\0\0\x02", &fields[..]].concat()), None);
        assert_eq!(read(&[&signature[..], b"\0\0\0\0"].concat()), None);
        let reserved = signature.len() - 11;
        assert_eq!(signature[reserved], 0);
        let [before, after] = [&signature[..reserved], &signature[reserved + 1..]];
        assert_eq!(read(&[before, b"\x01r", after].concat()), None);
    }

    #[test]
    fn a_long_signature_is_not_read() {
        let armor = |length: usize| unarmored("A".repeat(length).as_bytes());
        assert_eq!(armor(MAX_ARMOR).map(|bytes| bytes.len()), Some(MAX_ARMOR / 4 * 3));
        assert_eq!(armor(MAX_ARMOR + 4), None);
    }
}
