//! Reads the credentials of a workspace when they are used.

use secrecy::{ExposeSecret as _, SecretString};

use super::{CredentialSource, WorkspaceConfig};
use crate::client::Credentials;
use crate::source::secret::{SecretError, SecretSource};
use crate::yaml::redact::TOKEN_PREFIX;

/// Prefix of company tokens. They give access to several workspaces, so one must be named.
const COMPANY_PREFIX: &str = "prdm_cmp_";

impl WorkspaceConfig {
    /// Reads the secrets. A company token without a `workspace_uid` is an error.
    pub fn read_credentials(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Credentials, SecretError> {
        let credentials = self.credentials.read(env)?;
        if let Credentials::Token(token) = &credentials
            && token.expose_secret().starts_with(COMPANY_PREFIX)
            && self.connection.workspace_uid.is_none()
        {
            return Err(self.credentials.api_secret.error(
                "a company token needs the workspace: set `workspace_uid`, or \
                 PARADIME_WORKSPACE_UID without a configuration file",
            ));
        }
        Ok(credentials)
    }
}

impl CredentialSource {
    /// Where the secrets come from, and what looks wrong with them, without their text.
    pub fn describe(&self, credentials: &Credentials) -> String {
        let mut parts = Vec::new();
        let mut add = |source: &SecretSource, secret: &SecretString| {
            let text = secret.expose_secret();
            let oddity = if text.starts_with(['"', '\'']) && text.ends_with(['"', '\'']) {
                ", which is in quotes"
            } else if text.trim() != text {
                ", which begins or ends with a blank"
            } else {
                ""
            };
            parts.push(format!("{}{oddity}", source.name()));
        };
        match (credentials, &self.api_key) {
            (Credentials::KeyPair { key, secret }, Some(api_key)) => {
                add(api_key, key);
                add(&self.api_secret, secret);
            }
            (Credentials::Token(secret) | Credentials::KeyPair { secret, .. }, _) => {
                add(&self.api_secret, secret);
            }
        }
        parts.join(", and ")
    }

    /// Reads the secrets. A secret that begins with `prdm_` is a token; any other needs a key.
    pub fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Credentials, SecretError> {
        let secret = self.api_secret.read(env)?;
        if secret.starts_with(TOKEN_PREFIX) {
            return Ok(Credentials::Token(SecretString::from(secret)));
        }
        let Some(key) = &self.api_key else {
            return Err(self.api_secret.error("not a token, so `api_key` is required too"));
        };
        let key = SecretString::from(key.read(env)?);
        Ok(Credentials::KeyPair { key, secret: SecretString::from(secret) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(key: Option<&str>, secret: SecretSource) -> CredentialSource {
        CredentialSource {
            api_key: key.map(|key| SecretSource::Env(key.into())),
            api_secret: secret,
        }
    }

    fn env(name: &str) -> Option<String> {
        Some(str::to_owned(match name {
            "KEY" => "key",
            "SECRET" => "hidden\n",
            "TOKEN" => "prdm_wsp_hidden",
            "EMPTY" => "\n",
            "BAD" => "hid\u{7}den",
            _ => return None,
        }))
    }

    #[test]
    fn the_prefix_distinguishes_a_token_from_a_pair() {
        let pair = source(Some("KEY"), SecretSource::Env("SECRET".into())).read(&env).unwrap();
        let Credentials::KeyPair { key, secret } = pair else { panic!("a pair") };
        assert_eq!((key.expose_secret(), secret.expose_secret()), ("key", "hidden"));
        for key in [None, Some("KEY"), Some("GONE")] {
            let token = source(key, SecretSource::Env("TOKEN".into())).read(&env).unwrap();
            assert!(matches!(token, Credentials::Token(_)), "a token needs no key");
        }
    }

    #[test]
    fn a_file_is_read_at_each_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = source(Some("KEY"), SecretSource::File(file.path().to_owned()));
        assert!(source.read(&env).is_err(), "empty");
        std::fs::write(file.path(), "prdm_wsp_x\r\n").unwrap();
        assert!(matches!(source.read(&env).unwrap(), Credentials::Token(_)));
        std::fs::write(file.path(), "rotated").unwrap();
        assert!(matches!(source.read(&env).unwrap(), Credentials::KeyPair { .. }));
    }

    #[test]
    fn errors_name_the_source_and_never_the_value() {
        for (key, name) in [
            (None, "SECRET"),
            (Some("GONE"), "SECRET"),
            (Some("KEY"), "BAD"),
            (Some("KEY"), "EMPTY"),
        ] {
            let problem = source(key, SecretSource::Env(name.into())).read(&env).unwrap_err();
            let said = format!("{problem} {problem:?}");
            assert!(said.contains("environment variable"), "{said}");
            assert!(!said.contains("hid"), "{said}");
        }
        let gone = source(Some("KEY"), SecretSource::File("/nowhere/secret".into()));
        assert!(gone.read(&env).unwrap_err().to_string().contains("/nowhere/secret"));
        for source in [
            SecretSource::File("x\u{1b}[2J".repeat(999).into()),
            SecretSource::Env("Y".repeat(9_999)),
        ] {
            let problem = source.read(&env).unwrap_err().to_string();
            assert!(problem.len() < 2_000 && !problem.contains('\u{1b}'), "{problem}");
        }
    }
}
