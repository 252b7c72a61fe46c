//! A notice as a message for Slack's incoming webhooks.

use std::fmt::Write as _;

use serde_json::json;

use super::{Commit, Kind, Notice, Person};
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
/// `page` is the URL of the workspace's page.
pub fn body(notice: &Notice, page: Option<&str>) -> String {
    let (workspace, summary) = (&notice.workspace, &notice.summary);
    let title = shortened(escape(&format!("{} {workspace}: {summary}", symbol(notice.event))));
    let plain = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": true });
    let mut blocks = vec![json!({ "type": "section", "text": plain(&title) })];
    blocks.extend(people(notice).into_iter().chain(approvals(notice, page)).map(|text| {
        let text = json!({ "type": "mrkdwn", "text": text, "verbatim": true });
        json!({ "type": "section", "text": text })
    }));
    let context = shortened(escape(&context(notice)));
    if !context.is_empty() {
        blocks.push(json!({ "type": "context", "elements": [plain(&context)] }));
    }
    // The text of alerts.
    json!({ "text": title, "mrkdwn": false, "blocks": blocks }).to_string()
}

fn symbol(kind: Kind) -> &'static str {
    match kind {
        Kind::Applied | Kind::Recovered => ":white_check_mark:",
        Kind::Held => ":raised_hand:",
        Kind::Failing => ":rotating_light:",
        Kind::Expiring => ":hourglass_flowing_sand:",
        Kind::NeedsPerson => ":bust_in_silhouette:",
    }
}

fn line(person: &Person) -> String {
    let Person { email, what, role, why, place } = person;
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
fn approvals(notice: &Notice, page: Option<&str>) -> Vec<String> {
    let Some(lines) = &notice.approvals else { return Vec::new() };
    let block = escape(lines);
    if block.chars().count() <= MAX_LENGTH && !block.contains(FENCE) {
        let instruction = format!("To approve, {}:", approve::instruction(lines));
        return vec![instruction, format!("{FENCE}\n{block}{FENCE}")];
    }
    let (people, command) = (crate::render::people(notice.approvable), approve::COMMAND);
    let page = page.map(|url| {
        // A bar would end the URL.
        let url = escape(&url.replace('|', "%7C"));
        format!(", or see <{url}|the page of the workspace>")
    });
    let page = page.unwrap_or_default();
    let why = format!("The lines that approve {people} are too long for a message");
    vec![format!("{why}: run `{command}`{page}.")]
}

/// Commit, plan and start of a failure.
fn context(notice: &Notice) -> String {
    let mut parts = Vec::new();
    if let Some(Commit { id, author, subject }) = &notice.commit {
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

/// Shortens a line to the maximum length, between two words.
fn shortened(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(MAX_LENGTH) else { return text };
    let end = text[..end].rfind(char::is_whitespace).unwrap_or_default();
    format!("{} …", text[..end].trim_end())
}
