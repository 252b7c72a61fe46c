//! The ledger in one `SQLite` file.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};

use super::chain::{ChainHead, ROOT, Row};
use super::store::{NewRow, RowVisitor, Store};
use super::{LedgerError, Result, schema};
use crate::files;
use crate::memory::entry::Seq;

/// The migrations. Each upgrades the schema by one version; the first creates version 1. The
/// version of a file is in its table `meta`; a file without that table has version 0.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_entries.sql")];

/// Timeout of waiting for a transaction of another connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const COLUMNS: &str = "seq, at, scope, kind, subject, body, hash";

#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    /// Path and identity of the opened file; None in memory.
    file: Option<(PathBuf, Identity)>,
}

/// Device and inode: another file at the same path is another ledger.
type Identity = (u64, u64);

impl Sqlite {
    /// A ledger in memory.
    pub fn in_memory() -> Result<Self> {
        let mut store = Self { connection: Connection::open_in_memory()?, file: None };
        schema::harden(&store.connection)?;
        store.migrate(MIGRATIONS)?;
        Ok(store)
    }

    /// Creates a new ledger, completely or not at all. An existing file is opened.
    pub fn create(path: &Path) -> Result<Self> {
        create_folder_of(path)?;
        // If another process creates it at the same time, open its file.
        match files::create_new(path, folder_of(path)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
            _ => Self::open(path),
        }
    }

    /// Opens an existing ledger for writing, and upgrades its schema.
    pub fn open(path: &Path) -> Result<Self> {
        let identity = identity(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let mut store = Self { connection, file: Some((path.to_owned(), identity)) };
        schema::harden(&store.connection)?;
        store.connection.busy_timeout(BUSY_TIMEOUT)?;
        store.connection.pragma_update(None, "journal_mode", "WAL")?;
        store.connection.pragma_update(None, "synchronous", "FULL")?;
        store.migrate(MIGRATIONS)?;
        schema::check(&store.connection, MIGRATIONS)?;
        Ok(store)
    }

    /// Opens an existing ledger for reading. It changes no file, so the file system may be
    /// read-only.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        let identity = identity(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let open = |uri: &str| {
            let connection = Connection::open_with_flags(uri, flags)?;
            schema::harden(&connection)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            let version = known_version(&connection, MIGRATIONS.len())?;
            if version == 0 {
                // Creation was interrupted before the schema was written.
                return Err(LedgerError::None);
            }
            schema::check(&connection, MIGRATIONS.get(..version).unwrap_or_default())?;
            Ok(Self { connection, file: Some((path.to_owned(), identity)) })
        };
        let path_of_uri = path.to_string_lossy().replace('%', "%25").replace('?', "%3f");
        let uri = format!("file:{}", path_of_uri.replace('#', "%23"));
        let opened = open(&uri);
        // Without write access to the folder there is no shared memory for the journal.
        let journal = fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len());
        match opened {
            Err(LedgerError::ReadOnly | LedgerError::Io(_)) if journal == 0 => {
                open(&format!("{uri}?immutable=1"))
            }
            opened => opened,
        }
    }

    /// Copies everything into an empty file, as of now and without a journal.
    pub fn copy_into(&self, path: &Path) -> Result<()> {
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }

    /// Applies the missing migrations, all or none.
    fn migrate(&mut self, migrations: &[&str]) -> Result<()> {
        if known_version(&self.connection, migrations.len())? == migrations.len() {
            return Ok(());
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have migrated it in the meantime.
        let found = known_version(&transaction, migrations.len())?;
        for sql in migrations.get(found..).unwrap_or_default() {
            transaction.execute_batch(sql)?;
        }
        if found == 0 {
            let identity = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
            transaction.execute("INSERT INTO meta VALUES ('identity', ?1)", [identity])?;
        }
        let schema = migrations.len().to_string();
        transaction.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?1)", [schema])?;
        transaction.commit()?;
        Ok(())
    }

    /// The first row that the end of a query selects.
    fn one(&self, end: &str, parameters: impl rusqlite::Params) -> Result<Option<Row>> {
        let sql = format!("SELECT {COLUMNS} FROM entries {end}");
        Ok(self.connection.prepare_cached(&sql)?.query_row(parameters, read).optional()?)
    }

    /// Checks that the file has not been removed or replaced: writes to it would be lost.
    fn check_identity(&self) -> Result<()> {
        let Some((path, opened)) = &self.file else { return Ok(()) };
        match identity(path) {
            Ok(found) if found == *opened => Ok(()),
            Ok(_) => Err(LedgerError::Replaced("another file is at its path".into())),
            Err(_) => Err(LedgerError::Gone),
        }
    }
}

impl Store for Sqlite {
    fn read_transaction(&self, read: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        // Rolled back when dropped; nothing was written.
        let _transaction = self.connection.unchecked_transaction()?;
        read()
    }

    fn identity(&self) -> Result<String> {
        self.remembered("identity")?.ok_or(LedgerError::NotALedger)
    }

    fn remembered(&self, name: &str) -> Result<Option<String>> {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        Ok(self.connection.query_row(sql, [name], |row| row.get(0)).optional()?)
    }

    fn remember(&mut self, name: &str, value: &str) -> Result<()> {
        self.check_identity()?;
        let sql = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)";
        self.connection.execute(sql, [name, value])?;
        Ok(())
    }

    fn tail(&self) -> Result<Option<ChainHead>> {
        tail(&self.connection)
    }

    fn first(&self) -> Result<Option<Row>> {
        self.one("ORDER BY seq LIMIT 1", [])
    }

    fn latest(&self) -> Result<Option<Row>> {
        self.one("WHERE kind <> 'anchor' ORDER BY at DESC LIMIT 1", [])
    }

    fn row(&self, seq: Seq) -> Result<Option<Row>> {
        self.one("WHERE seq = ?1", [number(seq)])
    }

    fn anchor(&self) -> Result<Option<(Seq, Row)>> {
        let sql = format!(
            "SELECT {COLUMNS}, (SELECT MIN(seq) FROM entries) FROM entries \
             WHERE kind = 'anchor' ORDER BY seq DESC LIMIT 1"
        );
        let with_first = |row: &rusqlite::Row<'_>| {
            let first: i64 = row.get(7)?;
            Ok((first.try_into().unwrap_or_default(), read(row)?))
        };
        Ok(self.connection.prepare_cached(&sql)?.query_row([], with_first).optional()?)
    }

    fn rows(&self, after: Seq, visit: &mut RowVisitor<'_>) -> Result<()> {
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE seq > ?1 ORDER BY seq");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([number(after)], read)?;
        for row in rows {
            visit(row?)?;
        }
        Ok(())
    }

    fn append(&mut self, rows: &[NewRow], through: Option<Seq>) -> Result<Vec<Row>> {
        self.check_identity()?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows = insert(&transaction, rows)?;
        if let Some(through) = through {
            let sql = "DELETE FROM entries WHERE seq <= ?1";
            if transaction.execute(sql, [number(through)])? == 0 {
                // Another process has dropped them in the meantime, and maybe more.
                return Ok(Vec::new());
            }
        }
        transaction.commit()?;
        // The file may have been removed during the write.
        self.check_identity()?;
        Ok(rows)
    }
}

/// The schema version of a ledger, at most `known`; 0 for an empty file.
fn known_version(connection: &Connection, known: usize) -> Result<usize> {
    let found = version(connection)?;
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    let tables = "SELECT COUNT(*) FROM sqlite_master";
    if found == 0 && connection.query_row(tables, [], |row| row.get::<_, i64>(0))? > 0 {
        return Err(LedgerError::NotALedger);
    }
    Ok(found)
}

/// The schema version that a file contains; 0 if it has none.
fn version(connection: &Connection) -> Result<usize> {
    let sql = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'";
    let tables: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    let sql = "SELECT value FROM meta WHERE name = 'schema'";
    let written: Option<String> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    written.unwrap_or_default().parse().map_err(|_| LedgerError::NotALedger)
}

fn insert(transaction: &Transaction<'_>, new_rows: &[NewRow]) -> Result<Vec<Row>> {
    let mut head = tail(transaction)?.unwrap_or_else(ChainHead::root);
    let before = head.seq;
    let sql = format!("INSERT INTO entries ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = Vec::with_capacity(new_rows.len());
    for new_row in new_rows {
        let NewRow { at, scope, kind, subject, body } = new_row.clone();
        let (seq, kind, hash) = (head.seq + 1, kind.to_owned(), ROOT.to_owned());
        let mut row = Row { seq, at, scope, kind, subject, body, hash };
        row.hash = row.hash_after(&head.hash);
        let Row { seq, at, scope, kind, subject, body, hash } = &row;
        statement.execute(rusqlite::params![number(*seq), at, scope, kind, subject, body, hash])?;
        head = ChainHead { seq: *seq, hash: hash.clone() };
        rows.push(row);
    }
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE seq > ?1 ORDER BY seq");
    let mut statement = transaction.prepare_cached(&sql)?;
    let kept = statement.query_map([number(before)], read)?.collect::<Result<Vec<_>, _>>()?;
    if kept == rows { Ok(rows) } else { Err(LedgerError::NotKept) }
}

fn tail(connection: &Connection) -> Result<Option<ChainHead>> {
    let sql = "SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| {
        let seq: i64 = row.get(0)?;
        Ok(ChainHead { seq: seq.try_into().unwrap_or_default(), hash: row.get(1)? })
    };
    Ok(connection.prepare_cached(sql)?.query_row([], read).optional()?)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let seq: i64 = row.get(0)?;
    Ok(Row {
        seq: seq.try_into().unwrap_or_default(),
        at: row.get(1)?,
        scope: row.get(2)?,
        kind: row.get(3)?,
        subject: row.get(4)?,
        body: row.get(5)?,
        hash: row.get(6)?,
    })
}

/// `SQLite` has no unsigned integers; the number of a row is never that large.
fn number(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn identity(path: &Path) -> Result<Identity> {
    let metadata = fs::metadata(files::followed(path)?)?;
    if !metadata.is_file() {
        return Err(LedgerError::NotALedger);
    }
    Ok((metadata.dev(), metadata.ino()))
}

/// Creates the folder of a file, accessible to the user only.
pub fn create_folder_of(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path))
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// The path of a file that `SQLite` keeps beside its own.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: &str = "CREATE TABLE notes (text TEXT NOT NULL) STRICT;";

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        (folder, path)
    }

    fn new_row() -> NewRow {
        let (at, scope, kind) = ("2026-11-25T10:00:00Z".into(), "acme".into(), "note");
        NewRow { at, scope, kind, subject: None, body: "{}".into() }
    }

    #[test]
    fn a_later_migration_runs_once_and_keeps_the_data() {
        let (_folder, path) = file();
        let mut store = Sqlite::create(&path).unwrap();
        let rows = store.append(&[new_row()], None).unwrap();
        let identity = store.identity().unwrap();
        for _ in 0..2 {
            store.migrate(&[MIGRATIONS[0], SECOND]).unwrap();
            assert_eq!(version(&store.connection).unwrap(), 2);
            store.connection.execute("INSERT INTO notes VALUES ('kept')", []).unwrap();
        }
        assert_eq!(
            (store.first().unwrap(), store.identity().unwrap()),
            (Some(rows[0].clone()), identity)
        );
        let error = Sqlite::open(&path).unwrap_err();
        assert!(matches!(error, LedgerError::Newer { found: 2, known: 1 }), "{error}");
    }

    #[test]
    fn what_is_remembered_is_not_in_the_chain() {
        let (_folder, path) = file();
        let mut store = Sqlite::create(&path).unwrap();
        let (identity, tail) =
            (store.identity().unwrap(), store.append(&[new_row()], None).unwrap());
        for value in ["one", "two"] {
            assert_ne!(store.remembered("a name").unwrap().as_deref(), Some(value));
            store.remember("a name", value).unwrap();
        }
        let again = Sqlite::open_read_only(&path).unwrap();
        assert_eq!(again.remembered("a name").unwrap().as_deref(), Some("two"));
        assert_eq!(again.remembered("another").unwrap(), None);
        assert_eq!(
            (again.identity().unwrap(), again.row(1).unwrap()),
            (identity, tail.into_iter().next())
        );
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(store.remember("a name", "lost"), Err(LedgerError::Gone)));
    }

    #[test]
    fn a_new_file_gets_every_migration() {
        let mut store = Sqlite { connection: Connection::open_in_memory().unwrap(), file: None };
        store.migrate(&[MIGRATIONS[0], SECOND]).unwrap();
        assert_eq!(version(&store.connection).unwrap(), 2);
        store.connection.execute("INSERT INTO notes VALUES ('new')", []).unwrap();
    }

    #[test]
    fn a_failed_migration_leaves_the_file_unchanged() {
        let (_folder, path) = file();
        let mut store = Sqlite::create(&path).unwrap();
        store.migrate(&[MIGRATIONS[0], SECOND, "CREATE TABLE;"]).unwrap_err();
        assert_eq!(version(&store.connection).unwrap(), 1);
        store.connection.execute("INSERT INTO notes VALUES ('none')", []).unwrap_err();
        Sqlite::open(&path).unwrap();
    }
}
