//! A notice as a message for Slack's incoming webhooks.

use serde_json::json;

use super::{Commit, Kind, Notice, Person};

/// Maximum length of a block in characters; Slack accepts 3000
/// (<https://docs.slack.dev/reference/block-kit/blocks/section-block>).
const MAX_LENGTH: usize = 2900;
/// Maximum number of people in one message.
const MAX_PEOPLE: usize = 15;

/// The body of a message. Slack's three control characters are escaped, so that text from outside
/// cannot mention people or become a link
/// (<https://docs.slack.dev/messaging/formatting-message-text>).
pub fn body(notice: &Notice) -> String {
    let (workspace, summary) = (escape(&notice.workspace), escape(&notice.summary));
    let title = truncate(format!("{} *{workspace}*: {summary}", symbol(notice.event)));
    let mut parts = vec![title.clone()];
    let people: Vec<String> = notice.people.iter().take(MAX_PEOPLE).map(line).collect();
    if !people.is_empty() {
        let more = notice.people.len().saturating_sub(MAX_PEOPLE) + notice.more;
        let more = if more > 0 { format!("\n… and {more} more") } else { String::new() };
        parts.push(code_block(&format!("{}{more}", people.join("\n"))));
    }
    if let Some(approvals) = &notice.approvals {
        parts.push("To approve, commit these lines to the roster:".to_owned());
        parts.push(code_block(approvals));
    }
    let mut blocks: Vec<_> = parts
        .into_iter()
        .map(|text| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }))
        .collect();
    let context = context(notice);
    if !context.is_empty() {
        let context = json!({ "type": "mrkdwn", "text": truncate(context) });
        blocks.push(json!({ "type": "context", "elements": [context] }));
    }
    json!({ "text": title, "blocks": blocks }).to_string()
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

/// Preformatted text. Backticks are replaced, as they could end the block.
fn code_block(text: &str) -> String {
    format!("```\n{}\n```", truncate(escape(&text.replace('`', "'"))).trim_end())
}

/// Commit, plan and start of a failure.
fn context(notice: &Notice) -> String {
    let mut parts = Vec::new();
    if let Some(Commit { id, author, subject }) = &notice.commit {
        let author = author.as_ref().map(|author| format!(" {author}")).unwrap_or_default();
        let subject = subject.as_ref().map(|subject| format!(": {subject}")).unwrap_or_default();
        parts.push(escape(&format!("@ {id}{author}{subject}")));
    }
    let plan = notice.plan.as_ref().map(|plan| plan.chars().take(8).collect::<String>());
    parts.extend(plan.map(|plan| format!("plan {plan}")));
    parts.extend(notice.since.as_ref().map(|since| format!("since {since}")));
    parts.join("   ")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Truncates to the maximum length, but never inside an escape such as `&amp;`.
fn truncate(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(MAX_LENGTH) else { return text };
    let kept = &text[..end];
    let kept = match kept.rfind('&') {
        Some(open) if !kept[open..].contains(';') => &kept[..open],
        _ => kept,
    };
    format!("{kept}…")
}
