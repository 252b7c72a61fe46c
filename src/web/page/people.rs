//! Who has access, and one person's story.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use super::view_models::{EventRow, encoded, link};
use super::{Layout, PageContext, page};
use crate::email::Email;
use crate::escape::escape;
use crate::render::{access, why};
use crate::web::AppState;
use crate::web::api::PeopleQuery;

/// So many on one page.
const MOST: usize = 100;

#[derive(Template)]
#[template(path = "people.html", config = "src/web/askama.toml")]
struct People {
    frame: Layout,
    name: String,
    asked: PeopleQuery,
    roles: BTreeSet<String>,
    statuses: BTreeSet<String>,
    caption: String,
    rows: Vec<Row>,
    newer: Option<String>,
    older: Option<String>,
}

struct Row {
    link: String,
    email: String,
    name: String,
    role: String,
    status: String,
    since: String,
    until: String,
    commit: String,
    place: String,
}

pub(super) async fn list(
    State(site): State<AppState>,
    Path(name): Path<String>,
    Query(asked): Query<PeopleQuery>,
) -> Result<Response, Response> {
    let (PageContext { frame, .. }, shown) = PageContext::to(&site, &name)?.read()?;
    let asked = PeopleQuery { limit: Some(MOST), ..asked };
    shown.ensure_rendered().await;
    let all = shown.access();
    let (total, found) = asked.of(all);
    let rows: Vec<Row> = found.into_iter().map(|row| Row::of(&name, row)).collect();
    let first = asked.offset.min(total);
    let caption = match rows.len() {
        0 => format!("nobody of {}", all.len()),
        shown if shown == all.len() => format!("{shown} people"),
        shown => format!("{} to {} of {total} people", first + 1, first + shown),
    };
    let at = |offset: usize| {
        let PeopleQuery { q, role, status, expiring, .. } = &asked;
        let parts = [("q", q), ("role", role), ("status", status)];
        let parts = parts.map(|(key, value)| format!("{key}={}", encoded(value))).join("&");
        format!("/workspaces/{name}/people?{parts}&expiring={expiring}&offset={offset}")
    };
    let newer = (first > 0).then(|| at(first.saturating_sub(MOST)));
    let older = (first + rows.len() < total).then(|| at(first + rows.len()));
    let roles = all.iter().map(|row| escape(&row.role).into_owned()).collect();
    let statuses = all.iter().map(|row| row.status.clone()).collect();
    Ok(page(&People { frame, name, asked, roles, statuses, caption, rows, newer, older }))
}

impl Row {
    fn of(workspace: &str, row: &access::Row) -> Self {
        let text = |text: &Option<String>| escape(text.as_deref().unwrap_or_default()).into_owned();
        let day = |at: &Option<String>| at.iter().flat_map(|at| at.chars().take(10)).collect();
        let commit: String = row.commit.iter().flat_map(|it| it.chars().take(7)).collect();
        let author = text(&row.author);
        Self {
            link: link(workspace, &row.email),
            email: escape(&row.email).into_owned(),
            name: text(&row.name),
            role: escape(&row.role).into_owned(),
            status: row.status.clone(),
            since: day(&row.since),
            until: day(&row.until),
            commit: format!("{commit} {author}").trim().to_owned(),
            place: text(&row.place),
        }
    }
}

#[derive(Template)]
#[template(path = "person.html", config = "src/web/askama.toml")]
struct Person {
    frame: Layout,
    name: String,
    email: String,
    sections: Vec<(&'static str, Vec<String>)>,
    events: Vec<EventRow>,
    caption: String,
}

pub(super) async fn person(
    State(site): State<AppState>,
    Path((name, email)): Path<(String, String)>,
) -> Result<Response, Response> {
    let (visit, shown) = PageContext::to(&site, &name)?.read()?;
    let email = Email::remote(&email);
    let view = shown.observation.view(&name);
    let (_, addresses) = why::person(&view, &email);
    let mut events = match site.pasts.story(&visit.place, addresses).await {
        Ok(events) => events,
        Err(why) => return Err(visit.unread(&escape(&why))),
    };
    events.reverse();
    let told = why::sections(&view, &shown.observation.memory, &email);
    let safe = |lines: Vec<String>| lines.iter().map(|it| escape(it).into_owned()).collect();
    let sections = told.into_iter().map(|(head, lines): (_, Vec<String>)| (head, safe(lines)));
    let sections: Vec<(_, Vec<String>)> =
        sections.filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty()).collect();
    let caption = match events.len() {
        1 => "1 event".to_owned(),
        count => format!("{count} events, the newest first"),
    };
    let events = events.iter().map(|event| EventRow::of(&name, event)).collect();
    let email = escape(email.as_str()).into_owned();
    Ok(page(&Person { frame: visit.frame, name, email, sections, events, caption }))
}
