//! `web:` and `notify:`: who may look at the daemon, and who is told.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::checks::Validator;
use super::environment;
use super::keys::{NOTIFY, WEB};
use super::redact::refused;
use super::workspace::endpoint;
use super::{Format, NotifyTarget, WebSettings, WebhookUrl, WorkspaceConfig};
use crate::notice::Kind;
use crate::yaml::{Fields, Node, Value, closest};

const DAY: Duration = Duration::from_hours(24);

impl Validator<'_> {
    pub(super) fn web(&mut self, fields: &Fields<'_, '_>) -> WebSettings {
        if fields.get("web").is_none() {
            return environment::web(self.env);
        }
        let Some(fields) = self.section(fields, "web", &WEB) else { return WebSettings::default() };
        let token = fields.get("token").and_then(|node| self.secret(node, "token"));
        WebSettings { token, anonymous: self.choice(&fields, "anonymous") }
    }

    /// True, false, or nothing where nothing usable is written.
    fn choice(&mut self, fields: &Fields<'_, '_>, key: &str) -> Option<bool> {
        let node = fields.get(key)?;
        match self.expanded(node, &format!("`{key}`"))?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.refuse(node, key, &"this is neither true nor false", "true or false");
                None
            }
        }
    }

    pub(super) fn receivers(
        &mut self,
        fields: &Fields<'_, '_>,
        workspaces: &[WorkspaceConfig],
    ) -> Vec<NotifyTarget> {
        let Some(node) = fields.get("notify") else { return Vec::new() };
        let mut found = Vec::new();
        let items = node.items("`notify`", &mut found).unwrap_or_default();
        self.found.append(&mut found);
        items.iter().filter_map(|item| self.receiver(item, workspaces)).collect()
    }

    fn receiver(
        &mut self,
        node: &Node<'_>,
        workspaces: &[WorkspaceConfig],
    ) -> Option<NotifyTarget> {
        let fields = Fields::of(node, "a receiver", &NOTIFY, &mut self.found)?;
        let to = fields.require("url", &mut self.found);
        let to = to.and_then(|node| self.where_to(node));
        let format = match fields.get("format") {
            None => Format::default(),
            Some(node) => match self.expanded(node, "`format`").as_deref() {
                Some("json") | None => Format::Json,
                Some("slack") => Format::Slack,
                Some(_) => {
                    self.refuse(node, "format", &"this is no format", "json or slack");
                    Format::default()
                }
            },
        };
        let secret = fields.get("secret").map(|node| self.secret(node, "secret"));
        let events = self.several(&fields, "events", &Kind::ALL.map(Kind::as_str));
        let events: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| events.as_ref().is_none_or(|it| it.iter().any(|it| it == kind.as_str())))
            .collect();
        let known: Vec<&str> = workspaces.iter().map(|it| &*it.target.workspace).collect();
        let workspaces = if self.request.workspaces.is_empty() {
            self.several(&fields, "workspaces", &known)
        } else {
            // Those that were not asked for are not known here.
            self.several(&fields, "workspaces", &[])
        };
        let within = self.duration(&fields, "expiring", 14 * DAY, DAY..=366 * DAY);
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        let secret = match secret {
            Some(secret) => Some(secret?),
            None => None,
        };
        Some(NotifyTarget { to: to?, format, secret, events, workspaces, within })
    }

    /// The words of a list, each of which is one of `known` where any is.
    fn several(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        known: &[&str],
    ) -> Option<Vec<String>> {
        let node = fields.get(key)?;
        let mut found = Vec::new();
        let items = node.items(&format!("`{key}`"), &mut found);
        self.found.append(&mut found);
        let mut words = Vec::new();
        for item in items? {
            let Some(word) = self.expanded(item, &format!("`{key}`")) else { continue };
            if known.is_empty() || known.contains(&word.as_str()) {
                words.push(word);
                continue;
            }
            let hint = match closest(&word, known.iter().copied()) {
                Some(meant) => format!("{meant} (did you mean it?)"),
                None => format!("one of {}", known.join(", ")),
            };
            self.refuse(item, key, &"this is not known", &hint);
        }
        Some(words)
    }

    /// An address that is no secret stands in the file; any other one is named like a secret.
    fn where_to(&mut self, node: &Node<'_>) -> Option<WebhookUrl> {
        if !matches!(node.value, Value::Scalar { .. }) {
            return self.secret(node, "url").map(WebhookUrl::Secret);
        }
        let text = self.expanded(node, "`url`")?;
        let is_written = node.text("", &mut Vec::new()) == Some(&*text);
        if is_written && holds_a_secret(&text) {
            let message = "`url` seems to hold a secret: whoever knows it can write there";
            self.found.push(refused(node.place, message));
            return None;
        }
        match endpoint(&text) {
            Ok(url) => Some(WebhookUrl::Written(url)),
            Err(why) => {
                self.refuse(node, "url", &why, "the https address of a webhook");
                None
            }
        }
    }
}

/// Slack's addresses are secrets, and so may be what stands in a query.
fn holds_a_secret(text: &str) -> bool {
    let host = Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "hooks.slack.com") || text.contains('?')
}
