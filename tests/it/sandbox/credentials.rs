//! Who is let in, and for what.

use super::{ADMIN, LIST, VIEWER, invite, invited, send, serve};

const WORKSPACE: (&str, &str) = ("authorization", "Bearer prdm_wsp_sandbox");
const COMPANY: (&str, &str) = ("authorization", "Bearer prdm_cmp_sandbox");
const WORKSPACES: &str = "{ listWorkspaces { ok workspaces { name } } }";

#[tokio::test]
async fn nobody_without_the_right_key_gets_in() {
    let running = serve(|_| {}).await;
    let wrong: [&[(&str, &str)]; 8] = [
        &[],
        &ADMIN[..1],
        &ADMIN[1..],
        &[ADMIN[0], ("x-api-secret", "wrong")],
        &[ADMIN[0], VIEWER[1]],
        &[("authorization", "Bearer prdm_wsp_other")],
        &[("authorization", "prdm_wsp_sandbox")],
        &[COMPANY, ("x-paradime-workspace", "nowhere")],
    ];
    for headers in wrong {
        for query in [LIST, WORKSPACES, &invite("alice@acme.io")] {
            let got = send(&running, headers, query).await;
            let (status, message, code) = got.error();
            assert_eq!((status, &*code), (401, "UNAUTHENTICATED"), "{headers:?}");
            assert!(!message.is_empty());
        }
    }
    assert_eq!(invited(&running).len(), 2);
}

#[tokio::test]
async fn a_viewer_reads_and_does_not_write() {
    let running = serve(|_| {}).await;
    assert_eq!(send(&running, VIEWER, LIST).await.json()["data"]["listUsers"]["ok"], true);
    let (status, message, code) = send(&running, VIEWER, &invite("alice@acme.io")).await.error();
    assert_eq!((status, &*code), (200, "FORBIDDEN"));
    assert!(message.contains("User Management Admin"), "{message}");
    assert_eq!(invited(&running).len(), 2);
}

#[tokio::test]
async fn each_key_sees_its_workspaces() {
    let running = serve(|options| options.workspaces = vec!["acme".into(), "other".into()]).await;
    let other = running.world().workspaces[1].uid.clone();
    let chosen: &[_] = &[COMPANY, ("x-paradime-workspace", &*other)];
    for (headers, names) in
        [(&ADMIN[..], 1), (VIEWER, 1), (&[WORKSPACE][..], 1), (&[COMPANY][..], 2), (chosen, 2)]
    {
        let seen = send(&running, headers, WORKSPACES).await.json();
        let seen = seen["data"]["listWorkspaces"]["workspaces"].as_array().unwrap().clone();
        assert_eq!((seen.len(), &seen[0]["name"]), (names, &"acme".into()), "{headers:?}");
    }
    let (_, message, code) = send(&running, &[COMPANY], LIST).await.error();
    assert!(message.contains("X-Paradime-Workspace") && code == "UNAUTHENTICATED", "{message}");
    let done = send(&running, chosen, &invite("alice@acme.io")).await.json();
    assert_eq!(done["data"]["inviteUser"]["ok"], true);
    assert_eq!(invited(&running).len(), 2, "the first workspace is as it was");
    assert_eq!(running.world().workspaces[1].invitations.len(), 3);
    let done = send(&running, &[WORKSPACE], &invite("alice@acme.io")).await.json();
    assert_eq!(done["data"]["inviteUser"]["ok"], true);
    assert_eq!(invited(&running).len(), 3);
}
