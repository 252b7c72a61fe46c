//! Validates `rosterd.yaml`, and reports all problems at once.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::store::default_store;
use super::{Config, Request, ScheduleSettings, WatchSettings, literal, schema, text, values};
use crate::diagnostic::{Diagnostic, Sources, any_error};
use crate::ledger::Location;
use crate::size;
use crate::source::revision::Trust;
use crate::yaml::redact::{Redaction, TOKEN_PREFIX, redact};
use crate::yaml::{self, Fields, Node, closest};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// Reads a configuration file. Lines that may contain secrets are never shown.
pub(super) fn file(
    path: &Path,
    request: &Request,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    sources: &mut Sources,
) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let text = text(path, folder).map_err(|problem| vec![problem])?;
    let id = sources.add(path.to_string_lossy(), text.clone());
    let mut validator =
        Validator { request, env, folder, path, trust: Trust::default(), found: Vec::new() };
    let document = yaml::parse(&text, id, &mut validator.found);
    let config = document.as_ref().and_then(|document| {
        literal::tokens(document, &mut validator.found);
        validator.config(document)
    });
    let mut found = validator.found;
    found.sort_by_key(|problem| problem.place.map(|place| (place.file, place.start)));
    let mut seen = HashSet::new();
    found.retain(|problem| seen.insert((problem.place, problem.code, problem.message.clone())));
    if !found.is_empty() {
        let redaction = Redaction::of(id, &text, document.as_ref(), &schema::schema());
        redact(&mut found, &[redaction]);
    }
    literal::only_the_secret(&mut found);
    match config {
        Some(config) if !any_error(&found) => Ok((config, found)),
        _ => Err(found),
    }
}

pub(super) struct Validator<'a> {
    pub request: &'a Request,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The working directory.
    pub folder: &'a Path,
    /// The path of the file, as given.
    pub path: &'a Path,
    /// Whose git work trees decide about approvals.
    pub trust: Trust,
    pub found: Vec<Diagnostic>,
}

impl Validator<'_> {
    fn config(&mut self, document: &Node<'_>) -> Option<Config> {
        if document.is_null() {
            let hint = "begin with `version: 1` and `workspaces:`";
            self.error(document, "empty-file", "the file is empty", hint);
            return None;
        }
        let fields = self.mapping(document, "the configuration", &schema::schema())?;
        self.version(&fields);
        let schedule = self.schedule(&fields);
        let watch = self.watch(&fields);
        let store = self.store(&fields);
        let listen = self.parsed::<SocketAddr>(
            &fields,
            "listen",
            "an address and a port, such as 127.0.0.1:9464",
        );
        let retention = self.duration(&fields, "retention", 400 * DAY, DAY..=36_500 * DAY);
        let mut web = self.web(&fields);
        let hooks = self.hooks(&fields);
        self.trust = self.trust(&fields);
        let public_url = self.public_url(&fields);
        web.host = public_url.as_ref().and_then(reqwest::Url::host_str).map(str::to_owned);
        let workspaces = self.workspaces(&fields, store.as_ref(), retention);
        let notify = self.notify_targets(&fields, &workspaces);
        let path = Some(self.path.to_owned());
        Some(Config {
            path,
            schedule,
            watch,
            store,
            listen,
            web,
            hooks,
            public_url,
            notify,
            retention,
            workspaces,
        })
    }

    fn version(&mut self, fields: &Fields<'_, '_>) {
        let Some(node) = fields.require("version", &mut self.found) else { return };
        if node.text("`version`", &mut self.found).is_some_and(|text| text != "1") {
            Diagnostic::error("bad-version", "unsupported version of the format")
                .marked(node.place, "supported: 1")
                .hint("write `version: 1`, or use a newer rosterd")
                .emit(&mut self.found);
        }
    }

    fn schedule(&mut self, fields: &Fields<'_, '_>) -> ScheduleSettings {
        let default = ScheduleSettings::default();
        let Some(fields) = self.section(fields, "schedule", &schema::schedule()) else {
            return default;
        };
        let cron = self.parsed(&fields, "cron", "a schedule such as */15 * * * *");
        let zone = self.zone(&fields);
        let jitter = self.duration(&fields, "jitter", default.jitter, Duration::ZERO..=DAY);
        ScheduleSettings { cron: cron.unwrap_or_default(), zone, jitter }
    }

    fn watch(&mut self, fields: &Fields<'_, '_>) -> WatchSettings {
        let default = WatchSettings::default();
        let Some(fields) = self.section(fields, "watch", &schema::watch()) else {
            return default;
        };
        let shortest = Duration::from_millis(10);
        WatchSettings {
            debounce: self.duration(&fields, "debounce", default.debounce, shortest..=60 * SECOND),
            poll: self.duration(&fields, "poll", default.poll, SECOND..=DAY),
            in_place: self.duration(&fields, "in_place", default.in_place, Duration::ZERO..=HOUR),
        }
    }

    fn trust(&mut self, fields: &Fields<'_, '_>) -> Trust {
        let owner = self.folder.join(self.path).metadata().map(|metadata| metadata.uid()).ok();
        let mut safe_directories = Vec::new();
        if let Some(node) = fields.get("safe_directories") {
            for item in node.items("`safe_directories`", &mut self.found).unwrap_or_default() {
                let folder = self.expanded(item, "an entry of `safe_directories`");
                safe_directories.extend(folder.map(|folder| self.base().join(folder)));
            }
        }
        Trust { owner, safe_directories }
    }

    fn store(&mut self, fields: &Fields<'_, '_>) -> Option<Location> {
        let Some(node) = fields.get("store") else { return default_store(self.env) };
        let written = self.expanded(node, "`store`")?;
        if let Some(path) = written.strip_prefix("sqlite://")
            && Path::new(path).is_absolute()
            && !path.ends_with('/')
        {
            return Some(Location::File(path.into()));
        }
        let message = if written.starts_with("postgres") {
            "only SQLite ledgers are supported"
        } else {
            "`store` is not a location of a ledger"
        };
        let hint = "write sqlite:///var/lib/rosterd/ledger.db, with three slashes";
        self.error(node, "bad-store", message, hint);
        None
    }

    /// A mapping with the keys of its schema.
    pub fn mapping<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        what: &str,
        schema: &Value,
    ) -> Option<Fields<'n, 't>> {
        Fields::of(node, what, &schema::keys(schema), &mut self.found)
    }

    /// The mapping of an optional key.
    pub fn section<'n, 't>(
        &mut self,
        fields: &Fields<'n, 't>,
        key: &str,
        schema: &Value,
    ) -> Option<Fields<'n, 't>> {
        self.mapping(fields.get(key)?, &format!("`{key}`"), schema)
    }

    /// Text with `${NAME}` replaced. Offline, a variable that is not set is no error: it may be set
    /// on the machine that uses it.
    pub fn expanded(&mut self, node: &Node<'_>, what: &str) -> Option<String> {
        let text = node.text(what, &mut self.found)?;
        if self.request.offline {
            return values::expand(text, self.env).ok();
        }
        self.expand_required(node, what)
    }

    /// Like [`Self::expanded`], but required offline too.
    pub fn expand_required(&mut self, node: &Node<'_>, what: &str) -> Option<String> {
        let text = node.text(what, &mut self.found)?;
        match values::expand(text, self.env) {
            Ok(text) if text.trim_start().starts_with(TOKEN_PREFIX) => {
                let message = format!("{what} contains a secret");
                self.found.push(literal::secret_in_file(node.place, message));
                None
            }
            Ok(text) => Some(text),
            Err(name) => {
                Diagnostic::error("variable-not-set", format!("${{{name}}} is not set"))
                    .marked(node.place, "a variable of the environment")
                    .hint(format!("set {name}, or write the value here ($$ is a dollar sign)"))
                    .emit(&mut self.found);
                None
            }
        }
    }

    /// The value of an optional key, see [`Self::expanded`].
    pub fn value<'n, 't>(
        &mut self,
        fields: &Fields<'n, 't>,
        key: &str,
    ) -> Option<(&'n Node<'t>, String)> {
        let node = fields.get(key)?;
        Some((node, self.expanded(node, &format!("`{key}`"))?))
    }

    /// A value that is parsed by its type. Its error message may repeat the value, so it is not
    /// shown if a part of the value is from the environment.
    pub fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        wanted: &str,
    ) -> Option<T> {
        let (node, text) = self.value(fields, key)?;
        let is_written = node.text("", &mut Vec::new()) == Some(&*text);
        let read = text.parse().map_err(|error: T::Err| {
            let hidden = "invalid after variables are replaced".to_owned();
            let why = if is_written { error.to_string() } else { hidden };
            self.reject(node, key, &why, wanted);
        });
        read.ok()
    }

    pub fn zone(&mut self, fields: &Fields<'_, '_>) -> TimeZone {
        let Some((node, text)) = self.value(fields, "timezone") else { return TimeZone::UTC };
        TimeZone::get(&text).unwrap_or_else(|_| {
            let names: Vec<String> =
                jiff::tz::db().available().map(|name| name.to_string()).collect();
            let hint = closest(&text, names.iter().map(String::as_str)).map_or_else(
                || "write a name such as Europe/Berlin or UTC".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            let written = node.text("`timezone`", &mut Vec::new()).unwrap_or_default();
            Diagnostic::error("unknown-timezone", format!("unknown time zone `{written}`"))
                .marked(node.place, "unknown time zone")
                .hint(hint)
                .emit(&mut self.found);
            TimeZone::UTC
        })
    }

    pub fn duration(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        let Some((node, text)) = self.value(fields, key) else { return default };
        match values::duration(&text) {
            Some(duration) if bounds.contains(&duration) => duration,
            Some(_) => {
                let low = format!("from {}", values::shown(*bounds.start()));
                let high = values::shown(*bounds.end());
                self.out_of_bounds(node, key, &low, &high);
                default
            }
            None => {
                self.reject(node, key, &"not a duration", "500ms, 30s, 5m, 24h or 400d");
                default
            }
        }
    }

    pub fn size(&mut self, fields: &Fields<'_, '_>, key: &str, default: usize) -> usize {
        let Some((node, text)) = self.value(fields, key) else { return default };
        match size::parse(&text) {
            Some(size) if (1 << 10..=1 << 30).contains(&size) => size,
            Some(_) => {
                self.out_of_bounds(node, key, "from 1KiB", "1GiB");
                default
            }
            None => {
                self.reject(node, key, &"not a size", "512KiB, 16MiB or 1GiB");
                default
            }
        }
    }

    /// None if the key is missing or the value is neither true nor false.
    pub fn boolean(&mut self, fields: &Fields<'_, '_>, key: &str) -> Option<bool> {
        let (node, text) = self.value(fields, key)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.reject(node, key, &"neither true nor false", "true or false");
        }
        value
    }

    pub fn number<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        default: T,
        bounds: &RangeInclusive<T>,
    ) -> T {
        let Some((node, text)) = self.value(fields, key) else { return default };
        match text.parse() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let low = format!("a whole number from {}", bounds.start());
                self.out_of_bounds(node, key, &low, &bounds.end().to_string());
                default
            }
        }
    }

    pub fn error(&mut self, node: &Node<'_>, code: &'static str, message: &str, hint: &str) {
        self.found.push(Diagnostic::error(code, message).at(node.place).hint(hint));
    }

    fn out_of_bounds(&mut self, node: &Node<'_>, key: &str, low: &str, high: &str) {
        Diagnostic::error("out-of-bounds", format!("`{key}` must be {low} to {high}"))
            .marked(node.place, format!("not {low} to {high}"))
            .emit(&mut self.found);
    }

    pub fn reject(&mut self, node: &Node<'_>, key: &str, why: &dyn Display, wanted: &str) {
        Diagnostic::error("bad-value", format!("`{key}`: {why}"))
            .marked(node.place, "not valid")
            .hint(format!("write {wanted}"))
            .emit(&mut self.found);
    }
}
