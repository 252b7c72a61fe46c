//! What a ledger file may contain: the tables and indexes of the migrations as they were made, and
//! nothing that acts on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, Error};

use super::{LedgerError, Result};
use crate::revision::shortened;

/// Maximum size of a row in bytes. What is remembered of 100,000 people is half of it.
const MAX_ROW: i32 = 64 * 1024 * 1024;

/// One line of `sqlite_schema`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    kind: String,
    name: String,
    table: String,
    /// Without comments and line breaks. None for the index of a primary key.
    sql: Option<String>,
}

/// Restricts a connection before it reads the file: no trigger and no view of it is executed, its
/// schema cannot call functions, and SQL cannot damage it.
pub fn harden(connection: &Connection) -> Result<(), Error> {
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_ROW)?;
    Ok(())
}

/// Compares the schema with what the migrations make. Other tables are no obstacle: some programs
/// that copy a database keep notes in it.
pub fn check(connection: &Connection, migrations: &[&str]) -> Result<()> {
    let (expected, found) = (model(migrations)?, objects(connection)?);
    let is_ours = |name: &str| expected.iter().any(|it| it.name.eq_ignore_ascii_case(name));
    let acts = |it: &&Object| {
        !matches!(&*it.kind, "table" | "index") || is_ours(&it.table) || is_ours(&it.name)
    };
    let added = found.difference(&expected).find(acts);
    match added.or_else(|| expected.difference(&found).next()) {
        Some(object) => {
            let Object { kind, name, table, .. } = object;
            let on =
                if table == name { String::new() } else { format!(" on `{}`", shortened(table)) };
            Err(LedgerError::Schema(format!("{} `{}`{on}", shortened(kind), shortened(name))))
        }
        None => Ok(()),
    }
}

/// What the migrations make. They are always the first ones of the same list.
fn model(migrations: &[&str]) -> Result<Arc<BTreeSet<Object>>, Error> {
    static MODELS: Mutex<BTreeMap<usize, Arc<BTreeSet<Object>>>> = Mutex::new(BTreeMap::new());
    let mut models = MODELS.lock();
    if let Some(model) = models.get(&migrations.len()) {
        return Ok(Arc::clone(model));
    }
    let connection = Connection::open_in_memory()?;
    migrations.iter().try_for_each(|sql| connection.execute_batch(sql))?;
    let model = Arc::new(objects(&connection)?);
    models.insert(migrations.len(), Arc::clone(&model));
    Ok(model)
}

fn objects(connection: &Connection) -> Result<BTreeSet<Object>, Error> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM main.sqlite_master")?;
    let object = |row: &rusqlite::Row<'_>| {
        let sql: Option<String> = row.get(3)?;
        Ok(Object {
            kind: row.get(0)?,
            name: row.get(1)?,
            table: row.get(2)?,
            sql: sql.as_deref().map(without_comments),
        })
    };
    statement.query_map([], object)?.collect()
}

/// The comments were changed after the first ledgers. The migrations contain no quotes, so a `--`
/// between quotes cannot make another statement equal.
fn without_comments(sql: &str) -> String {
    let code = |line: &str| line.split("--").next().unwrap_or_default().to_owned();
    let code: String = sql.lines().map(|line| code(line) + " ").collect();
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}
