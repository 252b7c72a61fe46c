//! A notice for a chat that takes Slack's incoming webhooks.

use serde_json::json;

use super::{Kind, Notice, Person};

/// A section takes at most 3000 characters
/// (<https://docs.slack.dev/reference/block-kit/blocks/section-block>).
const LONGEST: usize = 2900;
/// So many people are named in a chat.
const NAMED: usize = 15;

/// The body of a message. What other people wrote cannot mention anybody or become a link: the
/// three characters that Slack reads are escaped
/// (<https://docs.slack.dev/messaging/formatting-message-text>).
pub fn body(notice: &Notice) -> String {
    let head = format!("{} *{}*: {}", symbol(notice.event), safe(&notice.workspace), {
        safe(&notice.summary)
    });
    let mut parts = vec![cut(head.clone())];
    let people: Vec<String> = notice.people.iter().take(NAMED).map(line).collect();
    if !people.is_empty() {
        let more = notice.people.len().saturating_sub(NAMED) + notice.more;
        let more = if more > 0 { format!("\n… and {more} more") } else { String::new() };
        parts.push(block(&format!("{}{more}", people.join("\n"))));
    }
    if let Some(approvals) = &notice.approvals {
        parts.push("To let it through, commit this into the roster:".to_owned());
        parts.push(block(approvals));
    }
    let mut blocks: Vec<_> = parts
        .into_iter()
        .map(|text| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }))
        .collect();
    let foot = foot(notice);
    if !foot.is_empty() {
        let foot = json!({ "type": "mrkdwn", "text": cut(foot) });
        blocks.push(json!({ "type": "context", "elements": [foot] }));
    }
    json!({ "text": cut(head), "blocks": blocks }).to_string()
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

/// Text as it is written. A fence within it would end it.
fn block(text: &str) -> String {
    format!("```\n{}\n```", cut(safe(&text.replace('`', "'"))).trim_end())
}

fn foot(notice: &Notice) -> String {
    let mut parts = Vec::new();
    if let Some(commit) = &notice.commit {
        let author = commit.author.as_deref().map(|it| format!(" {it}")).unwrap_or_default();
        let subject = commit.subject.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
        parts.push(safe(&format!("@ {}{author}{subject}", commit.id)));
    }
    parts.extend(
        notice
            .plan
            .as_ref()
            .map(|plan| format!("plan {}", plan.chars().take(8).collect::<String>())),
    );
    parts.extend(notice.since.as_ref().map(|since| format!("since {since}")));
    parts.join("   ")
}

fn safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Never within an escape: what is cut off begins with a whole one.
fn cut(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(LONGEST) else { return text };
    let kept = &text[..end];
    let kept = match kept.rfind('&') {
        Some(open) if !kept[open..].contains(';') => &kept[..open],
        _ => kept,
    };
    format!("{kept}…")
}
