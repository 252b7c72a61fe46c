//! The shape of GraphQL responses. Rows are converted while they are parsed, and borrow from the
//! body, so that a long listing is in memory only once.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::errors::Errors;
use super::limited::{Item, Limited};
use crate::directory::{Account, Invitation, InviteStatus, Uid};
use crate::email::Email;
use crate::role::Role;

/// Maximum number of rows of each list; a listing with more is refused.
pub const MAX_ROWS: usize = 150_000;
/// Maximum length of a display name in bytes; a longer one is cut.
pub const MAX_NAME: usize = 256;
/// Maximum length of a uid, an address, a role or a status in bytes.
pub const MAX_VALUE: usize = 256;

/// A GraphQL response: `data`, `errors`, or both.
#[derive(Debug)]
pub struct Envelope<T> {
    /// None if it is missing or null.
    pub data: Option<T>,
    pub errors: Errors,
}

/// Why a body is not a GraphQL response.
#[derive(Debug)]
pub enum Malformed {
    /// Not JSON.
    NotJson(String),
    /// Truncated JSON.
    CutShort,
    /// JSON, but not a GraphQL response.
    NotGraphql,
    /// A GraphQL response whose data does not match the request.
    Shape(String),
}

#[derive(Debug, Deserialize)]
pub struct ListData {
    #[serde(rename = "listUsers")]
    pub list_users: Option<Object<ListUsers>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListUsers {
    pub ok: Option<bool>,
    pub active_users: Option<Limited<ActiveUser>>,
    pub invited_users: Option<Limited<InvitedUser>>,
}

/// The result of one mutation.
#[derive(Debug, Deserialize)]
pub struct Done {
    pub ok: Option<bool>,
}

/// A row of `activeUsers`.
#[derive(Debug)]
pub struct ActiveUser(pub Account);

/// A row of `invitedUsers`.
#[derive(Debug)]
pub struct InvitedUser(pub Invitation);

impl Item for ActiveUser {
    const MAX: usize = MAX_ROWS;

    fn text(&self) -> usize {
        let Account { uid, email, name, role } = &self.0;
        let name = name.as_deref().unwrap_or_default();
        uid.as_str().len() + email.as_str().len() + name.len() + role.as_str().len()
    }
}

impl Item for InvitedUser {
    const MAX: usize = MAX_ROWS;

    fn text(&self) -> usize {
        let Invitation { email, role, status } = &self.0;
        let status = if let InviteStatus::Unknown(status) = status { status.len() } else { 0 };
        email.as_str().len() + role.as_str().len() + status
    }
}

/// Parses a whole body.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Envelope<T>, Malformed> {
    match serde_json::from_slice::<Object<Keys<T, Errors>>>(body) {
        Ok(Object(Keys { data: None, errors: None })) => Err(Malformed::NotGraphql),
        Ok(Object(Keys { data, errors })) => {
            Ok(Envelope { data: data.flatten(), errors: errors.flatten().unwrap_or_default() })
        }
        Err(error) => Err(malformed(body, &error)),
    }
}

fn malformed(body: &[u8], error: &serde_json::Error) -> Malformed {
    match serde_json::from_slice::<Object<Keys<IgnoredAny, IgnoredAny>>>(body) {
        Err(why) if why.is_eof() => Malformed::CutShort,
        Err(why) if why.is_syntax() => Malformed::NotJson(why.to_string()),
        Ok(Object(Keys { data: None, errors: None })) | Err(_) => Malformed::NotGraphql,
        Ok(_) => Malformed::Shape(error.to_string()),
    }
}

/// The two keys of a response.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>, E: Deserialize<'de>"))]
#[expect(clippy::option_option, reason = "a key may be missing, null, or have a value")]
struct Keys<T, E> {
    #[serde(default, deserialize_with = "or_null")]
    data: Option<Option<T>>,
    #[serde(default, deserialize_with = "or_null")]
    errors: Option<Option<E>>,
}

#[expect(clippy::option_option, reason = "a key may be missing, null, or have a value")]
fn or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A JSON object. `derive` alone would also accept a list of the values in order.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The text of a value that is only for readers, read lossily, so that it stops nothing: what is no
/// valid text is kept as its JSON, such as `\ud800` or `7`, and what is longer than `max` is cut.
pub(super) fn text(json: &RawValue, max: usize) -> Box<str> {
    let json = json.get();
    let inside = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    let text = match inside.contains('\\').then(|| serde_json::from_str(json)) {
        Some(Ok(Text(text))) => text,
        _ => inside.into(),
    };
    text[..text.floor_char_boundary(max)].into()
}

/// Fails if one of the values is longer than any that the API has.
fn bounded<E: serde::de::Error>(values: [&str; 3]) -> Result<(), E> {
    if values.iter().all(|value| value.len() <= MAX_VALUE) {
        return Ok(());
    }
    let what = "a uid, an address, a role or a status of more than";
    Err(E::custom(format!("{what} {MAX_VALUE} bytes")))
}

/// Text that borrows from the body unless it contains escapes, also inside an `Option`.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActiveRow<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    account_type: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InvitedRow<'a> {
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    account_type: Cow<'a, str>,
    /// Null is read as an unknown status; a missing key is an error.
    #[serde(borrow, deserialize_with = "present")]
    invite_status: Option<Text<'a>>,
}

/// A value that may be null but not missing.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Text<'a>>, D::Error> {
    Option::deserialize(deserializer)
}

impl<'de> Deserialize<'de> for ActiveUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object(row) = Object::<ActiveRow<'de>>::deserialize(deserializer)?;
        bounded([&row.uid, &row.email, &row.account_type])?;
        Ok(Self(Account {
            uid: Uid(row.uid.into()),
            email: Email::remote(&row.email),
            name: row.name.map(|name| text(name, MAX_NAME)),
            role: Role::from_api(&row.account_type),
        }))
    }
}

impl<'de> Deserialize<'de> for InvitedUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object(row) = Object::<InvitedRow<'de>>::deserialize(deserializer)?;
        let status = row.invite_status.as_ref().map_or("", |Text(status)| status);
        bounded([&row.email, &row.account_type, status])?;
        Ok(Self(Invitation {
            email: Email::remote(&row.email),
            role: Role::from_api(&row.account_type),
            status: row.invite_status.map_or_else(
                || InviteStatus::Unknown("null".into()),
                |status| InviteStatus::from_api(&status.0),
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(body: &str) -> Result<Envelope<Object<ListData>>, Malformed> {
        read(body.as_bytes())
    }

    fn rows(active: &str, invited: &str) -> Result<ListUsers, Malformed> {
        let lists = format!(r#""activeUsers":[{active}],"invitedUsers":[{invited}]"#);
        list(&format!(r#"{{"data":{{"listUsers":{{"ok":true,{lists}}}}}}}"#))
            .map(|envelope| envelope.data.unwrap().0.list_users.unwrap().0)
    }

    #[test]
    fn rows_are_kept_verbatim_and_unknown_fields_ignored() {
        let listed = rows(
            r#"{"uid":"odd uid","email":" Zoë@acme.io ","name":null,"accountType":"FUTURE",
                "x":{"y":[1]}},
               {"uid":"2","email":"a","name":"\u001b[1m","accountType":"ADMIN"},
               {"uid":"3","email":"b","name":"","accountType":"ADMIN"}"#,
            r#"{"email":"c","accountType":"ANALYST","inviteStatus":"SENT"},
               {"email":"d","accountType":"ANALYST","inviteStatus":"LOST"},
               {"email":"e","accountType":"ANALYST","inviteStatus":null}"#,
        )
        .unwrap();
        let accounts = listed.active_users.unwrap().list;
        assert_eq!(accounts[0].0.uid.as_str(), "odd uid");
        assert_eq!(accounts[0].0.email.as_str(), "Zoë@acme.io");
        assert_eq!(accounts[0].0.role, Role::Other("FUTURE".into()));
        let names: Vec<Option<&str>> = accounts.iter().map(|a| a.0.name.as_deref()).collect();
        assert_eq!(names, [None, Some("\u{1b}[1m"), Some("")]);
        let invited = listed.invited_users.unwrap().list;
        assert_eq!(invited[0].0.status, InviteStatus::Pending);
        assert_eq!(invited[1].0.status, InviteStatus::Unknown("LOST".into()));
        assert_eq!(invited[2].0.status, InviteStatus::Unknown("null".into()));
    }

    #[test]
    fn malformed_rows_are_refused() {
        let good = r#"{"uid":"1","email":"a","name":null,"accountType":"ADMIN"}"#;
        assert!(rows(good, "").is_ok());
        for bad in [
            "null",
            "7",
            r#"["1","a",null,"ADMIN"]"#,
            r#"{"email":"a","name":null,"accountType":"ADMIN"}"#,
            r#"{"uid":1,"email":"a","name":null,"accountType":"ADMIN"}"#,
            r#"{"uid":null,"email":"a","name":null,"accountType":"ADMIN"}"#,
            r#"{"uid":"\ud800","email":"a","name":null,"accountType":"ADMIN"}"#,
            r#"{"uid":"1","email":"a\udc00","name":null,"accountType":"ADMIN"}"#,
            r#"{"uid":"1","email":"a","name":null,"accountType":"\ud800\ud800"}"#,
            r#"{"uid":"1","email":"a","name":null,"accountType":7}"#,
            r#"{"uid":"1","uid":"2","email":"a","name":null,"accountType":"ADMIN"}"#,
        ] {
            assert!(matches!(rows(bad, ""), Err(Malformed::Shape(_))), "{bad}");
        }
        for long in ["uid", "email", "accountType"] {
            let at = good.find(long).unwrap() + long.len() + 3;
            let row = |length| format!("{}{}{}", &good[..at], "x".repeat(length), &good[at..]);
            assert!(rows(&row(MAX_VALUE - 8), "").is_ok(), "{long}");
            assert!(matches!(rows(&row(MAX_VALUE), ""), Err(Malformed::Shape(_))), "{long}");
        }
        let no_status = r#"{"email":"c","accountType":"ANALYST"}"#;
        assert!(matches!(rows("", no_status), Err(Malformed::Shape(_))));
    }

    #[test]
    fn malformed_bodies_are_classified() {
        for body in ["{}", "[]", "7", r#"{"message":"hello"}"#, r#"[{"data":null}]"#] {
            assert!(matches!(list(body), Err(Malformed::NotGraphql)), "{body}");
        }
        for body in
            ["<html>", "hello", r#"{"data":null} x"#, r#"{"data":"#.replace(':', ";").as_str()]
        {
            assert!(matches!(list(body), Err(Malformed::NotJson(_))), "{body}");
        }
        for body in ["", r#"{"data":{"listUsers":{"ok":tr"#] {
            assert!(matches!(list(body), Err(Malformed::CutShort)), "{body}");
        }
        assert!(matches!(list(r#"{"data":7}"#), Err(Malformed::Shape(_))));
        assert!(matches!(list(r#"{"errors":{}}"#), Err(Malformed::Shape(_))));
    }
}
