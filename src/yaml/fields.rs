//! The fields of a mapping with known keys. Reports unknown keys.

use super::{Key, MAX_PER_KIND, Node, Value};
use crate::diagnostic::{Diagnostic, Place};
use crate::escape::escape;

/// Keys of earlier versions and their present names. The old name is read with a warning.
const RENAMED: [(&str, &str); 1] = [("settle", "debounce")];

/// A mapping whose keys are known.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'n, 't> {
    place: Place,
    entries: &'n [(Key<'t>, Node<'t>)],
}

impl<'n, 't> Fields<'n, 't> {
    /// The fields of a mapping. Reports a node of another kind and returns None. Reports unknown
    /// keys, up to 100, and still returns the known ones.
    pub fn of(
        node: &'n Node<'t>,
        what: &str,
        known: &[&str],
        out: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            out.push(node.expected(what, "a mapping"));
            return None;
        };
        node.reject_tag(out);
        let has = |name: &str| entries.iter().any(|(key, _)| key.text == name);
        let others = entries.iter().filter(|(key, _)| !known.contains(&&*key.text));
        out.extend(others.take(MAX_PER_KIND).map(|(key, _)| match present_name(&key.text) {
            Some(new) if known.contains(&new) && !has(new) => renamed(key, new),
            _ => unknown(key, what, known),
        }));
        Some(Self { place: node.place, entries })
    }

    /// The value of a key. None if the key is missing or its value is null.
    pub fn get(&self, key: &str) -> Option<&'n Node<'t>> {
        self.raw(key).filter(|node| !node.is_null())
    }

    /// The value of a key, which may be null.
    pub fn raw(&self, key: &str) -> Option<&'n Node<'t>> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The entry of a key, or of its name in an earlier version.
    fn entry(&self, key: &str) -> Option<&'n (Key<'t>, Node<'t>)> {
        let named = |name: &str| self.entries.iter().find(|(known, _)| known.text == name);
        let mut old = RENAMED.iter().filter(|(_, new)| *new == key).map(|(old, _)| *old);
        named(key).or_else(|| old.find_map(named))
    }

    /// The value of a required key. Reports a missing key or value.
    pub fn require(&self, key: &str, out: &mut Vec<Diagnostic>) -> Option<&'n Node<'t>> {
        let found = self.get(key);
        if found.is_none() {
            let problem = match self.place_of(key) {
                Some(place) => no_value(key, place, "write one after the colon"),
                None => Diagnostic::error("missing-key", format!("`{key}` is missing"))
                    .marked(self.head(), format!("`{key}:` is required")),
            };
            out.push(problem);
        }
        found
    }

    /// The value of an optional key. Reports a key without a value.
    pub fn optional(&self, key: &str, out: &mut Vec<Diagnostic>) -> Option<&'n Node<'t>> {
        let found = self.get(key);
        if let (None, Some(place)) = (found, self.place_of(key)) {
            out.push(no_value(key, place, "write one after the colon, or remove the key"));
        }
        found
    }

    /// The place of a key.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        self.entry(key).map(|(key, _)| key.place)
    }

    /// The place of the first key.
    pub fn head(&self) -> Place {
        self.entries.first().map_or(self.place, |(key, _)| key.place)
    }
}

/// The present name of a key of an earlier version.
pub(super) fn present_name(key: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == key).map(|(_, new)| *new)
}

fn no_value(key: &str, place: Place, hint: &str) -> Diagnostic {
    Diagnostic::error("no-value", format!("`{key}` has no value"))
        .marked(place, "no value")
        .hint(hint)
}

fn renamed(key: &Key<'_>, new: &str) -> Diagnostic {
    Diagnostic::warning("renamed-key", format!("`{}` is now called `{new}`", escape(&key.text)))
        .marked(key.place, "old name")
        .hint(format!("write `{new}`; the old name will stop working in a later version"))
}

/// The key may be a secret in the wrong place. It is repeated only if it is similar to a known one.
fn unknown(key: &Key<'_>, what: &str, known: &[&str]) -> Diagnostic {
    let (name, hint) = match closest(&key.text, known.iter().copied()) {
        _ if key.text == "<<" => {
            ("", "merge keys are not supported; write the keys out".to_owned())
        }
        Some(closest) => (&*key.text, format!("did you mean `{closest}`?")),
        None => ("", format!("known keys: {}", known.join(", "))),
    };
    let name = if name.is_empty() { String::new() } else { format!(" `{}`", escape(name)) };
    Diagnostic::error("unknown-key", format!("unknown key{name} in {what}"))
        .marked(key.place, "unknown key")
        .hint(hint)
}

/// The most similar word, if any is similar. Compares up to 1,000 words.
pub fn closest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const WORDS: usize = 1_000;
    const LENGTH: usize = 64;
    if written.len() > LENGTH {
        return None;
    }
    let written = written.to_ascii_lowercase();
    words
        .into_iter()
        .take(WORDS)
        .filter(|word| word.len() <= LENGTH)
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_ascii_lowercase()), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
