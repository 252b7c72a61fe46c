//! Lists and objects of a response, with limits on what is kept of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::response::{Done, Object};

/// Maximum number of fields of a mutation: the largest `http.batch`.
const MAX_FIELDS: usize = 1_000;

/// Maximum number of bytes of text that are kept of one list. 100,000 users have half of it.
const MAX_TEXT: usize = 24 << 20;

/// An item of a list that may be longer than what is kept of it.
pub trait Item {
    /// Maximum number of items.
    const MAX: usize;

    /// The number of bytes of its text.
    fn text(&self) -> usize;
}

/// The first items of a list, up to the limits of number and text; the rest are counted.
#[derive(Debug)]
pub struct Limited<T> {
    pub list: Vec<T>,
    pub total: usize,
}

/// The results of a batch, by alias.
#[derive(Debug, Default)]
pub struct Answers(pub HashMap<String, Option<Object<Done>>>);

impl<T> Default for Limited<T> {
    fn default() -> Self {
        Self { list: Vec::new(), total: 0 }
    }
}

impl<'de, T: Deserialize<'de> + Item> Deserialize<'de> for Limited<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Item> Visitor<'de> for ListVisitor<T> {
    type Value = Limited<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut list, mut text) = (Vec::new(), 0);
        while list.len() < T::MAX && text <= MAX_TEXT {
            let Some(item) = seq.next_element::<T>()? else {
                return Ok(Limited { total: list.len(), list });
            };
            text += item.text();
            list.push(item);
        }
        let mut total = list.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            total += 1;
        }
        Ok(Limited { list, total })
    }
}

impl<'de> Deserialize<'de> for Answers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnswersVisitor)
    }
}

struct AnswersVisitor;

impl<'de> Visitor<'de> for AnswersVisitor {
    type Value = Answers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answers, A::Error> {
        let mut answers = HashMap::new();
        while let Some(alias) = map.next_key::<Cow<'de, str>>()? {
            if answers.insert(alias.into_owned(), map.next_value()?).is_some() {
                return Err(A::Error::custom("a result occurs twice"));
            }
            if answers.len() > MAX_FIELDS {
                return Err(A::Error::custom(format!("more than {MAX_FIELDS} results")));
            }
        }
        Ok(Answers(answers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for so many bytes of text.
    #[derive(Debug, Deserialize)]
    struct Text(usize);

    impl Item for Text {
        const MAX: usize = 3;

        fn text(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn items_beyond_the_limits_are_only_counted() {
        let long = format!("[1,{MAX_TEXT},{{}},2]");
        for (json, kept, total) in
            [("[]", 0, 0), ("[1,2]", 2, 2), ("[1,2,3,{},[4]]", 3, 5), (&long, 2, 4)]
        {
            let limited: Limited<Text> = serde_json::from_str(json).unwrap();
            assert_eq!((limited.list.len(), limited.total), (kept, total), "{json}");
        }
        assert!(serde_json::from_str::<Limited<Text>>("[1,{}]").is_err());
        assert!(serde_json::from_str::<Limited<Text>>("[1,2,3,4").is_err());
    }

    #[test]
    fn results_are_limited_and_unique() {
        let read = |count: usize| {
            let fields: Vec<_> = (0..count).map(|n| format!(r#""m{n}":{{"ok":true}}"#)).collect();
            serde_json::from_str::<Answers>(&format!("{{{}}}", fields.join(",")))
        };
        assert_eq!(read(MAX_FIELDS).unwrap().0.len(), MAX_FIELDS);
        assert!(read(MAX_FIELDS + 1).unwrap_err().to_string().contains("more than 1000 results"));
        let twice = serde_json::from_str::<Answers>(r#"{"m0":{"ok":true},"m0":null}"#);
        assert!(twice.unwrap_err().to_string().contains("twice"));
    }
}
