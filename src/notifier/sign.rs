//! Signs notices as in Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks>), so that a receiver can detect forged
//! and replayed ones.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// A secret with this prefix is base64; any other is used as it is.
const PREFIX: &str = "whsec_";

/// The headers of a message; None if the base64 of the secret is invalid.
pub fn headers(
    secret: &SecretString,
    id: &str,
    at: Timestamp,
    body: &str,
) -> Option<[(&'static str, String); 3]> {
    let secret = secret.expose_secret();
    let key = match secret.strip_prefix(PREFIX) {
        Some(encoded) => BASE64_STANDARD.decode(encoded).ok()?,
        None => secret.as_bytes().to_vec(),
    };
    let at = at.as_second().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    for part in [id, ".", &at, ".", body] {
        mac.update(part.as_bytes());
    }
    let signature = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    Some([
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at),
        ("webhook-signature", signature),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference libraries.
    #[test]
    fn the_signature_of_the_reference_example_matches() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let body = "{\"test\": 2432232314}";
        let signed = headers(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body).unwrap();
        assert_eq!(signed[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(headers(&SecretString::from("whsec_?"), "a", at, body).is_none());
    }
}
