//! Just enough reading of Rust to hold rules against it.

/// The text with comments and the contents of literals blanked; lines stay where they are.
pub fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` if none does.
fn skipped(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let is_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if starts("//") => until(chars, at, |rest| rest[0] == '\n'),
        '/' if starts("/*") => block_comment(chars, at),
        'r' if !is_word && (starts("r\"") || starts("r#\"") || starts("r##\"")) => raw(chars, at),
        '"' => quoted(chars, at, '"'),
        '\'' if is_character(chars, at) => quoted(chars, at, '\''),
        _ => at,
    }
}

fn until(chars: &[char], from: usize, ends: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| ends(&chars[*at..])).unwrap_or(chars.len())
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let end = until(chars, at + 2, |rest| rest.starts_with(&['*', '/']));
    (end + 2).min(chars.len())
}

fn raw(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let end = until(chars, at + hashes + 2, |rest| rest.starts_with(&close));
    (end + close.len()).min(chars.len())
}

fn quoted(chars: &[char], at: usize, quote: char) -> usize {
    let mut end = at + 1;
    while end < chars.len() && chars[end] != quote {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    (end + 1).min(chars.len())
}

/// A character literal, not a lifetime.
fn is_character(chars: &[char], at: usize) -> bool {
    chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')
}

/// Bare code up to the tests at its foot.
pub fn without_tests(code: &str) -> String {
    code.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// What follows `start::` everywhere in bare code: a name, or each name of a `{…}` tree.
pub fn heads(code: &str, start: &str) -> Vec<String> {
    let path = format!("{start}::");
    let is_own =
        |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    let found = code.match_indices(&path).filter(|(at, _)| is_own(*at));
    found.flat_map(|(at, _)| tree(code[at + path.len()..].trim_start())).collect()
}

fn tree(rest: &str) -> Vec<String> {
    if rest.starts_with('*') {
        return vec!["*".to_owned()];
    }
    let Some(inner) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in inner.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ if depth == 0 => parts.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    parts.iter().map(|part| name(part.trim())).filter(|name| !name.is_empty()).collect()
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Every function of bare code that has a body, with its lines.
pub fn functions(code: &str) -> Vec<(String, usize)> {
    let starts = code.match_indices("fn ").filter(|(at, _)| {
        !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && code[at + 3..].starts_with(|c: char| c.is_alphabetic() || c == '_')
    });
    starts.filter_map(|(at, _)| Some((name(&code[at + 3..]), body(&code[at..])?))).collect()
}

/// The lines of code from the head to the brace that closes the body.
fn body(rest: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => continue,
        }
        if c == '}' && braces == 0 {
            return Some(rest[..=at].lines().filter(|line| !line.trim().is_empty()).count());
        }
    }
    None
}

/// The names of modules, types, traits and functions in bare code.
pub fn names(code: &str) -> Vec<String> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let is_keyword = |word: &str| ["mod", "fn", "struct", "enum", "trait", "type"].contains(&word);
    words.windows(2).filter(|pair| is_keyword(pair[0])).map(|pair| name(pair[1])).collect()
}
