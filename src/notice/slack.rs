//! A notice as a message for Slack's incoming webhooks.

use std::fmt::Write as _;

use serde_json::json;

use super::{Commit, Kind, Notice, Person, shortened};
use crate::render::approve;

/// Maximum length of the text of a block in characters, without fences; Slack accepts 3000
/// (<https://docs.slack.dev/reference/block-kit/blocks/section-block>).
const MAX_LENGTH: usize = 2900;
/// Maximum number of people in one message.
const MAX_PEOPLE: usize = 15;
/// Begins and ends preformatted text.
const FENCE: &str = "```";

/// The body of a message. Text from outside cannot format it, mention people or become a link: it
/// is plain text, or preformatted and verbatim, which keeps Slack from making links of addresses
/// and of names of channels
/// (<https://docs.slack.dev/reference/block-kit/composition-objects/text-object>). Slack's three
/// control characters are escaped (<https://docs.slack.dev/messaging/formatting-message-text>).
///
/// Links lead only to the web UI and to the git forge, under names that are ours.
pub fn body(notice: &Notice) -> String {
    let (workspace, summary) = (&notice.workspace, &notice.summary);
    let title = escape(&format!("{} {workspace}: {summary}", symbol(notice.event)));
    let title = shortened(title, MAX_LENGTH);
    let plain = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let marked = |text: String| {
        let text = json!({ "type": "mrkdwn", "text": text, "verbatim": true });
        json!({ "type": "section", "text": text })
    };
    let mut blocks = vec![json!({ "type": "section", "text": plain(&title) })];
    blocks.extend(people(notice).map(marked));
    if let Some(hint) = &notice.hint {
        let hint = shortened(escape(&format!("What to do: {hint}")), MAX_LENGTH);
        blocks.push(json!({ "type": "section", "text": plain(&hint) }));
    }
    blocks.extend(approvals(notice).into_iter().chain(links(notice)).map(marked));
    let context = shortened(escape(&context(notice)), MAX_LENGTH);
    if !context.is_empty() {
        blocks.push(json!({ "type": "context", "elements": [plain(&context)] }));
    }
    // The text of alerts.
    json!({ "text": title, "mrkdwn": false, "blocks": blocks }).to_string()
}

fn symbol(kind: Kind) -> &'static str {
    match kind {
        Kind::Applied | Kind::Recovered => "✅",
        Kind::Held => "✋",
        Kind::Failing => "🚨",
        Kind::Expiring => "⏳",
        Kind::NeedsPerson => "👤",
        Kind::Test => "👋",
    }
}

fn line(person: &Person) -> String {
    let Person { email, what, role, why, place, .. } = person;
    let place = place.as_deref().map(|place| format!("  ({place})")).unwrap_or_default();
    format!("{what:<9} {email}  {role}  {why}{place}")
}

/// The people, a line each: as many as fit, each whole.
fn people(notice: &Notice) -> Option<String> {
    let (mut lines, mut length) = (String::new(), 0);
    let mut more = notice.people.len() + notice.more;
    for person in notice.people.iter().take(MAX_PEOPLE) {
        let line = escape(&line(person).replace(FENCE, "'''")) + "\n";
        let with_line = length + line.chars().count();
        if with_line <= MAX_LENGTH {
            (length, more) = (with_line, more - 1);
            lines.push_str(&line);
        }
    }
    if more > 0 {
        let _ = writeln!(lines, "… and {more} more");
    }
    (!lines.is_empty()).then(|| format!("{FENCE}\n{lines}{FENCE}"))
}

/// How to approve what is held: the lines for the roster, complete, or the command.
fn approvals(notice: &Notice) -> Vec<String> {
    if notice.approvable == 0 {
        return Vec::new();
    }
    let lines = notice.approvals.as_deref().unwrap_or_default();
    let block = escape(lines);
    if !block.is_empty() && block.chars().count() <= MAX_LENGTH && !block.contains(FENCE) {
        let instruction = format!("To approve, {}:", approve::instruction(lines));
        return vec![instruction, format!("{FENCE}\n{block}{FENCE}")];
    }
    let (people, command) = (crate::render::people(notice.approvable), approve::COMMAND);
    let page = notice.page.as_deref().map(|url| link(url, "the page of the workspace"));
    let page = page.map(|link| format!(", or see {link}")).unwrap_or_default();
    let why = format!("The lines that approve {people} are too long for a message");
    vec![format!("{why}: run `{command}`{page}.")]
}

/// Links to the page of the workspace, the commit, and lines of the roster: as many as fit.
fn links(notice: &Notice) -> Option<String> {
    let commit = notice.commit.as_ref().and_then(|commit| commit.url.as_ref());
    let urls = [(&notice.page, "web UI"), (&notice.url, "the line that is not valid")];
    let urls = urls.into_iter().filter_map(|(url, name)| Some((url.as_ref()?, name.to_owned())));
    let urls = urls.chain(commit.map(|url| (url, "commit".to_owned())));
    let lines = notice.people.iter().take(MAX_PEOPLE).filter_map(|person| {
        let (_, line) = person.place.as_ref()?.rsplit_once(':')?;
        Some((person.url.as_ref()?, format!("line {line}")))
    });
    let mut text = String::new();
    for link in urls.chain(lines).map(|(url, name)| link(url, &name)) {
        let separator = if text.is_empty() { "" } else { " · " };
        if !text.contains(&link) && text.len() + separator.len() + link.len() <= MAX_LENGTH {
            text = text + separator + &link;
        }
    }
    (!text.is_empty()).then_some(text)
}

/// A bar would end the URL.
fn link(url: &str, text: &str) -> String {
    format!("<{}|{text}>", escape(&url.replace('|', "%7C")))
}

/// Commit, plan and start of a failure.
fn context(notice: &Notice) -> String {
    let mut parts = Vec::new();
    if let Some(Commit { id, author, subject, .. }) = &notice.commit {
        let author = author.as_ref().map(|author| format!(" {author}")).unwrap_or_default();
        let subject = subject.as_ref().map(|subject| format!(": {subject}")).unwrap_or_default();
        parts.push(format!("@ {id}{author}{subject}"));
    }
    let plan = notice.plan.as_ref().map(|plan| plan.chars().take(8).collect::<String>());
    parts.extend(plan.map(|plan| format!("plan {plan}")));
    parts.extend(notice.since.as_ref().map(|since| format!("since {since}")));
    parts.join("   ")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
