//! Reads secrets when they are used.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use super::read_limited;
use crate::escape::escape;
use crate::files::denied;

/// Maximum size of a secret file.
const MAX_BYTES: usize = 64 * 1024;

/// Where a secret is. It is read at every use and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    Env(String),
    File(PathBuf),
    /// A public value of the embedded sandbox, not a secret.
    Sandbox(&'static str),
}

/// Why a secret is not usable. It contains nothing of the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {why}")]
pub struct SecretError {
    /// Where the secret is read from.
    source_name: String,
    why: String,
}

impl SecretSource {
    /// Reads the secret.
    pub fn resolve(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<SecretString, SecretError> {
        self.read(env).map(SecretString::from)
    }

    /// The secret as text.
    pub fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<String, SecretError> {
        let value = match self {
            Self::Env(name) => env(name).ok_or_else(|| self.error("not set"))?,
            Self::File(path) => {
                let bytes = read_limited(path, MAX_BYTES).map_err(|error| {
                    self.error(denied(path, false).unwrap_or_else(|| error.to_string()))
                })?;
                String::from_utf8(bytes).map_err(|_| self.error("not UTF-8"))?
            }
            Self::Sandbox(value) => (*value).to_owned(),
        };
        let value = value.trim_end_matches(['\n', '\r']);
        if value.is_empty() {
            return Err(self.error("empty"));
        }
        if value.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return Err(self.error("contains characters that are not allowed in a secret"));
        }
        Ok(value.to_owned())
    }

    /// A problem with the secret.
    pub fn error(&self, why: impl fmt::Display) -> SecretError {
        SecretError { source_name: self.name(), why: why.to_string() }
    }

    /// The variable or file, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Env(name) => format!("the environment variable {}", escape(name)),
            Self::File(path) => format!("the file {}", escape(&path.to_string_lossy())),
            Self::Sandbox(_) => "the sandbox".to_owned(),
        }
    }
}
