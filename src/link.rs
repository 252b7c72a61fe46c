//! Links to the pages of a git forge: a commit, and a line of a file. Pure text. Nothing that is
//! put into a template can leave its place there.

use std::fmt::Write as _;
use std::str::FromStr;

/// Of each forge: the words in its host's name, and its pages of a commit and of a line, below that
/// of a repository. GitLab's are before those of GitHub, which they end like. Bitbucket's are
/// those of its cloud, then those of a server.
const FORGES: [(&[&str], &str, &str); 5] = [
    (&["gitlab"], "/-/commit/{commit}", "/-/blob/{commit}/{file}#L{line}"),
    (&["github"], "/commit/{commit}", "/blob/{commit}/{file}#L{line}"),
    (&["gitea", "forgejo", "codeberg"], "/commit/{commit}", "/src/commit/{commit}/{file}#L{line}"),
    (&["bitbucket"], "/commits/{commit}", "/src/{commit}/{file}#lines-{line}"),
    (&[], "/commits/{commit}", "/browse/{file}?at={commit}#{line}"),
];

/// The hint for a template that is not valid.
pub const WANTED: &str =
    "a template, such as https://git.acme.io/acme/access/blob/{commit}/{file}#L{line}";
const PLACEHOLDERS: [&str; 3] = ["{commit}", "{file}", "{line}"];

/// The pages of a repository, as templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoUrl {
    commit: Option<String>,
    line: Option<String>,
}

/// Links into a repository, from the files that were read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    pub repo: RepoUrl,
    /// A commit that has the files as they were read.
    pub commit: Option<String>,
    /// The path of each file in the repository.
    pub files: Vec<Option<String>>,
}

impl Links {
    /// The page of a line, in the file with this index.
    pub fn line(&self, file: usize, line: u32) -> Option<String> {
        self.repo.line(self.commit.as_deref()?, self.files.get(file)?.as_deref()?, line)
    }
}

impl RepoUrl {
    /// The pages of a remote at GitHub, GitLab, Bitbucket, Gitea or Forgejo, which the name of the
    /// host must say. Neither user nor password of the URL are kept.
    pub fn of_remote(remote: &str) -> Option<Self> {
        let https = https_form(remote);
        let remote = https.as_deref().unwrap_or(remote);
        let (scheme, rest) = remote.split_once("://").filter(|(it, _)| it.starts_with("http"))?;
        let (host, path) = rest.split(['?', '#']).next()?.split_once('/')?;
        let host = host.rsplit('@').next()?.to_ascii_lowercase();
        // Where a firewall blocks the port of SSH, GitHub and others offer it under another name.
        let host = ["ssh.", "altssh."].iter().find_map(|it| host.strip_prefix(it)).unwrap_or(&host);
        let path = path.trim_matches('/');
        let path = kept(path.strip_suffix(".git").unwrap_or(path), "/-._~");
        let is_host = is_host(host) && host.contains('.');
        let named = |(names, ..): &(&[&str], _, _)| {
            host.split(['.', '-']).any(|word| names.contains(&word))
        };
        let mut forge = FORGES.iter().position(named).filter(|_| is_host && is_path(&path))?;
        let mut path = path;
        if FORGES[forge].0 == ["bitbucket"] && host != "bitbucket.org" {
            let (project, repository) = path.trim_start_matches("scm/").split_once('/')?;
            let user = project.strip_prefix('~').map(|user| format!("users/{user}"));
            let owner = user.unwrap_or_else(|| format!("projects/{project}"));
            (forge, path) = (FORGES.len() - 1, format!("{owner}/repos/{repository}"));
        }
        let (_, commit, line) = FORGES[forge];
        let page = |of: &str| Some(format!("{scheme}://{host}/{path}{of}"));
        Some(Self { commit: page(commit), line: page(line) })
    }

    /// The page of a commit, by its id in hexadecimal.
    pub fn commit(&self, id: &str) -> Option<String> {
        is_id(id).then_some(self.commit.as_ref()?.replace("{commit}", id))
    }

    /// The page of a line of a file, by its path in the repository.
    fn line(&self, commit: &str, file: &str, line: u32) -> Option<String> {
        let template = self.line.as_ref().filter(|_| is_path(file) && is_id(commit))?;
        let page = template.replace("{commit}", commit).replace("{file}", &kept(file, "/-._~"));
        Some(page.replace("{line}", &line.to_string()))
    }
}

/// A template with `{commit}` for the page of a commit; with `{file}`, and mostly `{line}`, for
/// that of a file. If this is a page of a known forge, it has the page of a commit too. The error
/// does not repeat the text.
impl FromStr for RepoUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let (host, _) = rest.ok_or("neither http nor https")?.split_once('/').unwrap_or_default();
        if host.contains('@') {
            return Err("contains a user or a password, which readers would see");
        }
        let plain = PLACEHOLDERS.iter().fold(text.to_owned(), |it, name| it.replace(name, ""));
        if plain.contains(['{', '}']) {
            return Err("has another placeholder than {commit}, {file} and {line}");
        }
        let is_url =
            plain.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:/?#@!$&*+,;=%".contains(c));
        if !is_host(host) || !is_url {
            return Err("not a valid URL");
        }
        let [commit, file, line] = PLACEHOLDERS.map(|name| text.contains(name));
        if !commit {
            return Err("has no {commit}");
        }
        if line && !file {
            return Err("has {line} without {file}");
        }
        if !file {
            return Ok(Self { commit: Some(text.to_owned()), line: None });
        }
        let mut forges = FORGES.iter();
        let commit =
            forges.find_map(|(_, commit, line)| Some(text.strip_suffix(line)?.to_owned() + commit));
        Ok(Self { commit, line: Some(text.to_owned()) })
    }
}

fn is_host(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_allowed)
}

fn is_path(text: &str) -> bool {
    text.split('/').all(|part| !["", ".", ".."].contains(&part))
}

fn is_id(commit: &str) -> bool {
    (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The HTTPS form of an SSH address, such as `git@github.com:acme/access.git`.
pub fn https_form(text: &str) -> Option<String> {
    let (host, path) = match text.strip_prefix("ssh://") {
        Some(rest) => rest.split_once('/')?,
        None if text.contains("://") => return None,
        None => text.split_once(':')?,
    };
    let host = host.rsplit('@').next()?.split(':').next()?;
    Some(format!("https://{host}/{path}"))
}

/// Percent-encodes a part of a URL (RFC 3986).
pub fn encoded(text: &str) -> String {
    kept(text, "-._~@")
}

/// Percent-encodes everything but letters, digits and `others`.
fn kept(text: &str, others: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || others.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT: &str = "3f2c1ab";

    const HOSTILE: [char; 10] = ['<', '>', '|', '(', ')', '"', '\'', '`', '{', ' '];

    fn pages(repo: &RepoUrl) -> [Option<String>; 2] {
        [repo.commit(COMMIT), repo.line(COMMIT, "teams/é &.yaml", 7)]
    }

    #[test]
    fn the_pages_of_known_forges() {
        let file = "teams/%C3%A9%20%26.yaml";
        for (remote, commit, line) in [
            ("git@github.com:acme/access.git", "github.com/acme/access/commit/", "/blob/@#L7"),
            ("https://x:secret@github.com/acme/a", "github.com/acme/a/commit/", "/blob/@#L7"),
            ("ssh://git@ssh.github.com:443/a/b.git", "github.com/a/b/commit/", "/blob/@#L7"),
            ("https://github.acme.io/a/b", "github.acme.io/a/b/commit/", "/blob/@#L7"),
            ("git@gitlab.com:a/b/c.git", "gitlab.com/a/b/c/-/commit/", "/-/blob/@#L7"),
            (
                "ssh://git@my-gitlab.acme.io:22/a/b/",
                "my-gitlab.acme.io/a/b/-/commit/",
                "/-/blob/@#L7",
            ),
            (
                "https://GitLab.acme.io:8443/a/b",
                "gitlab.acme.io:8443/a/b/-/commit/",
                "/-/blob/@#L7",
            ),
            ("git@bitbucket.org:a/b.git", "bitbucket.org/a/b/commits/", "/src/@#lines-7"),
            ("https://codeberg.org/a/b.git", "codeberg.org/a/b/commit/", "/src/commit/@#L7"),
            ("git@forgejo.acme.io:a/b", "forgejo.acme.io/a/b/commit/", "/src/commit/@#L7"),
            (
                "https://gitea.acme.io/a/b?token=secret",
                "gitea.acme.io/a/b/commit/",
                "/src/commit/@#L7",
            ),
        ] {
            let [found, of_line] = pages(&RepoUrl::of_remote(remote).expect(remote));
            assert_eq!(found, Some(format!("https://{commit}{COMMIT}")), "{remote}");
            let line = line.replace('@', &format!("{COMMIT}/{file}"));
            assert!(of_line.as_ref().unwrap().ends_with(&line), "{of_line:?}");
        }
        let server =
            ["https://bitbucket.acme.io/scm/IT/a.git", "ssh://git@bitbucket.acme.io:7999/IT/a.git"];
        for remote in server {
            let [commit, line] = pages(&RepoUrl::of_remote(remote).unwrap()).map(Option::unwrap);
            let base = "https://bitbucket.acme.io/projects/IT/repos/a";
            assert_eq!(commit, format!("{base}/commits/{COMMIT}"));
            assert_eq!(line, format!("{base}/browse/{file}?at={COMMIT}#7"));
        }
        let own = RepoUrl::of_remote("https://bitbucket.acme.io/scm/~zoe/a.git").unwrap();
        assert_eq!(
            own.commit(COMMIT).unwrap(),
            "https://bitbucket.acme.io/users/zoe/repos/a/commits/3f2c1ab"
        );
        let http = RepoUrl::of_remote("http://gitlab.acme.io/a").unwrap();
        assert_eq!(http.commit(COMMIT).unwrap(), "http://gitlab.acme.io/a/-/commit/3f2c1ab");
    }

    #[test]
    fn a_remote_that_does_not_say_where_its_pages_are_has_none() {
        for remote in [
            "",
            "/srv/git/access.git",
            "file:///srv/github/access.git",
            "git@github-work:acme/access.git",
            "https://git.acme.io/acme/access.git",
            "https://github.com",
            "https://github.com/",
            "javascript://github.com/x",
            "https://github.com{commit}/x",
            "https://notgithub.com/x/y",
        ] {
            assert_eq!(RepoUrl::of_remote(remote), None, "{remote}");
        }
    }

    #[test]
    fn a_template_has_the_page_of_a_line_or_of_a_commit() {
        let read = |text: &str| pages(&text.parse().unwrap());
        let [commit, line] = read("https://code.acme.io/a/-/blob/{commit}/{file}#L{line}");
        assert_eq!(commit.unwrap(), "https://code.acme.io/a/-/commit/3f2c1ab");
        assert_eq!(
            line.unwrap(),
            "https://code.acme.io/a/-/blob/3f2c1ab/teams/%C3%A9%20%26.yaml#L7"
        );
        let [commit, line] = read("http://git.acme.io/?h={commit}&f={file}");
        assert_eq!(
            (commit, line.as_deref()),
            (None, Some("http://git.acme.io/?h=3f2c1ab&f=teams/%C3%A9%20%26.yaml"))
        );
        assert_eq!(read("https://git.acme.io/c/{commit}")[1], None);
        for (text, why) in [
            ("ftp://git.acme.io/{commit}", "neither http nor https"),
            ("https://git.acme.io", "not a valid URL"),
            ("https://{commit}.acme.io/", "not a valid URL"),
            ("https://git.acme.io/{commit} x", "not a valid URL"),
            ("https://git.acme.io/{commit}|x)", "not a valid URL"),
            ("https://key@git.acme.io/{commit}", "contains a user"),
            ("https://git.acme.io/{commit}/{path}", "has another placeholder"),
            ("https://git.acme.io/{file}", "has no {commit}"),
            ("https://git.acme.io/{commit}#{line}", "has {line} without {file}"),
        ] {
            let found = RepoUrl::from_str(text).unwrap_err();
            assert!(found.starts_with(why), "{text}: {found}");
        }
    }

    #[test]
    fn ssh_addresses_have_an_https_form() {
        for (ssh, https) in [
            ("git@github.com:acme/access.git", "https://github.com/acme/access.git"),
            ("ssh://git@git.acme.io:22/acme/access", "https://git.acme.io/acme/access"),
            ("git.acme.io:access", "https://git.acme.io/access"),
        ] {
            assert_eq!(https_form(ssh).as_deref(), Some(https));
        }
        assert_eq!(https_form("https://github.com/acme/access.git"), None);
        assert_eq!(https_form("http://localhost:80/x"), None);
    }

    proptest! {
        #[test]
        fn hostile_text_stays_in_its_place(
            (remote, commit, file, path) in (".*", ".*", ".*", ".*"),
        ) {
            let template = "https://git.acme.io/a/blob/{commit}/{file}#L{line}";
            let repo: RepoUrl = template.parse().unwrap();
            let of_path = RepoUrl::of_remote(&format!("https://u:secret@github.com/acme/{path}"));
            let derived = [RepoUrl::of_remote(&remote), of_path].into_iter().flatten();
            for repo in derived.chain([repo]) {
                prop_assert_eq!(repo.commit(&commit).is_some(), is_id(&commit));
                let lines = [repo.line(COMMIT, &file, 7), repo.line(&commit, "users.yaml", 7)];
                for url in lines.into_iter().flatten().chain(repo.commit(COMMIT)) {
                    let parsed = reqwest::Url::parse(&url).unwrap();
                    prop_assert_eq!(parsed.as_str(), &url, "nothing is normalised");
                    prop_assert!(parsed.username().is_empty() && !url.contains("secret"));
                    prop_assert!(!url.contains(HOSTILE));
                }
            }
        }
    }
}
