//! The templates for pull requests, run: their own scripts, with a stand-in for Docker that hands
//! what is behind the image to the binary, and one for each program that speaks to the forge.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use gix::refs::transaction::PreviousValue;
use serde_yaml::Value;

use super::test_env::{ROSTER, TestEnv};
use crate::support::repository::Repository;

/// Only the variables that are named reach the container.
const DOCKER: &str = "#!/bin/sh\n\
    cd / && variables=\n\
    while [ \"$1\" != \"$IMAGE\" ]; do\n\
    case $1 in\n\
    --workdir) cd \"$2\" ;;\n\
    --env) variables=\"$variables $2=$(printenv \"$2\")\" ;;\n\
    esac\n\
    shift\n\
    done\n\
    shift\n\
    exec env -i XDG_STATE_HOME=\"$RUNNER_TEMP\" $variables \"$ROSTERD\" \"$@\"\n";
/// Notes what it is asked, and answers as if the comment with the number in `mine` were there.
const GH: &str = "#!/bin/sh\n\
    echo \"$@\" >>calls\n\
    case \"$*\" in *--jq*) cat mine; exit ;; esac\n\
    for argument; do case $argument in body=@*) cp \"${argument#body=@}\" body ;; esac; done\n";
const CURL: &str = "#!/bin/sh\n\
    echo \"$@\" >>calls\n\
    case \"$*\" in *per_page*) cat mine; exit ;; */user) echo '{\"id\":9}'; exit ;; esac\n\
    for argument; do case $argument in body@*) cp \"${argument#body@}\" body ;; esac; done\n";
/// The head of the branch below has the configuration in `base`.
const GIT: &str = "#!/bin/sh\n\
    echo \"git $*\" >>calls\n\
    for folder; do :; done\n\
    cp -R base \"$folder\"\n";
const CONFIG: &str = "version: 1\nworkspaces:\n  - name: acme\n    endpoint: ${PARADIME_API_ENDPOINT}\n    \
    credentials: { api_key: { env: PARADIME_API_KEY }, api_secret: { env: PARADIME_API_SECRET } }\n    \
    users: { git: \"https://git.acme.io/access.git\", path: users.yaml, token: { env: NONE } }\n";

/// A stage with a checked-out repository and the stand-ins on the path. The roster of the branch
/// below is invalid, so that a plan of it fails.
fn stage() -> TestEnv {
    let stage = TestEnv::new();
    for name in ["base", "bin", "temp", "access"] {
        std::fs::create_dir_all(stage.path(name)).unwrap();
    }
    for name in ["rosterd.yaml", "base/rosterd.yaml"] {
        stage.write(name, CONFIG);
    }
    stage.write("access/users.yaml", "users: [");
    Repository::at(&stage.path("access")).commit("Matt", "Break it");
    roster(&stage, ROSTER);
    for (name, text) in [("docker", DOCKER), ("gh", GH), ("curl", CURL), ("git", GIT)] {
        stage.write(&format!("bin/{name}"), text);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(stage.path(&format!("bin/{name}")), executable).unwrap();
    }
    stage.write("mine", "");
    stage
}

/// Writes the roster of the pull request: into its checkout, and into the forge.
fn roster(stage: &TestEnv, text: &str) {
    stage.write("users.yaml", text);
    stage.write("access/users.yaml", text);
    let folder = stage.path("access");
    let git = gix::open(&folder).unwrap();
    let main = git.head_id().unwrap().detach();
    let commit = Repository::at(&folder).commit("Alice", "Change it").parse().unwrap();
    for (name, commit) in [
        ("refs/pull/7/merge", commit),
        ("refs/merge-requests/7/head", commit),
        ("refs/heads/main", main),
    ] {
        git.reference(name, commit, PreviousValue::Any, "").unwrap();
    }
}

/// Runs a script as a runner does; the answer is its exit code and what it wrote.
fn runs(stage: &TestEnv, script: &str) -> (i32, String) {
    let path = format!("{}:{}", stage.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(stage.path("."));
    command.envs(stage.variables()).env("PATH", path);
    command.env("ROSTERD", env!("CARGO_BIN_EXE_rosterd")).env("IMAGE", "the-image");
    command.env("ROSTER", "users.yaml").env("RUNNER_TEMP", stage.path("temp"));
    command.env("GITHUB_OUTPUT", stage.path("output"));
    let (ca, forge) = ("/etc/ssl/certs/ca-certificates.crt", "https://git.acme.io");
    command.env("WORKSPACE", "").env("CA", ca).env("GITHUB_SERVER_URL", forge);
    // The output of an earlier step.
    let output = std::fs::read_to_string(stage.path("output")).unwrap_or_default();
    command.env("WORK", output.lines().last().unwrap_or_default().trim_start_matches("work="));
    let users = format!("file://{}#main:users.yaml", stage.path("access").display());
    command.env("ROSTERD_USERS", users);
    command.env("CI_PROJECT_DIR", stage.path("project"));
    command.env("CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/7/head");
    command.env("CI_REPOSITORY_URL", "https://forge/acme/access.git");
    command.env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main");
    command.env("GITHUB_REPOSITORY", "acme/access").env("NUMBER", "7");
    command.env("CI_API_V4_URL", "https://forge/api").env("CI_PROJECT_ID", "1");
    command.env("CI_MERGE_REQUEST_IID", "7").env("ROSTERD_NOTES", "token");
    let ran = command.output().unwrap();
    let text = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (ran.status.code().unwrap(), text.concat())
}

fn template(name: &str) -> Value {
    let text = std::fs::read_to_string(format!("deploy/ci/{name}")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// The script of a step of the workflow for GitHub.
fn step(job: &str, name: &str) -> String {
    let workflow = template("github.yml");
    let steps = workflow["jobs"][job]["steps"].as_sequence().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    step["run"].as_str().unwrap().to_owned()
}

/// A line of the job's script for GitLab.
fn line(job: &str, contains: &str) -> String {
    let jobs = template("gitlab.yml");
    let lines = jobs[job]["script"].as_sequence().unwrap();
    let mut lines = lines.iter().map(|line| line.as_str().unwrap());
    lines.find(|line| line.contains(contains)).unwrap().to_owned()
}

#[test]
fn a_pull_request_is_checked_with_annotations() {
    let stage = stage();
    let check = step("check", "Check the configuration and the roster");
    assert_eq!(runs(&stage, &check).0, 0);
    roster(&stage, &ROSTER.replace("BUSINESS", "BOSS"));
    let (code, said) = runs(&stage, &check);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("::error file=users.yaml,line=4,"), "{said}");
    assert_eq!(runs(&stage, &line("rosterd-check", "check")).0, 78, "and so on GitLab");
}

#[test]
fn a_plan_is_one_comment_that_is_updated_in_place() {
    let stage = stage();
    let (plan, show) = (step("plan", "Make the plan"), step("plan", "Show it on the pull request"));
    assert_eq!(runs(&stage, &plan).0, 0, "changes are no failure");
    assert_eq!(runs(&stage, &show).0, 0);
    let body = stage.read("body");
    assert!(body.starts_with("<!-- rosterd -->\n") && body.contains("alice@acme.io"), "{body}");
    let comments = "repos/acme/access/issues/7/comments";
    assert!(stage.read("calls").contains(&format!("--method POST {comments}")));
    stage.write("mine", "42\n43\n");
    assert_eq!(runs(&stage, &show).0, 0);
    let update = "--method PATCH repos/acme/access/issues/comments/42";
    assert!(stage.read("calls").contains(update), "{}", stage.read("calls"));
}

#[test]
fn a_plan_that_is_held_is_shown_and_one_that_cannot_be_made_fails() {
    let stage = stage();
    let plans = [step("plan", "Make the plan"), line("rosterd-plan", "--plan")];
    roster(&stage, "version: 1\nusers: []\n");
    for plan in &plans {
        assert_eq!(runs(&stage, plan).0, 0, "held");
    }
    roster(&stage, "users: [");
    for plan in &plans {
        assert_eq!(runs(&stage, plan).0, 78);
    }
}

#[test]
fn a_pull_request_cannot_say_where_the_key_goes() {
    let stage = stage();
    let unreachable = CONFIG.replace("${PARADIME_API_ENDPOINT}", "http://127.0.0.1:9/elsewhere");
    stage.write("rosterd.yaml", &unreachable);
    let plans = [step("plan", "Make the plan"), line("rosterd-plan", "--plan")];
    for plan in &plans {
        let (code, said) = runs(&stage, plan);
        assert_eq!(code, 0, "the configuration of the branch below counts: {said}");
    }
    stage.write("base/rosterd.yaml", &unreachable);
    for plan in &plans {
        assert_eq!(runs(&stage, plan).0, 1);
    }
    std::fs::remove_file(stage.path("base/rosterd.yaml")).unwrap();
    for plan in &plans {
        let (code, said) = runs(&stage, plan);
        assert_eq!(code, 0, "if it has none, the variables count: {said}");
    }
    // The head, not the commit that the branch began from: an old one has an old configuration.
    let clone = "git clone --quiet --depth 1 --branch main https://forge/acme/access.git";
    assert!(stage.read("calls").contains(clone), "{}", stage.read("calls"));
    let steps = &template("github.yml")["jobs"]["plan"]["steps"];
    assert_eq!(steps[0]["with"]["ref"], "${{ github.event.pull_request.base.ref }}");
    let checkouts = steps.as_sequence().unwrap().iter().filter(|step| step["uses"].is_string());
    assert_eq!(checkouts.count(), 1, "nothing of the pull request is checked out");
    assert_eq!(template("gitlab.yml")["rosterd-plan"]["variables"]["GIT_STRATEGY"], "none");
    assert_eq!(template("github.yml")["on"]["pull_request"]["branches"][0], "main");
    let rule = &template("gitlab.yml")["rosterd-plan"]["rules"][0]["if"];
    let is_default = "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME == $CI_DEFAULT_BRANCH";
    assert!(rule.as_str().unwrap().contains(is_default), "{rule:?}");
    let workflow = std::fs::read_to_string("deploy/ci/github.yml").unwrap();
    assert!(!workflow.contains("pull_request_target"));
    let condition = "github.event.pull_request.head.repo.full_name == github.repository";
    assert_eq!(template("github.yml")["jobs"]["plan"]["if"], condition);
}

/// The roster is on the forge itself, and the token of the job may read it.
#[test]
fn the_roster_is_fetched_with_the_token_of_the_job() {
    let github = template("github.yml");
    let steps = github["jobs"]["plan"]["steps"].as_sequence().unwrap();
    let variables = &steps.iter().find(|step| step["id"] == "plan").unwrap()["env"];
    let branch = "github.event.pull_request.base.ref";
    let url = "${{ github.server_url }}/${{ github.repository }}.git";
    let users = format!("{url}#${{{{ {branch} }}}}:${{{{ env.ROSTER }}}}");
    assert_eq!(variables["ROSTERD_USERS"], users.as_str());
    assert_eq!(variables["ROSTERD_GIT_TOKEN"], "${{ github.token }}");
    assert_eq!(github["jobs"]["plan"]["permissions"]["contents"], "read");
    let variables = &template("gitlab.yml")["rosterd-plan"]["variables"];
    let users = "${CI_PROJECT_URL}.git#${CI_DEFAULT_BRANCH}:${ROSTER}";
    assert_eq!(variables["ROSTERD_USERS"], users);
    assert_eq!(variables["ROSTERD_GIT_USERNAME"], "gitlab-ci-token");
    assert_eq!(variables["ROSTERD_GIT_TOKEN"], "$CI_JOB_TOKEN");
}

/// A branch can change the templates, so the key is behind an environment that can be protected.
#[test]
fn the_key_is_in_an_environment_and_what_runs_is_pinned() {
    for (name, job) in [("github.yml", "jobs"), ("gitlab.yml", "rosterd-plan")] {
        let template = template(name);
        let plan = template[job].get("plan").unwrap_or(&template[job]);
        assert_eq!(plan["environment"], "rosterd-plan", "{name}");
        let text = std::fs::read_to_string(format!("deploy/ci/{name}")).unwrap();
        assert!(text.contains("User Metadata Viewer") && text.contains("can change this"));
        for line in
            text.lines().filter(|line| line.contains("uses:") || line.contains("- name: docker"))
        {
            let digest = line.split(['@', ':']).rfind(|part| part.len() >= 40).unwrap_or_default();
            let digest = digest.split(' ').next().unwrap_or_default();
            let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_digest && [40, 64].contains(&digest.len()), "{line}");
        }
    }
}

#[test]
fn links_of_a_pull_request_are_not_followed() {
    let stage = stage();
    stage.write("precious", "as before");
    for name in ["plan.md", "note.md", "comment.md", ".base-rosterd.yaml", ".base"] {
        std::os::unix::fs::symlink(stage.path("precious"), stage.path(name)).unwrap();
    }
    for script in [
        step("plan", "Make the plan"),
        step("plan", "Show it on the pull request"),
        line("rosterd-plan", "--plan"),
    ] {
        let (code, said) = runs(&stage, &script);
        assert_eq!(code, 0, "{said}");
        assert_eq!(stage.read("precious"), "as before");
    }
}

/// The configuration of the daemon has files, and so has the pipeline.
#[test]
fn one_configuration_serves_the_daemon_and_the_pipeline() {
    let stage = stage();
    let file = |name: &str| format!("{{ file: \"${{ROSTERD_SECRETS:-/run/secrets}}/{name}\" }}");
    let config = CONFIG
        .replace("{ env: PARADIME_API_KEY }", &file("api_key"))
        .replace("{ env: PARADIME_API_SECRET }", &file("api_secret"));
    let (_, acme) = config.split_once("  - name: acme").unwrap();
    let other = acme.replace("${PARADIME_API_ENDPOINT}", "https://other.acme.io/graphql");
    let several = format!("{config}  - name: other{other}");
    stage.write("base/rosterd.yaml", &several);
    for plan in [step("plan", "Make the plan"), line("rosterd-plan", "--plan")] {
        let (code, said) = runs(&stage, &format!("WORKSPACE=acme\n{plan}"));
        assert_eq!(code, 0, "{said}");
        let left = std::fs::read_dir(stage.path("temp")).unwrap();
        let left = left.filter(|it| it.as_ref().unwrap().path().join("secrets").exists());
        assert_eq!(left.count(), 0, "no secret is left");
    }
}

/// A repository that begins to have a roster.
#[test]
fn the_first_pull_request_is_planned() {
    let stage = stage();
    std::fs::remove_file(stage.path("base/rosterd.yaml")).unwrap();
    let git = gix::open(stage.path("access")).unwrap();
    std::fs::remove_file(stage.path("access/users.yaml")).unwrap();
    stage.write("access/README.md", "Access\n");
    let empty = Repository::at(&stage.path("access")).commit("Matt", "Begin").parse().unwrap();
    let empty: gix::ObjectId = empty;
    git.reference("refs/heads/main", empty, PreviousValue::Any, "").unwrap();
    for plan in [step("plan", "Make the plan"), line("rosterd-plan", "--plan")] {
        let (code, said) = runs(&stage, &plan);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn a_runner_without_docker_uses_the_binary() {
    let stage = stage();
    stage.write("bin/docker", "#!/bin/sh\nexit 1\n");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rosterd"), stage.path("bin/rosterd")).unwrap();
    for script in [
        step("check", "Check the configuration and the roster"),
        line("rosterd-check", "check"),
        step("plan", "Make the plan"),
        line("rosterd-plan", "--plan"),
    ] {
        let (code, said) = runs(&stage, &script);
        assert_eq!(code, 0, "{said}");
    }
}

/// It needs `jq`.
#[cfg(feature = "e2e")]
#[test]
fn a_merge_request_has_one_note_that_is_updated_in_place() {
    let stage = stage();
    let show = [line("rosterd-plan", "--plan"), line("rosterd-plan", "note.md")].join("\n");
    stage.write("mine", "[]");
    let (code, said) = runs(&stage, &show);
    assert_eq!(code, 0, "{said}");
    assert!(stage.read("body").contains("alice@acme.io"));
    assert!(stage.read("calls").contains("--request POST"), "{}", stage.read("calls"));
    let old = r#""body": "<!-- rosterd -->\nold""#;
    let notes = format!(
        r#"[{{ "id": 4, {old}, "author": {{ "id": 8 }} }}, {{ "id": 5, {old}, "author": {{ "id": 9 }} }}]"#
    );
    stage.write("mine", &notes);
    assert_eq!(runs(&stage, &show).0, 0);
    let update = "merge_requests/7/notes/5";
    assert!(stage.read("calls").contains("--request PUT"), "{}", stage.read("calls"));
    assert!(stage.read("calls").trim_end().ends_with(update));
}
