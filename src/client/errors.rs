//! The GraphQL errors of a response. What is not used of them, such as a stack trace in
//! `extensions`, is skipped and never kept.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

use super::limited::{Item, Limited};
use super::response::text;

/// Maximum number of errors that are kept of one response; the rest are counted.
const MAX_ERRORS: usize = 1_000;
/// Maximum length of each text of an error in bytes; a longer one is cut.
const MAX_TEXT: usize = 4 << 10;

/// The errors of one response.
pub type Errors = Limited<GraphqlError>;

/// One error. Every part of it is optional.
#[derive(Debug)]
pub struct GraphqlError {
    pub message: String,
    /// The alias of the failed field, if the error belongs to one.
    pub field: Option<String>,
    /// `extensions.code`, or empty.
    pub code: String,
}

impl Item for GraphqlError {
    const MAX: usize = MAX_ERRORS;

    fn text(&self) -> usize {
        self.message.len() + self.code.len() + self.field.as_ref().map_or(0, String::len)
    }
}

#[derive(Default, Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    path: Option<&'a RawValue>,
    #[serde(borrow)]
    extensions: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Extensions<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for GraphqlError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?;
        let parts: Parts<'_> = object(json).map_err(D::Error::custom)?;
        let extensions: Extensions<'_> = match parts.extensions {
            Some(json) => object(json).map_err(D::Error::custom)?,
            None => Extensions::default(),
        };
        let message = parts.message.or(is_text(json).then_some(json));
        let message = message.map(shortened).filter(|message| !message.trim().is_empty());
        Ok(Self {
            message: message.unwrap_or_else(|| "no message".into()),
            field: parts.path.and_then(first),
            code: extensions.code.map(shortened).unwrap_or_default(),
        })
    }
}

/// The parts of an object; none of any other value.
fn object<'a, T: Default + Deserialize<'a>>(json: &'a RawValue) -> serde_json::Result<T> {
    if json.get().starts_with('{') { serde_json::from_str(json.get()) } else { Ok(T::default()) }
}

/// The first item of a list, if it is a text.
fn first(path: &RawValue) -> Option<String> {
    let items = path.get().strip_prefix('[')?;
    let mut items = serde_json::Deserializer::from_str(items).into_iter::<&RawValue>();
    items.next()?.ok().filter(|item| is_text(item)).map(shortened)
}

fn is_text(json: &RawValue) -> bool {
    json.get().starts_with('"')
}

fn shortened(json: &RawValue) -> String {
    text(json, MAX_TEXT).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(json: &str) -> serde_json::Result<Errors> {
        serde_json::from_str(json)
    }

    #[test]
    fn errors_of_any_shape_are_read() {
        let read = errors(
            r#"[{"message":"one","path":["m3","ok"],"extensions":{"code":"FORBIDDEN"}},
            {"message":"two","path":[],"extensions":{"code":403}},
            {"message":7,"path":"m1","extensions":[]}, "three", null, 5,
            {"message":" ","path":[ 3,"m1"]},
            {"message":"f\u006fur","path":[ "m\u0031"],"x":[{}]}]"#,
        );
        let read = read.unwrap();
        assert_eq!(read.total, 8);
        let fields: Vec<_> = read.list.iter().map(|error| error.field.as_deref()).collect();
        assert_eq!(fields, [Some("m3"), None, None, None, None, None, None, Some("m1")]);
        assert_eq!((&*read.list[0].code, &*read.list[1].code), ("FORBIDDEN", "403"));
        let messages: Vec<&str> = read.list.iter().map(|error| &*error.message).collect();
        let none = "no message";
        assert_eq!(messages, ["one", "two", "7", "three", none, none, none, "four"]);
    }

    #[test]
    fn an_ambiguous_error_is_refused() {
        for twice in ["message", "path", "extensions"] {
            let json = format!(r#"[{{"{twice}":["m0"],"{twice}":null}}]"#);
            assert!(errors(&json).unwrap_err().to_string().contains("duplicate field"), "{json}");
        }
        assert!(errors(r#"[{"extensions":{"code":"A","code":"B"}}]"#).is_err());
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "é".repeat(MAX_TEXT);
        let json = format!(
            r#"[{{"message":"{long}","path":["{long}"],"extensions":{{"code":"{long}"}}}}]"#
        );
        let error = &errors(&json).unwrap().list[0];
        let field = error.field.as_deref().unwrap();
        for text in [&error.message, field, &error.code] {
            assert_eq!(text, &long[..MAX_TEXT]);
        }
    }
}
