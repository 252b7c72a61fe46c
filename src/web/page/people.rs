//! The list of everyone with access, and the page of one person.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use super::view_models::{EventRow, EventsPage, Linked, Paged, encoded, link};
use super::{Layout, PageContext, error_page, page};
use crate::blocking::run_blocking;
use crate::email::Email;
use crate::escape::escape;
use crate::order::natural_key;
use crate::render::{access, table, time, why};
use crate::web::queries::PeopleQuery;
use crate::web::{AppState, Named};

/// Number of people, or of events of one person, on one page.
const PAGE_SIZE: usize = 100;

#[derive(Template)]
#[template(path = "people.html", config = "src/web/askama.toml")]
struct People {
    layout: Layout,
    name: String,
    query: PeopleQuery,
    roles: BTreeSet<String>,
    statuses: BTreeSet<String>,
    paged: Paged,
    csv: String,
    rows: Vec<Row>,
}

struct Row {
    link: String,
    email: String,
    name: String,
    role: String,
    status: String,
    since: String,
    until: String,
    commit: Linked,
    place: Linked,
}

pub(super) async fn list(
    Named { app, name }: Named,
    Query(query): Query<PeopleQuery>,
) -> Result<Response, Response> {
    let (PageContext { layout, .. }, snapshot) = PageContext::new(&app, &name)?.with_snapshot()?;
    snapshot.ensure_rendered().await;
    let all = snapshot.access();
    let mut found = query.matches(all);
    let noun = if found.len() == 1 { "person" } else { "people" };
    let noun = format!("{noun}: {}", access::count(found.iter().copied()));
    let page_link =
        |offset| format!("/workspaces/{name}/people?{}&offset={offset}", filters(&query));
    let paged = Paged::new((query.offset, PAGE_SIZE, found.len()), &noun, page_link);
    found.sort_by_cached_key(|row| natural_key(&row.email));
    let rows = found.iter().skip(query.offset).take(PAGE_SIZE);
    Ok(page(&People {
        rows: rows.map(|row| Row::new(row, &layout)).collect(),
        roles: all.iter().map(|row| escape(&row.role).into_owned()).collect(),
        statuses: all.iter().map(|row| row.status.clone()).collect(),
        csv: format!("/workspaces/{name}/people.csv?{}", filters(&query)),
        layout,
        name,
        query,
        paged,
    }))
}

/// The query without its page.
fn filters(PeopleQuery { q, role, status, expiring, .. }: &PeopleQuery) -> String {
    let [q, role, status] = [q, role, status].map(|value| encoded(value));
    format!("q={q}&role={role}&status={status}&expiring={expiring}")
}

/// All people that match, as `rosterd access --format csv` writes them.
pub(super) async fn csv(
    Named { app, name }: Named,
    Query(query): Query<PeopleQuery>,
) -> Result<Response, Response> {
    let (_, snapshot) = PageContext::new(&app, &name)?.with_snapshot()?;
    let text = run_blocking(move || table::csv(access::HEADER, &query.matches(snapshot.access())));
    let file = format!("attachment; filename=\"access-{name}.csv\"");
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8"), (CONTENT_DISPOSITION, &file)];
    Ok((headers, text.await).into_response())
}

impl Row {
    fn new(row: &access::Row, layout: &Layout) -> Self {
        let text = |text: &Option<String>| escape(text.as_deref().unwrap_or_default()).into_owned();
        let local = |at: &Option<String>, form| {
            at.as_ref().map(|at| time::local(at, &layout.zone, form)).unwrap_or_default()
        };
        let commit = row.commit.as_deref();
        let commit = commit.map(|it| Linked::commit(it, &[&row.author], layout.sources()));
        Self {
            link: link(&layout.current, &row.email),
            email: escape(&row.email).into_owned(),
            name: text(&row.name),
            role: escape(&row.role).into_owned(),
            status: row.status.clone(),
            since: local(&row.since, "%Y-%m-%d"),
            until: local(&row.until, "%Y-%m-%d %H:%M"),
            commit: commit.unwrap_or_default(),
            place: Linked::place(row.member, layout.sources()),
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
    paged: Paged,
}

pub(super) async fn person(
    State(app): State<AppState>,
    Path((name, email)): Path<(String, String)>,
    Query(query): Query<EventsPage>,
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
    if !why::is_known(&view, &events, &email) {
        let near = why::closest_address(&view, &email);
        let near = near.map(|near| format!(" Did you mean {}?", escape(near)));
        let message = "The roster, the workspace and the ledger do not have this address.";
        let message = [message, &near.unwrap_or_default()].concat();
        return Err(error_page(
            context.layout,
            StatusCode::NOT_FOUND,
            "Person not found",
            &message,
        ));
    }
    // The events have a table of their own.
    let found = why::person(&view, &snapshot.observation.memory, &[], &email, None);
    let sections = found.sections().into_iter().filter(|(_, lines)| !lines.is_empty());
    let escaped = |lines: &[String]| lines.iter().map(|it| escape(it).into_owned()).collect();
    let sections = sections.map(|(heading, lines)| (heading, escaped(lines))).collect();
    let page_link = |offset| format!("{}?offset={offset}", link(&name, email.as_str()));
    let part = (query.offset, PAGE_SIZE, events.len());
    let paged = Paged::new(part, "events, newest first", page_link);
    let events = events.iter().skip(query.offset).take(PAGE_SIZE);
    let events = events.map(|event| EventRow::new(event, &context.layout)).collect();
    let email = escape(email.as_str()).into_owned();
    Ok(page(&Person { layout: context.layout, name, email, sections, events, paged }))
}
