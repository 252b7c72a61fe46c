//! The documented requests, verbatim, and what is refused.

use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::{ADMIN, Got, LIST, ask, http, invite, request, send, serve};

const ALEXANDRA: &str = "1b051b1e1aaf70773789c250cd0cc40a5bf27c104d1ca2c6b765767eb53c4772";
const JONNY: &str = "0b02bde0691e9a220f8fdbff93d992a7826c7ce7b0ea33ffc4709c6a2d219a49";
const MATT: &str = "07673b48d2206dad7a150dd258ea1e049df036356f1730e30304e38ca648b175";

#[tokio::test]
async fn the_documented_people_are_listed_in_the_documented_shape() {
    let running = serve(|_| {}).await;
    let got = send(&running, ADMIN, LIST).await;
    assert_eq!(
        (got.status, &got.headers[CONTENT_TYPE]),
        (200, &"application/json".parse().unwrap())
    );
    let active = |uid, email, name, role| {
        json!({
            "uid": uid, "email": email,
            "name": name, "accountType": role,
        })
    };
    let wanted = json!({ "data": { "listUsers": {
        "ok": true,
        "activeUsers": [
            active(ALEXANDRA, "alexandra@acme.io", "Alexandra James", "ADMIN"),
            active(JONNY, "jonny@acme.io", "Jonathan Maxwell", "ADMIN"),
            active(MATT, "matt@acme.io", "Matt McDonald", "DEVELOPER"),
        ],
        "invitedUsers": [
            { "email": "max@acme.io", "accountType": "ADMIN", "inviteStatus": "EXPIRED" },
            { "email": "john@acme.io", "accountType": "ADMIN", "inviteStatus": "ACTIVE" },
        ],
    } } });
    assert_eq!(got.json(), wanted);
    let sent = serve(|options| options.sent = true).await;
    let invited = ask(&sent, LIST).await["data"]["listUsers"]["invitedUsers"].clone();
    assert_eq!(
        (&invited[0]["inviteStatus"], &invited[1]["inviteStatus"]),
        (&json!("EXPIRED"), &json!("SENT"))
    );
}

#[tokio::test]
async fn every_mutation_takes_its_arguments_inline_and_as_variables() {
    let running = serve(|_| {}).await;
    let ok = |name: &str| json!({ "data": { name: { "ok": true } } });
    assert_eq!(ask(&running, &invite("alice@acme.io")).await, ok("inviteUser"));
    let update = format!(
        "mutation UpdateUserAccountType {{ updateUserAccountType(uid: \"{JONNY}\", accountType: \
        BUSINESS) {{ ok }} }}"
    );
    assert_eq!(ask(&running, &update).await, ok("updateUserAccountType"));
    let disable = format!("mutation DisableUser {{ disableUser(uid: \"{JONNY}\") {{ ok }} }}");
    assert_eq!(ask(&running, &disable).await, ok("disableUser"));
    let bodies = [
        (
            "inviteUser",
            "mutation A($email: String!, $role: UserAccountType!) { inviteUser(email: $email, \
            accountType: $role) { ok } }",
            json!({ "email": "zoe@acme.io", "role": "SANDBOX_USER" }),
        ),
        (
            "updateUserAccountType",
            "mutation B($uid: String!, $role: UserAccountType!) { updateUserAccountType(uid: \
            $uid, accountType: $role) { ok } }",
            json!({ "uid": MATT, "role": "ANALYST" }),
        ),
        (
            "disableUser",
            "mutation C($uid: String!) { disableUser(uid: $uid) { ok } }",
            json!({ "uid": MATT }),
        ),
    ];
    for (name, query, variables) in bodies {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let got = Got::of(request(&running.endpoint(), ADMIN, body).send().await.unwrap()).await;
        assert_eq!(got.json(), ok(name));
    }
    let listed = ask(&running, LIST).await["data"]["listUsers"].clone();
    assert_eq!(listed["activeUsers"].as_array().unwrap().len(), 1);
    assert_eq!(listed["invitedUsers"][3]["accountType"], "SANDBOX_USER");
}

#[test]
fn the_schema_has_the_documented_operations_and_no_other() {
    let sdl = rosterd::sandbox::schema::sdl();
    let lines = sdl.lines().map(str::trim);
    let operations: Vec<&str> =
        lines.filter(|line| line.contains("): ") || line.starts_with("list")).collect();
    insta::assert_snapshot!(operations.join("\n"), @r"
    inviteUser(email: String!, accountType: UserAccountType!): InviteUser!
    updateUserAccountType(uid: String!, accountType: UserAccountType!): UpdateUserAccountType!
    disableUser(uid: String!): DisableUser!
    listUsers: ListUsers!
    listWorkspaces: ListWorkspaces!
    ");
}

#[tokio::test]
async fn introspection_tells_the_roles() {
    let running = serve(|_| {}).await;
    let query = "{ __type(name: \"UserAccountType\") { enumValues { name } } __schema { \
    queryType { fields { name } } mutationType { fields { name } } } }";
    let names = |list: &serde_json::Value| -> String {
        let names =
            list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let data = ask(&running, query).await["data"].clone();
    assert_eq!(
        names(&data["__type"]["enumValues"]),
        "ADMIN DEVELOPER BUSINESS BILLING_ADMIN SECURITY_ADMIN WORKSPACE_SETTINGS_ADMIN \
        WORKSPACE_ADMIN ANALYST SANDBOX_USER"
    );
    assert_eq!(names(&data["__schema"]["queryType"]["fields"]), "listUsers listWorkspaces");
    assert_eq!(
        names(&data["__schema"]["mutationType"]["fields"]),
        "inviteUser updateUserAccountType disableUser"
    );
}

#[tokio::test]
async fn what_the_workspace_refuses_is_an_error_of_its_field() {
    let running = serve(|_| {}).await;
    let disable = |uid: &str| format!("mutation {{ disableUser(uid: \"{uid}\") {{ ok }} }}");
    ask(&running, &disable(MATT)).await;
    ask(&running, &invite("alice@acme.io")).await;
    let before = running.world();
    for (query, message, code) in [
        (disable("nobody"), "no active user has this uid", "NOT_FOUND"),
        (disable(MATT), "no active user has this uid", "NOT_FOUND"),
        (invite("ALICE@acme.io"), "already been invited", "CONFLICT"),
        (invite("jonny@acme.io"), "already active", "CONFLICT"),
        (invite("matt@acme.io"), "enable it in the workspace settings", "CONFLICT"),
        (invite("no address"), "not an email address", "BAD_USER_INPUT"),
    ] {
        let got = send(&running, ADMIN, &query).await;
        let (status, said, its) = got.error();
        assert_eq!((status, &*its), (200, code), "{}", got.text);
        assert!(said.contains(message), "{said}");
        assert!(got.json()["errors"][0]["path"].is_array(), "{}", got.text);
    }
    for query in [
        "mutation { inviteUser(email: \"zoe@acme.io\", accountType: KING) { ok } }",
        "mutation { inviteUser(email: \"zoe@acme.io\") { ok } }",
        "mutation { inviteUser(email: \"zoe@acme.io\", accountType: ADMIN) { ok } ",
        "mutation { enableUser(uid: \"1\") { ok } }",
        "",
    ] {
        let got = send(&running, ADMIN, query).await;
        assert_eq!((got.status, &got.json()["data"]), (200, &json!(null)), "{query}");
        assert!(got.json()["errors"][0]["path"].is_null(), "{}", got.text);
    }
    assert_eq!(running.world(), before, "nothing ran");
}

#[tokio::test]
async fn what_is_no_graphql_request_is_refused() {
    let running = serve(|_| {}).await;
    let endpoint = running.endpoint();
    for (body, status) in [("", 400), ("hello", 400), ("[]", 400), ("{}", 200)] {
        let got = Got::of(request(&endpoint, ADMIN, body).send().await.unwrap()).await;
        assert_eq!(got.status, status, "{body:?}: {}", got.text);
        assert!(!got.error().1.is_empty());
    }
    let form = http().post(&endpoint).header(CONTENT_TYPE, "text/plain").body("{}");
    assert_eq!(Got::of(form.send().await.unwrap()).await.error().0, 415);
    let large = request(&endpoint, ADMIN, " ".repeat(5 << 20)).send().await;
    assert!(large.is_err() || large.unwrap().status() == 413);
    let page = Got::of(http().get(&endpoint).send().await.unwrap()).await;
    assert!(page.status == 200 && page.text.contains("<html"), "a page to try it in");
    let nowhere = endpoint.replace("graphql", "nothing");
    let got = Got::of(request(&nowhere, ADMIN, "{}").send().await.unwrap()).await;
    assert_eq!(got.error().0, 404);
}
