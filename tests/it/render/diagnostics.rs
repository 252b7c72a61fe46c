//! Diagnostics as text, as JSON and as GitHub annotations.

use rosterd::diagnostic::{Diagnostic, FileId, Place, Sources};
use rosterd::render::{diagnostics, github};

use super::place;

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.add(
        "users.yaml",
        format!(
            "users:\n  - email: ada@acme.io\n  - email: \u{1b}[31mx@acme.io\n{}token@acme.io # {}\n",
            "y".repeat(500),
            "z".repeat(500)
        ),
    );
    sources
}

fn spot(sources: &Sources, text: &str) -> Place {
    let whole = &sources.get(FileId(0)).unwrap().text;
    let start = whole.find(text).unwrap();
    let line = whole[..start].matches('\n').count() + 1;
    let column = whole[..start].chars().rev().take_while(|c| *c != '\n').count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap();
    Place {
        file: FileId(0),
        line: number(line),
        column: number(column),
        start: number(start),
        end: number(start + text.len()),
    }
}

fn problems(sources: &Sources) -> Vec<Diagnostic> {
    vec![
        Diagnostic::error("duplicate-address", "duplicate address `x@acme.io`")
            .at(spot(sources, "x@acme.io"))
            .label("listed again here")
            .related(spot(sources, "ada@acme.io"), "first listed here")
            .hint("remove one of the two, or join them with `aliases`"),
        Diagnostic::warning("bad-address", "bad\u{1b} address").at(spot(sources, "token@acme.io")),
        Diagnostic::error("secret-in-file", "a secret stands in the file")
            .at(spot(sources, "token@acme.io"))
            .label("here")
            .hint("name an environment variable")
            .redacted(),
        Diagnostic::error("unreadable", "users.yaml cannot be read: no such file"),
    ]
}

#[test]
fn places_in_one_file_share_a_frame() {
    let mut sources = Sources::default();
    let between = "  - email: user1@acme.io\n".repeat(9);
    sources.add(
        "users.yaml",
        format!(
            "users:\r\n  - email: ada@acme.io # Zoë\r\n{between}  - {{ email: ADA@acme.io }}\n"
        ),
    );
    let problem = Diagnostic::error("duplicate-address", "duplicate address `ada@acme.io`")
        .at(spot(&sources, "ADA@acme.io"))
        .label("listed again here")
        .related(spot(&sources, "ada@acme.io"), "first listed here")
        .hint("remove one entry");
    insta::assert_snapshot!(diagnostics::text(&[problem], &sources, false), @"
    error[duplicate-address]: duplicate address `ada@acme.io`
       ╭▸ users.yaml:12:14
       │
     2 │   - email: ada@acme.io # Zoë
       │            ─────────── first listed here
       ┆
    12 │   - { email: ADA@acme.io }
       │              ━━━━━━━━━━━ listed again here
       │
       ╰ help: remove one entry
    ");
    let tab = Diagnostic::error("tab", "a tab").at(spot(&sources, "Zoë"));
    let mut tabbed = Sources::default();
    tabbed.add("users.yaml", sources.get(FileId(0)).unwrap().text.replace(" #", "\t#"));
    insta::assert_snapshot!(diagnostics::text(&[tab], &tabbed, false), @"
    error[tab]: a tab
      ╭▸ users.yaml:2:26
      │
    2 │   - email: ada@acme.io→# Zoë
      ╰╴                         ━━━
    ");
}

#[test]
fn long_lines_are_cut_untrusted_text_is_escaped_and_secrets_are_redacted() {
    let sources = sources();
    let shown = diagnostics::text(&problems(&sources), &sources, false);
    insta::assert_snapshot!(shown, @r"
    error[duplicate-address]: duplicate address `x@acme.io`
      ╭▸ users.yaml:3:17
      │
      ⸬  
    3 │   - email: \u{1b}[31mx@acme.io
      │                      ━━━━━━━━━ listed again here
      │
      ⸬  users.yaml:2:12
      │
    2 │   - email: ada@acme.io
      │            ─────────── first listed here
      │
      ╰ help: remove one of the two, or join them with `aliases`

    error[secret-in-file]: a secret stands in the file
     ╭▸ users.yaml:4:501
     ├ note: here
     ╰ help: name an environment variable

    error[unreadable]: users.yaml cannot be read: no such file

    warning[bad-address]: bad\u{1b} address
      ╭▸ users.yaml:4:501
      │
      ⸬  
    4 │ …yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyytoken@acme.io # zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz…
      ╰╴                                                                                 ━━━━━━━━━━━━━
    ");
    let redacted = problems(&sources).split_off(2);
    let styled = diagnostics::text(&redacted, &sources, true);
    assert!(styled.contains('\u{1b}') && !styled.contains("token"), "{styled}");
}

#[test]
fn diagnostics_as_json_and_as_annotations() {
    let sources = sources();
    let problems = problems(&sources);
    insta::assert_snapshot!(diagnostics::json([(&problems[..1], &sources)]), @r#"
    [
      {
        "code": "duplicate-address",
        "severity": "error",
        "message": "duplicate address `x@acme.io`",
        "file": "users.yaml",
        "line": 3,
        "column": 17,
        "start": 46,
        "end": 55,
        "label": "listed again here",
        "hint": "remove one of the two, or join them with `aliases`",
        "related": [
          {
            "file": "users.yaml",
            "line": 2,
            "column": 12,
            "message": "first listed here"
          }
        ]
      }
    ]
    "#);
    insta::assert_snapshot!(github::diagnostics(&problems, &sources), @r"
    ::error file=users.yaml,line=3,col=17,title=duplicate-address::duplicate address `x@acme.io`%0Ausers.yaml:2: first listed here%0Ahint: remove one of the two, or join them with `aliases`
    ::warning file=users.yaml,line=4,col=501,title=bad-address::bad\u{1b} address
    ::error file=users.yaml,line=4,col=501,title=secret-in-file::a secret stands in the file%0Ahint: name an environment variable
    ::error title=unreadable::users.yaml cannot be read: no such file
    ");
}

#[test]
fn a_place_of_another_text_is_rendered_without_a_panic() {
    let sources = sources();
    for (start, end) in [(0, 0), (5, 2), (3, 9_999), (9_999, 10_000), (1, 30)] {
        let place = Place { file: FileId(0), line: 1, column: 1, start, end };
        let problem = Diagnostic::error("any", "any").at(place).label("here");
        let shown = diagnostics::text(&[problem], &sources, false);
        assert!(shown.contains("users.yaml:1:1"), "{shown}");
    }
    let nowhere = Diagnostic::error("any", "any").at(Place { file: FileId(7), ..place(1) });
    assert!(diagnostics::text(&[nowhere], &sources, false).contains("?:1:12"));
}

#[test]
fn a_hint_without_a_place_is_on_its_own_line() {
    let problem = Diagnostic::error("no-file", "`*.yaml` matches no file").hint("look again");
    insta::assert_snapshot!(diagnostics::text(&[problem], &Sources::default(), false), @"
    error[no-file]: `*.yaml` matches no file
      help: look again
    ");
}
