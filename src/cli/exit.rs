//! Exit codes, and why a command cannot go on.

use crate::diagnostic::InputError;

/// Success.
pub const OK: u8 = 0;
/// Something failed.
pub const FAILED: u8 = 1;
/// `--detailed-exitcode`: there are changes to make.
pub const CHANGES: u8 = 2;
/// Something is held, and nothing failed.
pub const HELD: u8 = 3;
/// Wrong usage (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
/// The configuration or the roster is invalid (`EX_CONFIG` of sysexits.h).
pub const INVALID: u8 = 78;

/// Why a command cannot go on.
#[derive(Debug)]
pub enum CliError {
    /// The command line makes no sense here.
    Usage(String),
    /// Files with problems, each with its place.
    Invalid(InputError),
    /// It waits for an operator's decision.
    Held(String),
    /// Something else went wrong.
    Failed(String),
}

impl CliError {
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Invalid(_) => INVALID,
            Self::Held(_) => HELD,
            Self::Failed(_) => FAILED,
        }
    }
}

impl From<InputError> for CliError {
    fn from(error: InputError) -> Self {
        Self::Invalid(error)
    }
}

/// The worst of several workspaces: invalid, failed, held, changes, success.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    const ORDER: [u8; 4] = [INVALID, FAILED, HELD, CHANGES];
    let codes: Vec<u8> = codes.into_iter().collect();
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_workspace_decides() {
        assert_eq!(worst([]), OK);
        assert_eq!(worst([OK, HELD, OK]), HELD);
        assert_eq!(worst([HELD, FAILED, OK]), FAILED);
        assert_eq!(worst([FAILED, INVALID]), INVALID);
    }
}
