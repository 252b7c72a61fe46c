//! Secrets, read when they are used.

use rosterd::client::Credentials;
use rosterd::config::{Request, WorkspaceConfig, load};
use secrecy::ExposeSecret as _;

use super::{env, folder, minimal};

/// A workspace whose secret stands in `keys/secret` beside the configuration.
fn workspace(credentials: &str, more: &str) -> (tempfile::TempDir, WorkspaceConfig) {
    let text = minimal(more)
        .replace("{ api_key: { env: KEY }, api_secret: { env: SECRET } }", credentials);
    let folder = folder(&text);
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    let workspace =
        load(&Request::default(), &env, folder.path()).unwrap().config.workspaces[0].clone();
    (folder, workspace)
}

/// The key and the secret that are read; a token has no key.
fn read(workspace: &WorkspaceConfig) -> Result<(Option<String>, String), String> {
    let env = |name: &str| (name == "KEY").then(|| "key".to_owned());
    let read = workspace.read_credentials(&env).map_err(|problem| problem.to_string())?;
    Ok(match read {
        Credentials::KeyPair { key, secret } => {
            (Some(key.expose_secret().to_owned()), secret.expose_secret().to_owned())
        }
        Credentials::Token(token) => (None, token.expose_secret().to_owned()),
    })
}

#[test]
fn a_rotated_secret_is_used_next() {
    let (folder, workspace) =
        workspace("{ api_key: { env: KEY }, api_secret: { file: keys/secret } }", "");
    let file = folder.path().join("keys/secret");
    let missing = read(&workspace).unwrap_err();
    assert!(missing.contains(file.to_str().unwrap()), "{missing}");
    for (text, secret) in [("hush\n", "hush"), ("other hush", "other hush"), ("x\r\n", "x")] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(read(&workspace), Ok((Some("key".into()), secret.into())));
    }
    std::fs::write(&file, "prdm_wsp_x\n").unwrap();
    assert_eq!(read(&workspace), Ok((None, "prdm_wsp_x".into())));
}

#[test]
fn an_invalid_secret_is_reported_without_its_value() {
    let (folder, workspace) = workspace("{ api_secret: { file: keys/secret } }", "");
    let large = vec![b'h'; 65 * 1024];
    for (bytes, why) in [
        (&b""[..], ": empty"),
        (b"\n", ": empty"),
        (b"hush\nhush", "contains characters that are not allowed in a secret"),
        (b"hush\xff", ": not UTF-8"),
        (&large, "larger than 65536 bytes"),
        (b"hush", "not a token, so `api_key` is required too"),
    ] {
        std::fs::write(folder.path().join("keys/secret"), bytes).unwrap();
        let told = read(&workspace).unwrap_err();
        assert!(told.ends_with(why) && !told.contains("hush"), "{told}");
    }
}

#[test]
fn a_company_token_needs_a_workspace() {
    let credentials = "{ api_secret: { file: keys/secret } }";
    for (token, more, works) in [
        ("prdm_cmp_hush", "", false),
        ("prdm_cmp_hush", "    workspace_uid: abc\n", true),
        ("prdm_wsp_hush", "", true),
    ] {
        let (folder, workspace) = workspace(credentials, more);
        std::fs::write(folder.path().join("keys/secret"), token).unwrap();
        match read(&workspace) {
            Ok(_) => assert!(works, "{token} {more}"),
            Err(told) => {
                assert!(!works && told.contains("workspace_uid"), "{told}");
                assert!(!told.contains("hush"), "{told}");
            }
        }
    }
}
