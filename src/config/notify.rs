//! `notify:`: where notifications are sent.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::checks::Validator;
use super::literal::secret_in_file;
use super::workspace::endpoint;
use super::{Format, NotifyTarget, WebhookUrl, WorkspaceConfig, schema};
use crate::notice::Kind;
use crate::yaml::{Fields, Node, Value, closest};

const DAY: Duration = Duration::from_hours(24);

impl Validator<'_> {
    pub(super) fn notify_targets(
        &mut self,
        fields: &Fields<'_, '_>,
        workspaces: &[WorkspaceConfig],
    ) -> Vec<NotifyTarget> {
        let Some(node) = fields.get("notify") else { return Vec::new() };
        let items = node.items("`notify`", &mut self.found).unwrap_or_default();
        items.iter().filter_map(|item| self.notify_target(item, workspaces)).collect()
    }

    fn notify_target(
        &mut self,
        node: &Node<'_>,
        workspaces: &[WorkspaceConfig],
    ) -> Option<NotifyTarget> {
        let fields = self.mapping(node, "an entry of `notify`", &schema::notify_target())?;
        let url = fields.require("url", &mut self.found);
        let url = url.and_then(|node| self.webhook_url(node));
        let format = match self.value(&fields, "format") {
            Some((_, text)) if text == "slack" => Format::Slack,
            Some((node, text)) if text != "json" => {
                self.reject(node, "format", &"unknown format", "json or slack");
                Format::default()
            }
            _ => Format::Json,
        };
        let secret = fields.get("secret").map(|node| self.secret(node, "secret"));
        let events = self.words(&fields, "events", &Kind::ALL.map(Kind::as_str));
        let is_wanted = |kind: &Kind| {
            events.as_ref().is_none_or(|names| names.iter().any(|name| name == kind.as_str()))
        };
        let events = Kind::ALL.into_iter().filter(is_wanted).collect();
        // If the command line selects workspaces, the names of the others are not known.
        let is_complete = self.request.workspaces.is_empty();
        let known = workspaces.iter().filter(|_| is_complete);
        let known: Vec<&str> = known.map(|workspace| &*workspace.target.workspace).collect();
        let workspaces = self.words(&fields, "workspaces", &known);
        let within = self.duration(&fields, "expiring", 14 * DAY, DAY..=366 * DAY);
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        let secret = secret.map_or(Some(None), |secret| secret.map(Some))?;
        Some(NotifyTarget { url: url?, format, secret, events, workspaces, within })
    }

    /// A list of words. Each must be in `known`, unless `known` is empty.
    fn words(&mut self, fields: &Fields<'_, '_>, key: &str, known: &[&str]) -> Option<Vec<String>> {
        let node = fields.get(key)?;
        let items = node.items(&format!("`{key}`"), &mut self.found)?;
        let mut words = Vec::new();
        for item in items {
            let Some(word) = self.expanded(item, &format!("`{key}`")) else { continue };
            if known.is_empty() || known.contains(&word.as_str()) {
                words.push(word);
                continue;
            }
            let hint = match closest(&word, known.iter().copied()) {
                Some(meant) => format!("{meant} (did you mean it?)"),
                None => format!("one of {}", known.join(", ")),
            };
            self.reject(item, key, &"unknown value", &hint);
        }
        Some(words)
    }

    /// A URL without a secret may be written in the file; any other must be a secret reference.
    fn webhook_url(&mut self, node: &Node<'_>) -> Option<WebhookUrl> {
        if !matches!(node.value, Value::Scalar { .. }) {
            return self.secret(node, "url").map(WebhookUrl::Secret);
        }
        let text = self.expanded(node, "`url`")?;
        let is_written = node.text("", &mut Vec::new()) == Some(&*text);
        if is_written && may_hold_secret(&text) {
            let message = "`url` seems to contain a secret";
            self.found.push(secret_in_file(node.place, message));
            return None;
        }
        let url = endpoint(&text)
            .map_err(|why| self.reject(node, "url", &why, "the https URL of a webhook"));
        url.ok().map(WebhookUrl::Plain)
    }
}

/// Slack's webhook URLs are secrets; a query may contain one.
fn may_hold_secret(text: &str) -> bool {
    let host = Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "hooks.slack.com") || text.contains('?')
}
