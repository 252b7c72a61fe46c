//! The GraphQL documents, as the vendor documents the operations. User input is always passed in
//! variables, never spliced into a document.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::escape::escape;
use crate::plan::change::{Action, Change};

/// Lists users and invitations in one request.
pub const LIST: &str = "query{listUsers{ok activeUsers{uid email name accountType} \
                        invitedUsers{email accountType inviteStatus}}}";

/// The variable declarations, fields and variable values of one batch.
#[derive(Default)]
struct Batch {
    declared: Vec<String>,
    fields: String,
    variables: Map<String, Value>,
}

/// The request body of a listing.
pub fn list() -> String {
    json!({ "query": LIST }).to_string()
}

/// The request body of these changes: one field each, aliased by its position ([`alias`]).
pub fn mutation<'a>(changes: impl IntoIterator<Item = (usize, &'a Change)>) -> String {
    let mut batch = Batch::default();
    for (at, change) in changes {
        let mut arguments = match change.action.uid() {
            Some(uid) => batch.variable("uid", at, "String!", uid.as_str()),
            None => batch.variable("email", at, "String!", change.email.as_str()),
        };
        if let Some(role) = change.action.to() {
            arguments.push(',');
            arguments += &batch.variable("accountType", at, "UserAccountType!", role.as_str());
        }
        let field = field(&change.action);
        let _ = write!(batch.fields, "{}:{field}({arguments}){{ok}} ", alias(at));
    }
    let query = format!("mutation({}){{{}}}", batch.declared.join(","), batch.fields);
    json!({ "query": query, "variables": batch.variables }).to_string()
}

/// The alias of the change at this position.
pub fn alias(position: usize) -> String {
    format!("m{position}")
}

/// The error if the role of a change is not a valid GraphQL enum value.
pub fn validate_role(change: &Change) -> Option<String> {
    let role = change.action.to()?.as_str();
    (!is_enum_name(role)).then(|| {
        format!("invalid role `{}`: only letters, digits and `_` are allowed", escape(role))
    })
}

impl Batch {
    fn variable(&mut self, argument: &str, at: usize, kind: &str, value: &str) -> String {
        let name = format!("{argument}{at}");
        self.declared.push(format!("${name}:{kind}"));
        let argument = format!("{argument}:${name}");
        self.variables.insert(name, value.into());
        argument
    }
}

/// Whether the GraphQL grammar allows this name for an enum value.
fn is_enum_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
        && !matches!(text, "true" | "false" | "null")
}

/// The GraphQL field of a change.
pub fn field(action: &Action) -> &'static str {
    match action {
        Action::Invite { .. } | Action::Reinvite { .. } => "inviteUser",
        Action::UpdateRole { .. } => "updateUserAccountType",
        Action::Disable { .. } => "disableUser",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Uid;
    use crate::email::Email;
    use crate::plan::change::Reason;
    use crate::role::Role;
    use apollo_compiler::{ExecutableDocument, Schema};

    fn change(email: &str, action: Action) -> Change {
        Change {
            action,
            email: Email::remote(email),
            listed: None,
            aliases: Box::default(),
            reason: Reason::NotInWorkspace,
            place: None,
            name: None,
            suspect: None,
            dated: false,
            end: None,
            scheduled: false,
            resembles: Box::default(),
        }
    }

    /// One change of each kind, with text that would break a document it is spliced into.
    fn hostile() -> Vec<Change> {
        let uid = || Uid("u\"){ok}}#".into());
        vec![
            change("a\"){ok} x:disableUser(uid:\"", Action::Invite { role: Role::Developer }),
            change(
                "b",
                Action::UpdateRole { uid: uid(), from: Role::Admin, to: Role::SandboxUser },
            ),
            change("c", Action::Disable { uid: uid(), role: Role::Analyst }),
        ]
    }

    fn parsed(body: &str) -> (String, Value) {
        let mut body: Value = serde_json::from_str(body).unwrap();
        (body["query"].as_str().unwrap().to_owned(), body["variables"].take())
    }

    #[test]
    fn every_document_is_valid_against_the_published_schema() {
        let text = include_str!("../../tests/fixtures/schema.graphql");
        let schema = Schema::parse_and_validate(text, "schema.graphql").unwrap();
        let changes = hostile();
        let mut bodies = vec![list(), mutation(changes.iter().enumerate())];
        bodies.extend(changes.iter().map(|change| mutation([(0, change)])));
        for body in bodies {
            let (query, _) = parsed(&body);
            if let Err(errors) = ExecutableDocument::parse_and_validate(&schema, &query, "query") {
                panic!("{query}\n{errors}");
            }
        }
    }

    #[test]
    fn a_batch_is_aliased_fields_with_variables() {
        let (query, variables) = parsed(&mutation(hostile().iter().enumerate()));
        let expected = [
            "mutation($email0:String!,$accountType0:UserAccountType!,",
            "$uid1:String!,$accountType1:UserAccountType!,$uid2:String!){",
            "m0:inviteUser(email:$email0,accountType:$accountType0){ok} ",
            "m1:updateUserAccountType(uid:$uid1,accountType:$accountType1){ok} ",
            "m2:disableUser(uid:$uid2){ok} }",
        ];
        assert_eq!(query, expected.concat());
        assert_eq!(variables["email0"], "a\"){ok} x:disableUser(uid:\"");
        assert_eq!(variables["accountType1"], "SANDBOX_USER");
        assert_eq!(variables.as_object().unwrap().len(), 5);
    }

    #[test]
    fn a_role_that_is_no_enum_value_is_rejected() {
        for text in ["", "NEW ROLE", "1ST", "A-B", "ROLÉ", "true", "null", "A){ok}"] {
            let to = Role::Other(text.into());
            let update = Action::UpdateRole { uid: Uid("u".into()), from: Role::Admin, to };
            assert!(validate_role(&change("a", update)).is_some(), "{text}");
        }
        for role in Role::KNOWN.into_iter().chain([Role::Other("_NEW_2".into())]) {
            assert_eq!(validate_role(&change("a", Action::Invite { role })), None);
        }
        let odd = Role::Other("no name".into());
        let disable = Action::Disable { uid: Uid("u".into()), role: odd };
        assert_eq!(validate_role(&change("a", disable)), None, "the role is not sent");
    }
}
