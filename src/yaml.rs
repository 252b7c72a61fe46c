//! Reads YAML with the place of every value: the one module that knows the YAML parser.

use crate::diagnostic::{Diagnostic, FileId, Place, Sources};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub place: Place,
    /// An explicit local tag such as `!raw`, without the exclamation mark.
    pub tag: Option<Box<str>>,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing was written, or `null` or `~`.
    Null,
    /// The text as written, quotes and escapes resolved.
    Scalar {
        text: Box<str>,
        quoted: bool,
    },
    Seq(Vec<Node>),
    /// In the order written; duplicate keys have been reported and dropped.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub text: Box<str>,
    pub place: Place,
}
