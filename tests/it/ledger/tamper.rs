//! Tampering with rows: each changed row is reported.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use rosterd::ledger::chain::{self, ChainError, Row};
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

/// What a schema must not have, and how it is named.
const SCHEMAS: [(&str, &str); 12] = [
    ("CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END", "trigger `t`"),
    ("CREATE TRIGGER t BEFORE UPDATE ON meta BEGIN SELECT 1; END", "trigger `t` on `meta`"),
    (
        "CREATE TABLE notes (a); CREATE TRIGGER t AFTER INSERT ON notes BEGIN DELETE FROM entries; END",
        "trigger `t` on `notes`",
    ),
    ("CREATE VIEW v AS SELECT * FROM entries", "view `v`"),
    ("ALTER TABLE entries RENAME TO e; CREATE VIEW entries AS SELECT * FROM e", "`e"),
    ("CREATE INDEX i ON entries (abs(seq))", "index `i` on `entries`"),
    ("DROP INDEX entries_kind", "index `entries_kind` on `entries`"),
    (
        "DROP INDEX entries_kind; CREATE INDEX entries_kind ON entries (kind, seq) WHERE seq < 9",
        "index `entries_kind`",
    ),
    ("ALTER TABLE entries ADD COLUMN more TEXT AS (body)", "table `entries`"),
    ("ALTER TABLE entries ADD COLUMN more TEXT DEFAULT '-- '", "table `entries`"),
    (
        "DROP TABLE entries; CREATE TABLE entries (seq, at, scope, kind, subject, body, hash)",
        "`entries",
    ),
    ("ALTER TABLE entries RENAME COLUMN subject TO \"subject -- ...\"", "table `entries`"),
];

#[test]
fn what_acts_on_the_tables_is_refused_and_named() {
    for (sql, named) in SCHEMAS {
        let chain = Chain::new();
        Connection::open(&chain.path).unwrap().execute_batch(sql).unwrap();
        let opened = Ledger::at(Location::File(chain.path.clone())).open("one", hours(0));
        let errors = [
            opened.map(|_| ()).unwrap_err(),
            chain.ledger.verify(None).map(|_| ()).unwrap_err(),
            chain.ledger.read_state("one").map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            let is_named = error.to_string().contains(named);
            assert!(matches!(error, LedgerError::Schema(_)) && is_named, "{sql}: {error}");
        }
    }
    // What other programs keep in a file of theirs is no obstacle.
    let chain = Chain::new();
    let other = "CREATE TABLE _copy (a INTEGER PRIMARY KEY, b UNIQUE); CREATE INDEX i ON _copy (b)";
    Connection::open(&chain.path).unwrap().execute_batch(other).unwrap();
    chain.ledger.verify(None).unwrap();
}

#[test]
fn a_row_that_is_not_kept_as_written_is_refused() {
    let chain = Chain::new();
    let mut writer = chain.ledger.open("one", hours(ROWS)).unwrap();
    // The table is exchanged while it is open: of each kind only the last row stays.
    let exchange = "ALTER TABLE entries RENAME TO earlier; \
                    CREATE TABLE entries (seq BIGINT PRIMARY KEY, at TEXT, scope TEXT, \
                    kind TEXT UNIQUE ON CONFLICT REPLACE, subject TEXT, body TEXT, hash TEXT); \
                    INSERT INTO entries SELECT * FROM earlier WHERE seq = 1";
    let file = Connection::open(&chain.path).unwrap();
    file.execute_batch(exchange).unwrap();
    let two = vec![intent("alice", disable("alice")), intent("matt", disable("matt"))];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(writer.write(two, hours(ROWS))).unwrap_err();
    assert!(matches!(error, LedgerError::NotKept), "{error}");
    let rows = file.query_row("SELECT COUNT(*) FROM entries", [], |row| row.get::<_, i64>(0));
    assert_eq!(rows.unwrap(), 1, "nothing was written");
}

#[test]
fn a_row_that_is_too_large_is_refused() {
    let chain = Chain::new();
    chain.sql("UPDATE entries SET body = CAST(zeroblob((64 << 20) + 1) AS TEXT) WHERE seq = 152");
    let error = chain.ledger.verify(None).unwrap_err();
    assert!(matches!(error, LedgerError::TooLarge), "{error}");
}

impl Chain {
    fn hash(&self, seq: i64) -> String {
        let file = Connection::open(&self.path).unwrap();
        file.query_row("SELECT hash FROM entries WHERE seq = ?1", [seq], |row| row.get(0)).unwrap()
    }

    /// Deletes the first rows, and appends an anchor that pretends to replace those up to
    /// `through`. It fits into the chain.
    fn forge(&self, deleted: i64, through: i64, at: Timestamp) {
        let anchor = format!(
            r#"{{"kind":"anchor","through":{through},"hash":"{}","kept":{{}}}}"#,
            if through == 0 { chain::ROOT.to_owned() } else { self.hash(through) }
        );
        let mut row = Row {
            seq: ROWS.cast_unsigned() + 2,
            at: at.to_string(),
            scope: String::new(),
            kind: "anchor".into(),
            subject: None,
            body: anchor,
            hash: String::new(),
        };
        row.hash = row.hash_after(&self.head);
        let file = Connection::open(&self.path).unwrap();
        file.execute("DELETE FROM entries WHERE seq <= ?1", [deleted]).unwrap();
        let insert = "INSERT INTO entries VALUES (?1, ?2, '', 'anchor', NULL, ?3, ?4)";
        let seq = row.seq.cast_signed();
        file.execute(insert, params![seq, row.at, row.body, row.hash]).unwrap();
    }
}

/// The rows are of the 300 hours before.
#[test]
fn a_forged_anchor_does_not_hide_that_rows_are_missing() {
    let (last, now) = (ROWS + 1, hours(ROWS));
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    for (deleted, at, is_run_refused) in [
        (last - 1, now, true),
        (last, now, true),
        (last - 1, hours(100 * 24), true),
        (last - 1, hours(-400 * 24), true),
        (last - 10, now, true),
        // So much the shortest retention drops, but not 400 days.
        (last - 40, now, false),
        (1, now, false),
    ] {
        let chain = Chain::new();
        chain.forge(deleted, deleted, at);
        let later = Ledger::at(Location::File(chain.path.clone()));
        let opened = later.open("one", now).map(|_| ());
        match opened {
            Err(LedgerError::Broken(ChainError::Dropped { .. })) => assert!(is_run_refused),
            other => assert!(other.is_ok() && !is_run_refused, "{deleted} {at}: {other:?}"),
        }
        for head in [None, Some(&*chain.head)] {
            let verified = chain.ledger.verify(head).unwrap();
            assert!(verified.contains_head, "it was not the last row that was deleted");
            assert!(verified.falls_short(days(400), now).is_some(), "{deleted} {at}");
        }
        // Later nothing is missing: what was deleted would have been dropped by then.
        assert!(
            chain.ledger.verify(None).unwrap().falls_short(days(400), hours(420 * 24)).is_none()
        );
    }
    // A clock that is behind is no sign that rows are missing.
    let chain = Chain::new();
    chain.forge(100, 100, now);
    chain.ledger.open("one", hours(-1_000)).unwrap();
    for through in [0, 100] {
        let chain = Chain::new();
        chain.forge(0, through, now);
        let broken = chain.ledger.verify(None).unwrap_err();
        let row = last.cast_unsigned() + 1;
        assert!(matches!(broken, LedgerError::Broken(ChainError::Anchor(it)) if it == row));
        chain.ledger.open("one", now).unwrap_err();
    }
}
