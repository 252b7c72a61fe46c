//! The secrets, read at the moment of use.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::{CredentialSource, SecretSource, WorkspaceConfig};
use crate::client::Credentials;
use crate::source;

/// A value that begins so is a bearer token.
pub const TOKEN_PREFIX: &str = "prdm_";
/// A token of a company begins so: it opens several workspaces, and one has to be named.
const COMPANY_PREFIX: &str = "prdm_cmp_";
/// A larger file holds no secret.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a secret cannot be used. Nothing of its value is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct SecretError {
    /// Where it was looked for.
    place: String,
    why: String,
}

impl WorkspaceConfig {
    /// Reads the secrets as they are now. A company token is refused where no `workspace_uid`
    /// says which workspace is meant.
    pub fn read_credentials(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Credentials, SecretError> {
        let credentials = self.credentials.read(env)?;
        if let Credentials::Token(token) = &credentials
            && token.expose_secret().starts_with(COMPANY_PREFIX)
            && self.connection.workspace_uid.is_none()
        {
            return Err(self.credentials.api_secret.problem(
                "this is a company token, so the workspace must be named: set `workspace_uid`, or \
                 PARADIME_WORKSPACE_UID without a configuration",
            ));
        }
        Ok(credentials)
    }
}

impl CredentialSource {
    /// Reads the secrets as they are now. A secret that begins with `prdm_` is a token;
    /// any other one needs a key.
    pub fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Credentials, SecretError> {
        let secret = self.api_secret.read(env)?;
        if secret.starts_with(TOKEN_PREFIX) {
            return Ok(Credentials::Token(SecretString::from(secret)));
        }
        let Some(key) = &self.api_key else {
            return Err(self
                .api_secret
                .problem("this is no token, so an api_key is needed with it"));
        };
        let key = SecretString::from(key.read(env)?);
        Ok(Credentials::KeyPair { key, secret: SecretString::from(secret) })
    }
}

impl SecretSource {
    /// Reads the secret as it is now.
    pub fn resolve(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<SecretString, SecretError> {
        self.read(env).map(SecretString::from)
    }

    fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<String, SecretError> {
        let value = match self {
            Self::Env(name) => env(name).ok_or_else(|| self.problem("it is not set"))?,
            Self::File(path) => {
                let bytes =
                    source::bounded(path, MAX_BYTES).map_err(|error| self.problem(error))?;
                String::from_utf8(bytes).map_err(|_| self.problem("it is not text"))?
            }
            Self::Sandbox(value) => (*value).to_owned(),
        };
        let value = value.trim_end_matches(['\n', '\r']);
        if value.is_empty() {
            return Err(self.problem("it is empty"));
        }
        if value.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return Err(self.problem("it has characters that no secret has"));
        }
        Ok(value.to_owned())
    }

    fn problem(&self, why: impl fmt::Display) -> SecretError {
        let place = match self {
            Self::Env(name) => format!("the environment variable {name}"),
            Self::File(path) => format!("the file {}", path.display()),
            Self::Sandbox(_) => "the sandbox".to_owned(),
        };
        SecretError { place, why: why.to_string() }
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
    fn a_pair_and_a_token_are_told_apart_by_the_value() {
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
    fn a_problem_says_where_and_never_what() {
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
    }
}
