//! Searches in the body of a response, before it is parsed.

/// Maximum length of one value, give or take a half: copies of a longer one would fill the memory.
const MAX_VALUE: usize = 1 << 20;

/// Whether a key `hasNext` or `hasNextPage` anywhere in a JSON body says that there is more. Only a
/// key is followed by a colon, and text cannot contain an unescaped quote.
pub fn has_next(body: &[u8]) -> bool {
    const KEY: &[u8] = b"\"hasNext";
    memchr::memmem::find_iter(body, KEY).any(|at| {
        let rest = &body[at + KEY.len()..];
        let rest = rest.strip_prefix(b"Page").unwrap_or(rest).strip_prefix(b"\"");
        let value = rest.and_then(|rest| rest.trim_ascii_start().strip_prefix(b":"));
        let is_no = |value: &[u8]| value.starts_with(b"false") || value.starts_with(b"null");
        value.is_some_and(|value| !is_no(value.trim_ascii_start()))
    })
}

/// Whether an aligned half of the limit is without a quote that may end a text: every text beyond
/// the limit has such a half, and only what is longer than a half. Each search ends at the first
/// quote.
pub fn has_long_value(body: &[u8]) -> bool {
    let has_end =
        |half: &[u8]| memchr::memchr_iter(b'"', half).any(|at| at > 0 && half[at - 1] != b'\\');
    !body.chunks_exact(MAX_VALUE / 2).all(has_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_announces_more_is_found_anywhere() {
        for more in [
            r#"{"data":{"listUsers":{"ok":true,"hasNext":true}}}"#,
            r#"{"data":{"listUsers":{"pageInfo":{"hasNextPage": true}}}}"#,
            r#"{"data":{"listUsers":{"activeUsers":[{"hasNext":true}]}}}"#,
            r#"{"hasNext":false,"extensions":[{"page":{"hasNext" :  "yes"}}]}"#,
            "{\"data\":null,\"hasNext\"\n:\n1}",
        ] {
            assert!(has_next(more.as_bytes()), "{more}");
        }
        for whole in [
            r#"{"data":{"listUsers":{"hasNext":false,"pageInfo":{"hasNextPage":null}}}}"#,
            r#"{"name":"hasNext","email":"\"hasNext\":true"}"#,
            r#"{"name":"hasNext","hasNextTime":true,"a":["hasNextPage",true]}"#,
            r#"{"hasNext"#,
        ] {
            assert!(!has_next(whole.as_bytes()), "{whole}");
        }
    }

    #[test]
    fn long_values_are_found_at_any_offset() {
        let texts = ["x", "\\\"", "\\\\\\\""].map(|part| part.repeat(MAX_VALUE / part.len() + 1));
        for text in &texts {
            for offset in [0, 1, 2, MAX_VALUE / 2 - 1, MAX_VALUE / 2] {
                let before = "\"\",".repeat(offset / 3) + &" ".repeat(offset % 3);
                let body = |text: &str| format!("[{before}\"{text}\"]");
                assert!(has_long_value(body(text).as_bytes()), "{offset} {}", &text[..4]);
                assert!(!has_long_value(body(&text[..MAX_VALUE / 4]).as_bytes()), "{offset}");
            }
        }
        let rows = r#"{"uid":"1","email":"\"a\"\\"},"#.repeat(MAX_VALUE / 16);
        assert!(!has_long_value(rows.as_bytes()));
    }
}
