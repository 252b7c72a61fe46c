//! Links between the documents.

use std::collections::BTreeSet;
use std::path::Path;

use super::{document, pages, root};

/// The targets of the links in a document.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchors of the headings of a document, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    text.lines()
        .filter(|line| {
            is_code ^= line.starts_with("```");
            !is_code && line.starts_with('#')
        })
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_within_the_project_leads_to_a_file_and_a_heading() {
    const OTHERS: [&str; 6] = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "deploy/README.md",
        "benches/README.md",
        ".github/CONTRIBUTING.md",
        ".github/SECURITY.md",
    ];
    for name in pages().into_iter().chain(OTHERS.map(str::to_owned)) {
        let text = document(&name);
        let folder = root().join(&name).parent().unwrap().to_owned();
        for link in links(&text).filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&name) } else { folder.join(file) };
            assert!(target.exists(), "{name}: {link} leads nowhere");
            if !anchor.is_empty() {
                let anchors = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(anchors.contains(anchor), "{name}: {link}: no such heading");
            }
        }
    }
}

#[test]
fn the_index_links_every_page() {
    let index = document("docs/README.md");
    let linked: BTreeSet<&str> = links(&index).collect();
    for page in pages().iter().filter_map(|page| page.strip_prefix("docs/")) {
        assert!(
            page == "README.md" || linked.contains(page),
            "docs/README.md does not link {page}"
        );
    }
}

#[test]
fn a_file_that_the_documents_name_exists() {
    for page in pages() {
        for word in document(&page).split('`').skip(1).step_by(2) {
            let folders = ["config/", "deploy/", "docs/", "benches/", ".ci/", "tests/"];
            if folders.iter().any(|folder| word.starts_with(folder)) && !word.contains(' ') {
                assert!(root().join(Path::new(word)).exists(), "{page}: {word} does not exist");
            }
        }
    }
}
