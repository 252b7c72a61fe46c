//! What is said about a configuration, without the secrets that a mistake may have put into it.

use super::keys;
use super::secrets::TOKEN_PREFIX;
use crate::diagnostic::Diagnostic;

/// Keeps a source line to itself unless it certainly holds no secret, and takes words of the file
/// out of what is said about such a line.
pub(super) fn hush(problem: &mut Diagnostic, text: &str) {
    let line = |number: u32| text.lines().nth(number.saturating_sub(1) as usize);
    let is_open = |number: u32| line(number).is_some_and(is_harmless);
    let places = problem.place.iter().chain(problem.related.iter().map(|(place, _)| place));
    let open = problem.code != "yaml-syntax" && places.into_iter().all(|it| is_open(it.line));
    problem.conceal |= !open;
    let meant = problem.hint.as_deref().is_some_and(|hint| hint.starts_with("did you mean"));
    if problem.code == "unknown-key" && problem.conceal && !meant {
        "unknown key".clone_into(&mut problem.message);
    }
    if problem.message.contains(TOKEN_PREFIX) {
        "a token stands here".clone_into(&mut problem.message);
    }
    if problem.hint.as_deref().is_some_and(|hint| hint.contains(TOKEN_PREFIX)) {
        problem.hint = None;
    }
}

/// Whether a line begins with a key that never has a secret beside it, and looks like nothing else.
fn is_harmless(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ");
    let Some((key, value)) = line.split_once(':') else { return false };
    let known = [
        &keys::FILE[..],
        &keys::SCHEDULE,
        &keys::WATCH,
        &keys::WORKSPACE,
        &keys::GUARD,
        &keys::BUDGETS,
        &keys::BUDGET,
        &keys::HTTP,
    ];
    let is_known = known.iter().any(|keys| keys.contains(&key));
    let is_secret = ["credentials", "store"].contains(&key);
    let looks_secret = ["api_", TOKEN_PREFIX, "@", "secret"].iter().any(|it| value.contains(it));
    is_known && !is_secret && !looks_secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_certainly_hold_no_secret_are_drawn() {
        for line in ["version: 1", "  - name: acme", "    guard: { min_admins: x }", "cron: '@x'"] {
            assert_eq!(is_harmless(line), !line.contains('@'), "{line}");
        }
        for line in [
            "api_secret: hidden",
            "api_secrt: hidden",
            "token: hidden",
            "credentials: { api_secret: hidden }",
            "- { name: acme, credentials: { api_secret: hidden } }",
            "hidden",
            "- hidden",
            "endpoint: https://user:hidden@api.acme.io",
            "name: prdm_wsp_hidden",
            "store: postgres://user:hidden@db/ledger",
        ] {
            assert!(!is_harmless(line), "{line}");
        }
    }
}
