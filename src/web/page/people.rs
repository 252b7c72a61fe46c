//! The list of everyone with access, and the page of one person.

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
use crate::web::queries::PeopleQuery;

/// Number of people on one page.
const PAGE_SIZE: usize = 100;

#[derive(Template)]
#[template(path = "people.html", config = "src/web/askama.toml")]
struct People {
    layout: Layout,
    name: String,
    query: PeopleQuery,
    roles: BTreeSet<String>,
    statuses: BTreeSet<String>,
    caption: String,
    rows: Vec<Row>,
    previous: Option<String>,
    next: Option<String>,
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
    State(app): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<PeopleQuery>,
) -> Result<Response, Response> {
    let (PageContext { layout, .. }, snapshot) = PageContext::new(&app, &name)?.with_snapshot()?;
    let query = PeopleQuery { limit: Some(PAGE_SIZE), ..query };
    snapshot.ensure_rendered().await;
    let all = snapshot.access();
    let (total, found) = query.select(all);
    let rows: Vec<Row> = found.into_iter().map(|row| Row::new(&name, row)).collect();
    let first = query.offset.min(total);
    let caption = match rows.len() {
        0 => format!("0 of {} people", all.len()),
        count if count == all.len() => format!("{count} people"),
        count => format!("{} to {} of {total} people", first + 1, first + count),
    };
    let page_link = |offset: usize| {
        let PeopleQuery { q, role, status, expiring, .. } = &query;
        let filters = [("q", q), ("role", role), ("status", status)];
        let filters = filters.map(|(key, value)| format!("{key}={}", encoded(value))).join("&");
        format!("/workspaces/{name}/people?{filters}&expiring={expiring}&offset={offset}")
    };
    let previous = (first > 0).then(|| page_link(first.saturating_sub(PAGE_SIZE)));
    let next = (first + rows.len() < total).then(|| page_link(first + rows.len()));
    let roles = all.iter().map(|row| escape(&row.role).into_owned()).collect();
    let statuses = all.iter().map(|row| row.status.clone()).collect();
    Ok(page(&People { layout, name, query, roles, statuses, caption, rows, previous, next }))
}

impl Row {
    fn new(workspace: &str, row: &access::Row) -> Self {
        let text = |text: &Option<String>| escape(text.as_deref().unwrap_or_default()).into_owned();
        let day = |at: &Option<String>| at.iter().flat_map(|at| at.chars().take(10)).collect();
        let commit: String = row.commit.iter().flat_map(|id| id.chars().take(7)).collect();
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
    layout: Layout,
    name: String,
    email: String,
    sections: Vec<(&'static str, Vec<String>)>,
    events: Vec<EventRow>,
    caption: String,
}

pub(super) async fn person(
    State(app): State<AppState>,
    Path((name, email)): Path<(String, String)>,
) -> Result<Response, Response> {
    let (context, snapshot) = PageContext::new(&app, &name)?.with_snapshot()?;
    let email = Email::remote(&email);
    let view = snapshot.observation.view(&name);
    let addresses = why::addresses(&view, &email);
    let mut events = match app.history.events(&context.status, Some(addresses)).await {
        Ok(events) => events,
        Err(why) => return Err(context.ledger_error(&why)),
    };
    events.reverse();
    let zone = context.status.zone();
    // The events have a table of their own.
    let found = why::person(&view, &snapshot.observation.memory, &[], &email);
    let sections = found.sections().into_iter().filter(|(_, lines)| !lines.is_empty());
    let escaped = |lines: &[String]| lines.iter().map(|it| escape(it).into_owned()).collect();
    let sections = sections.map(|(heading, lines)| (heading, escaped(lines))).collect();
    let caption = match events.len() {
        1 => "1 event".to_owned(),
        count => format!("{count} events, newest first"),
    };
    let events = events.iter().map(|event| EventRow::new(&name, event, &zone)).collect();
    let email = escape(email.as_str()).into_owned();
    Ok(page(&Person { layout: context.layout, name, email, sections, events, caption }))
}
