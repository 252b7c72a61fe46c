use super::*;

fn read(text: &str) -> (Option<Node<'_>>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let document = parse(text, FileId(0), &mut found);
    (document, found)
}

fn good(text: &str) -> Node<'_> {
    let (document, found) = read(text);
    assert_eq!(found, [], "{text}");
    document.unwrap()
}

fn codes(text: &str) -> Vec<&'static str> {
    read(text).1.iter().map(|problem| problem.code).collect()
}

/// The text that a place marks.
fn marked(text: &str, place: Place) -> &str {
    &text[place.start as usize..place.end as usize]
}

fn entry<'n, 't>(node: &'n Node<'t>, key: &str) -> &'n Entry<'t> {
    let Value::Map(entries) = &node.value else { panic!("{node:?}") };
    entries.iter().find(|(known, _)| known.text == key).unwrap()
}

fn at<'n, 't>(node: &'n Node<'t>, key: &str) -> &'n Node<'t> {
    &entry(node, key).1
}

#[test]
fn every_value_has_its_place() {
    let text = "é: [1, {b: c}]\nd:\n  - \"e\\n\" # x\n  - >-\n    f\n    g\n";
    let root = good(text);
    let (key, list) = entry(&root, "é");
    assert_eq!((marked(text, key.place), key.place.line, key.place.column), ("é", 1, 1));
    assert_eq!((marked(text, list.place), list.place.column), ("[1, {b: c}]", 4));
    let Value::Seq(items) = &list.value else { panic!() };
    assert_eq!(marked(text, items[1].place), "{b: c}");
    let Value::Seq(items) = &at(&root, "d").value else { panic!() };
    assert_eq!(marked(text, items[0].place), "\"e\\n\"");
    assert_eq!((items[0].place.line, items[0].place.column), (3, 5));
    assert_eq!(items[0].value, Value::Scalar { text: "e\n".into(), quoted: true });
    assert_eq!(items[1].value, Value::Scalar { text: "f g".into(), quoted: true });
}

#[test]
fn text_without_escapes_is_borrowed() {
    let root = good("a: matt@acme.io\nb: 'two words'\nc: \"x\\ty\"");
    let borrowed = |key| match &at(&root, key).value {
        Value::Scalar { text, .. } => matches!(text, Cow::Borrowed(_)),
        _ => panic!(),
    };
    assert!(borrowed("a") && borrowed("b") && !borrowed("c"));
}

#[test]
fn only_an_unquoted_null_is_null() {
    for text in ["a:", "a: ~", "a: null", "a: NULL", "a: Null", "{a: }"] {
        assert!(at(&good(text), "a").is_null(), "{text}");
    }
    for text in ["a: ''", "a: \"~\"", "a: 'null'", "a: nULL", "a: []", "a: !raw", "a: no"] {
        assert!(!at(&good(text), "a").is_null(), "{text}");
    }
    assert!(good("").is_null() && good("# only a comment\n").is_null());
}

#[test]
fn local_tags_are_kept_and_core_tags_are_dropped() {
    let root = good("a: !raw X\nb: !!str X\nc: X\nd: !<tag:acme.io,2026:x> X");
    assert_eq!(at(&root, "a").tag.as_deref(), Some("raw"));
    assert_eq!(at(&root, "b").tag, None);
    assert_eq!(at(&root, "c").tag, None);
    assert_eq!(at(&root, "d").tag.as_deref(), Some("tag:acme.io,2026:x"));
}

#[test]
fn an_alias_has_its_own_place_and_its_contents_the_place_of_the_anchor() {
    let text = "a: &x {b: c}\nd: *x\n";
    let root = good(text);
    let alias = at(&root, "d");
    assert_eq!((marked(text, alias.place), alias.place.line), ("*x", 2));
    assert_eq!(at(alias, "b").place.line, 1);
}

#[test]
fn the_first_value_of_a_duplicate_key_is_kept() {
    let (document, found) = read("a: 1\nb: 2\na: 3\n");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "duplicate-key");
    assert_eq!(found[0].place.unwrap().line, 3);
    assert_eq!(found[0].related[0].0.line, 1);
    let document = document.unwrap();
    assert_eq!(at(&document, "a").value, Value::Scalar { text: "1".into(), quoted: false });
}

#[test]
fn duplicate_keys_are_found_in_mappings_of_any_size() {
    for count in [1, 15, 16, 17, 40] {
        let keys = (0..count).map(|n| format!("k{n}: 1\n")).collect::<Vec<_>>().concat();
        assert!(codes(&keys).is_empty());
        for again in [0, count / 2, count - 1] {
            assert_eq!(codes(&format!("{keys}k{again}: 2\n")), ["duplicate-key"], "{count}");
        }
    }
}

#[test]
fn errors_return_no_document() {
    for (text, code) in [
        ("a: [", "yaml-syntax"),
        ("a: \"b", "yaml-syntax"),
        ("a: *b", "yaml-syntax"),
        ("a: 1\n---\nb: 2", "several-documents"),
        ("a: &b [*b]", "bad-alias"),
        ("[a]: b", "bad-key"),
        ("a:\n\tb: c", "tab"),
        ("<<<<<<< ours\na: 1\n=======\na: 2", "merge-conflict"),
        ("a: 1\n||||||| base\n", "merge-conflict"),
        (">>>>>>> theirs\n", "merge-conflict"),
    ] {
        let (document, found) = read(text);
        assert_eq!(document, None, "{text}");
        assert_eq!(found[0].code, code, "{text}");
        assert!(found[0].place.is_some() && found[0].is_error(), "{text}");
    }
}

#[test]
fn conflict_markers_and_tabs_inside_text_are_allowed() {
    for text in ["a: '<<<<<<< x'", "a: |\n  <<<<<<< x", "a: b\tc", "a: b\n\t\n"] {
        assert!(codes(text).is_empty(), "{text}");
    }
}

#[test]
fn a_tab_after_a_syntax_error_does_not_hide_the_error() {
    assert_eq!(codes("a: [b}\n\tc: d\n"), ["yaml-syntax"]);
    assert_eq!(codes("a:\n\tb: c\n \td: e\n"), ["tab", "tab"]);
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(codes(&nested(MAX_DEPTH)).is_empty());
    assert_eq!(codes(&nested(MAX_DEPTH + 1)), ["too-deep"]);
    assert_eq!(codes(&nested(100_000)), ["too-deep"]);
    assert_eq!(codes(&"- ".repeat(100_000)), ["too-deep"]);
}

#[test]
fn the_number_of_values_has_a_limit() {
    let flat = |count: usize| format!("[{}]", "a,".repeat(count - 1));
    assert!(codes(&flat(MAX_VALUES)).is_empty());
    assert_eq!(codes(&flat(MAX_VALUES + 1)), ["too-many-values"]);
    assert_eq!(codes(&"a: b\n".repeat(10_000)).len(), MAX_PER_KIND);
}

#[test]
fn anchors_within_anchors_have_a_limit() {
    let nested = |depth: usize| {
        let items = "1,".repeat(MAX_ALIASED / 40);
        format!("{}{items}{}", "&a [".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(codes(&nested(39)), [""; 0]);
    assert_eq!(codes(&nested(41)), ["alias-bomb"]);
}

#[test]
fn aliases_have_a_limit() {
    let repeats = |count: usize| format!("a: &x b\nc: [{}]", "*x,".repeat(count));
    assert!(codes(&repeats(MAX_ALIASED)).is_empty());
    assert_eq!(codes(&repeats(MAX_ALIASED + 1)), ["alias-bomb"]);
    // A few copies of a long text count as much as many copies of a short one.
    let long = "x\\n".repeat(1_000_000);
    assert_eq!(codes(&format!("a: &x \"{long}\"\nb: [{}]", "*x,".repeat(100))), ["alias-bomb"]);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let text = "\u{feff}a: b\nc: d\n";
    let root = good(text);
    let (key, value) = entry(&root, "a");
    assert_eq!((marked(text, key.place), key.place.column), ("a", 2));
    assert_eq!((marked(text, value.place), value.place.column), ("b", 5));
    assert_eq!(entry(&root, "c").0.place.column, 1);
    let twice = good("\u{feff}\u{feff}a: b");
    assert_eq!((entry(&twice, "a").0.place.column, twice.place.start), (3, 6));
}

#[test]
fn a_syntax_error_marks_a_whole_character_or_the_end_of_the_file() {
    let cases = [("a: b\n é: c", ":"), ("a: 1\n😀", "😀"), ("[a]é", "é"), ("%é", "")];
    for (text, shown) in cases {
        let found = read(text).1;
        let [problem] = &found[..] else { panic!("{found:?}") };
        assert_eq!(marked(text, problem.place.unwrap()), shown, "{text}: {problem:?}");
    }
}

#[test]
fn a_single_carriage_return_is_a_line_break() {
    let places = |text: &str| -> Vec<(u32, u32, String)> {
        let places = read(text).1.into_iter().filter_map(|it| it.place);
        places.map(|it| (it.line, it.column, marked(text, it).to_owned())).collect()
    };
    let marker = |line| (line, 1, "<<<<<<< a".to_owned());
    assert_eq!(places("a: 1\rb: 2\r\n<<<<<<< a\n\r<<<<<<< a"), [marker(3), marker(5)]);
    assert_eq!(places("a:\rb:\r\n\tc: [}"), [(3, 1, "\t".to_owned())]);
}

#[test]
fn fields_report_unknown_missing_and_empty_keys() {
    let root = good("name: x\nnone:\nnaem: y\nother: z");
    let mut found = Vec::new();
    let fields = Fields::of(&root, "a thing", &["name", "none", "needed"], &mut found).unwrap();
    let hints: Vec<&str> = found.iter().filter_map(|it| it.hint.as_deref()).collect();
    assert_eq!(hints, ["did you mean `name`?", "known keys: name, none, needed"]);
    found.clear();
    assert!(fields.require("name", &mut found).is_some());
    assert!(fields.optional("needed", &mut found).is_none());
    assert!(found.is_empty());
    assert!(fields.require("needed", &mut found).is_none());
    assert!(fields.require("none", &mut found).is_none());
    assert!(fields.optional("none", &mut found).is_none());
    let reported: Vec<_> = found.iter().map(|it| (it.code, it.place.unwrap().line)).collect();
    assert_eq!(reported, [("missing-key", 1), ("no-value", 2), ("no-value", 2)]);
    assert!(fields.get("none").is_none() && fields.raw("none").is_some());
}

#[test]
fn the_closest_word_is_suggested_if_it_is_similar() {
    let words = ["ADMIN", "BILLING_ADMIN", "BUSINESS"];
    assert_eq!(closest("admni", words), Some("ADMIN"));
    assert_eq!(closest("BUSINES", words), Some("BUSINESS"));
    assert_eq!(closest("OWNER", words), None);
    assert_eq!(closest("", words), None);
    let long = "x".repeat(10_000_000);
    assert_eq!(closest(&long, [&*long]), None, "a comparison would take hours");
}

#[test]
fn a_scalar_is_read_back_as_the_same_text() {
    let quoted = [
        "yes",
        "NULL",
        "1e5",
        "0x1f",
        "1_0",
        "",
        "-a",
        "@a",
        "a: b",
        "a #b",
        "\"q\\",
        "a,b",
        "a ",
        "x\n\u{1b}\u{2028}",
    ];
    let plain = ["alice@acme.io", "1a@acme.io", "a+b.c-d_e@acme.io", "NEW_ROLE", "Zoë O'Neil"];
    for text in quoted.iter().chain(&plain) {
        let written = scalar(text);
        assert_eq!(written.starts_with('"'), quoted.contains(text), "{written}");
        let read: serde_yaml::Value = serde_yaml::from_str(&written).unwrap();
        assert_eq!(read.as_str(), Some(*text), "{written}");
        let list = format!("[{written}, {written}]");
        let list = good(&list);
        let items = list.items("list", &mut Vec::new()).unwrap();
        assert!(items.iter().all(|it| it.text("text", &mut Vec::new()) == Some(text)), "{written}");
    }
}
