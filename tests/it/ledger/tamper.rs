//! Tampering with rows: each changed row is reported.

use std::path::PathBuf;

use rosterd::ledger::chain::{ChainError, Row};
use rosterd::ledger::{Ledger, LedgerError, Location};
use rosterd::memory::entry::{AttemptStatus, Entry, OutcomeEntry};
use rosterd::plan::change::Action;
use rosterd::role::Role;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::support::world::{disable, hours, intent};

/// So many rows are written, beside the one that begins the ledger.
const ROWS: i64 = 300;

struct Chain {
    _folder: TempDir,
    path: PathBuf,
    ledger: Ledger,
    head: String,
}

impl Chain {
    /// Two workspaces write into it in turn.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = Ledger::at(Location::File(path.clone()));
        tokio::runtime::Runtime::new().unwrap().block_on(fill(&ledger));
        let head = ledger.verify(None).unwrap().head.hash;
        Self { _folder: folder, path, ledger, head }
    }

    fn sql(&self, sql: &str) {
        let changed = Connection::open(&self.path).unwrap().execute(sql, []).unwrap();
        assert!(changed > 0, "{sql}");
    }

    #[track_caller]
    fn breaks(&self, sql: &str) -> ChainError {
        self.sql(sql);
        match self.ledger.verify(None) {
            Err(LedgerError::Broken(why)) => why,
            other => panic!("{sql}: {other:?}"),
        }
    }
}

async fn fill(ledger: &Ledger) {
    let mut books =
        [ledger.open("one", hours(0)).unwrap(), ledger.open("other", hours(0)).unwrap()];
    for nth in (0..ROWS).step_by(3) {
        let book = &mut books[usize::try_from(nth % 2).unwrap()];
        let invite = Action::Invite { role: Role::Developer };
        let two = vec![intent("alice", invite), intent("matt", disable("matt"))];
        let of = book.write(two, hours(nth)).await.unwrap()[0];
        let closing = OutcomeEntry { of, status: AttemptStatus::Done, detail: None };
        book.write(vec![Entry::Outcome(closing)], hours(nth)).await.unwrap();
    }
}

#[test]
fn an_edited_row_is_reported() {
    for (column, value) in [
        ("body", "'{}'"),
        ("body", "replace(body, 'alice', 'zoe')"),
        ("at", "'2020-01-01T00:00:00Z'"),
        ("subject", "'zoe@acme.io'"),
        ("subject", "NULL"),
        ("scope", "'elsewhere'"),
        ("kind", "'outcome'"),
        ("hash", "upper(hash)"),
        ("hash", "replace(hash, substr(hash, 1, 1), 'x')"),
    ] {
        // The first row of each three is the intent that concerns alice.
        for row in [2, 152, ROWS - 1] {
            let chain = Chain::new();
            let sql = format!("UPDATE entries SET {column} = {value} WHERE seq = {row}");
            assert_eq!(chain.breaks(&sql), ChainError::Changed(row.cast_unsigned()), "{sql}");
        }
    }
}

#[test]
fn a_removed_row_is_reported() {
    let missing = |row| ChainError::Missing { missing: row, after: row - 1, found: row + 1 };
    assert_eq!(Chain::new().breaks("DELETE FROM entries WHERE seq = 150"), missing(150));
    let first = Chain::new().breaks("DELETE FROM entries WHERE seq = 1");
    assert_eq!(first, ChainError::NoBeginning(2));
    // Closing the gap helps nobody.
    let chain = Chain::new();
    chain.sql("DELETE FROM entries WHERE seq = 150");
    chain.sql("UPDATE entries SET seq = -seq WHERE seq > 150");
    assert_eq!(
        chain.breaks("UPDATE entries SET seq = -seq - 1 WHERE seq < 0"),
        ChainError::Changed(150)
    );
}

#[test]
fn swapped_rows_are_reported() {
    for (one, other) in [(150, 151), (40, 200)] {
        let chain = Chain::new();
        chain.sql(&format!("UPDATE entries SET seq = -1 WHERE seq = {one}"));
        chain.sql(&format!("UPDATE entries SET seq = {one} WHERE seq = {other}"));
        let broken = chain.breaks(&format!("UPDATE entries SET seq = {other} WHERE seq = -1"));
        assert_eq!(broken, ChainError::Changed(one));
    }
}

#[test]
fn an_added_row_is_reported() {
    let sql = format!(
        "INSERT INTO entries SELECT {}, at, scope, kind, subject, body, hash FROM entries \
         WHERE seq = {}",
        ROWS + 2,
        ROWS + 1
    );
    assert_eq!(Chain::new().breaks(&sql), ChainError::Changed((ROWS + 2).cast_unsigned()));
}

#[test]
fn a_truncated_chain_fails_against_a_known_head() {
    let chain = Chain::new();
    let before = chain.ledger.verify(None).unwrap();
    assert_eq!((before.rows, before.first), (ROWS.cast_unsigned() + 1, Some(1)));
    assert!(chain.ledger.verify(Some(&chain.head.to_uppercase())).unwrap().contains_head);
    chain.sql("DELETE FROM entries WHERE seq > 200");
    assert_eq!(chain.ledger.verify(None).unwrap().rows, 200, "nothing else shows it");
    assert!(!chain.ledger.verify(Some(&chain.head)).unwrap().contains_head);
    assert!(!chain.ledger.verify(Some("abc")).unwrap().contains_head);
}

/// An attacker who can write the file can rewrite all of it; the head shows that too.
#[test]
fn a_rewritten_chain_fails_against_a_known_head() {
    let chain = Chain::new();
    chain.sql("UPDATE entries SET body = replace(body, 'alice', 'zoe') WHERE seq = 152");
    let file = Connection::open(&chain.path).unwrap();
    let sql = "SELECT seq, at, scope, kind, subject, body, hash FROM entries ORDER BY seq";
    let mut statement = file.prepare(sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        let seq: i64 = row.get(0)?;
        let (at, scope, kind) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (subject, body, hash) = (row.get(4)?, row.get(5)?, row.get(6)?);
        Ok(Row { seq: seq.cast_unsigned(), at, scope, kind, subject, body, hash })
    };
    let rows: Vec<Row> = statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap();
    let mut before = rosterd::ledger::chain::ROOT.to_owned();
    for row in rows {
        before = row.hash_after(&before);
        let update = "UPDATE entries SET hash = ?1 WHERE seq = ?2";
        file.execute(update, params![before, row.seq.cast_signed()]).unwrap();
    }
    assert!(chain.ledger.verify(None).is_ok(), "the forgery is whole");
    assert!(!chain.ledger.verify(Some(&chain.head)).unwrap().contains_head);
}
