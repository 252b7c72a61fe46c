//! The documented operations.

use reqwest::StatusCode;
use rosterd::role::Role;
use serde_json::json;

use super::{LISTING, TestEnv, send};

const MATT: &str = "07673b48d2206dad7a150dd258ea1e049df036356f1730e30304e38ca648b175";

#[tokio::test]
async fn a_listing_equals_the_documented_one() {
    let env = TestEnv::new().await;
    let expected = json!({ "listUsers": {
        "ok": true,
        "activeUsers": [
            {
                "uid": "1b051b1e1aaf70773789c250cd0cc40a5bf27c104d1ca2c6b765767eb53c4772",
                "email": "alexandra@acme.io",
                "name": "Alexandra James",
                "accountType": "ADMIN",
            },
            {
                "uid": "0b02bde0691e9a220f8fdbff93d992a7826c7ce7b0ea33ffc4709c6a2d219a49",
                "email": "jonny@acme.io",
                "name": "Jonathan Maxwell",
                "accountType": "ADMIN",
            },
            {
                "uid": MATT,
                "email": "matt@acme.io",
                "name": "Matt McDonald",
                "accountType": "DEVELOPER",
            },
        ],
        "invitedUsers": [
            { "email": "max@acme.io", "accountType": "ADMIN", "inviteStatus": "EXPIRED" },
            { "email": "john@acme.io", "accountType": "ADMIN", "inviteStatus": "ACTIVE" },
        ],
    } });
    assert_eq!(env.data(LISTING, json!({})).await, expected);
}

#[tokio::test]
async fn the_documented_requests_work_with_values_inline() {
    let env = TestEnv::new().await;
    let invite = "mutation InviteUser { inviteUser(email: \"snow@acme.io\", \
                  accountType: DEVELOPER) { ok } }";
    assert_eq!(env.data(invite, json!({})).await, json!({ "inviteUser": { "ok": true } }));
    let update = format!(
        "mutation UpdateUserAccountType {{ updateUserAccountType(uid: \"{MATT}\" \
         accountType: ADMIN) {{ ok }} }}"
    );
    let updated = env.data(&update, json!({})).await;
    assert_eq!(updated, json!({ "updateUserAccountType": { "ok": true } }));
    let disable = format!("mutation DisableUser {{ disableUser(uid: \"{MATT}\") {{ ok }} }}");
    let disabled = env.data(&disable, json!({})).await;
    assert_eq!(disabled, json!({ "disableUser": { "ok": true } }));
    let spaces = env.data("{ listWorkspaces { ok workspaces { uid name } } }", json!({})).await;
    assert_eq!(spaces["listWorkspaces"]["ok"], true);
    assert_eq!(spaces["listWorkspaces"]["workspaces"][0]["name"], "acme");
    assert_eq!(env.emails(), ["alexandra@acme.io", "jonny@acme.io"]);
    assert_eq!(env.invited(), ["max@acme.io", "john@acme.io", "snow@acme.io"]);
}

#[tokio::test]
async fn variables_and_operation_names_are_supported() {
    let env = TestEnv::new().await;
    let document = "query Other { listUsers { ok } } \
                    mutation Invite($e: String!, $t: UserAccountType!) \
                    { inviteUser(email: $e, accountType: $t) { ok } }";
    let body = json!({
        "query": document,
        "operationName": "Invite",
        "variables": { "e": "alice@acme.io", "t": "BILLING_ADMIN" },
    });
    let (status, response) = send(env.admin("/graphql").body(body.to_string())).await;
    assert_eq!((status, &response["data"]["inviteUser"]["ok"]), (StatusCode::OK, &json!(true)));
    assert!(env.invited().contains(&"alice@acme.io".to_owned()));
}

#[tokio::test]
async fn rejected_mutations_have_a_code_and_change_nothing() {
    let env = TestEnv::new().await;
    let disable = |uid: &str| format!("mutation {{ disableUser(uid: \"{uid}\") {{ ok }} }}");
    let invite = |email: &str| {
        format!("mutation {{ inviteUser(email: \"{email}\", accountType: BUSINESS) {{ ok }} }}")
    };
    env.data(&disable(MATT), json!({})).await;
    let before = env.running.world();
    for (query, words, code) in [
        (invite("john@acme.io"), "already been invited", "CONFLICT"),
        (invite("Jonny@ACME.io"), "already active", "CONFLICT"),
        (invite("matt@acme.io"), "disabled", "CONFLICT"),
        (invite("nobody"), "not an email address", "BAD_USER_INPUT"),
        (disable(MATT), "no active user", "NOT_FOUND"),
        (disable("unknown"), "no active user", "NOT_FOUND"),
    ] {
        let (message, actual) = env.error(&query).await;
        assert!(message.contains(words) && actual == code, "{query}: {message} {actual}");
    }
    for query in [
        "mutation { inviteUser(email: \"a@acme.io\", accountType: OWNER) { ok } }",
        "mutation { inviteUser(email: \"a@acme.io\") { ok } }",
        "mutation { cancelInvitation(email: \"john@acme.io\") { ok } }",
        "{ listUsers { ok secrets } }",
        "{ listUsers {",
    ] {
        let (status, response) = env.query(query, json!({})).await;
        assert_eq!(status, StatusCode::OK);
        assert!(response["errors"][0]["message"].is_string(), "{query}: {response}");
        assert!(response["data"].is_null(), "{query}: {response}");
    }
    assert_eq!(before, env.running.world());
}

#[tokio::test]
async fn the_schema_has_exactly_the_documented_operations() {
    let env = TestEnv::new().await;
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name \
                 args { name } } } subscriptionType { name } } \
                 __type(name: \"UserAccountType\") { kind enumValues { name } } }";
    let response = env.data(query, json!({})).await;
    let names = |value: &serde_json::Value| -> Vec<String> {
        let each = value.as_array().unwrap().iter();
        each.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let schema = &response["__schema"];
    assert_eq!(names(&schema["queryType"]["fields"]), ["listUsers", "listWorkspaces"]);
    let mutations = &schema["mutationType"]["fields"];
    assert_eq!(names(mutations), ["inviteUser", "updateUserAccountType", "disableUser"]);
    assert_eq!(names(&mutations[1]["args"]), ["uid", "accountType"]);
    assert!(schema["subscriptionType"].is_null());
    assert_eq!(response["__type"]["kind"], "ENUM");
    let roles = names(&response["__type"]["enumValues"]);
    let mut known: Vec<&str> = Role::KNOWN.iter().map(Role::as_str).collect();
    let mut roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    known.sort_unstable();
    roles.sort_unstable();
    assert_eq!(roles, known);
}

#[tokio::test]
async fn an_invalid_request_gets_an_error_in_the_form_of_graphql() {
    let env = TestEnv::new().await;
    for (body, status) in [
        ("", StatusCode::BAD_REQUEST),
        ("{}", StatusCode::OK),
        ("query { listUsers { ok } }", StatusCode::BAD_REQUEST),
        ("[1]", StatusCode::BAD_REQUEST),
    ] {
        let (actual, response) = send(env.admin("/graphql").body(body)).await;
        assert_eq!(actual, status, "{body}: {response}");
        assert!(response["errors"][0]["message"].is_string(), "{body}: {response}");
    }
    let plain = env
        .http
        .post(env.running.endpoint())
        .header("x-api-key", "sandbox-key")
        .header("x-api-secret", "sandbox-secret")
        .header("content-type", "text/plain");
    let (status, _) = send(plain.body("{\"query\":\"{ listUsers { ok } }\"}")).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = format!("{{\"query\":\"{}\"}}", " ".repeat(5 * 1024 * 1024));
    let (status, _) = send(env.admin("/graphql").body(large)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, response) = send(env.admin("/api").body("{}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(response["errors"][0]["message"].as_str().unwrap().contains("/graphql"));
    let page = env.http.get(env.running.endpoint()).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("fetch(\"/graphql\""));
}

#[tokio::test]
async fn every_response_has_a_date() {
    let env = TestEnv::new().await;
    let response = env.admin("/graphql").body("{}").send().await.unwrap();
    assert!(response.headers().contains_key("date"));
}
