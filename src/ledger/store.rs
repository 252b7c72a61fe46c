//! The interface of a database for the ledger. It does not depend on files, so that a database
//! server can implement it too.

use super::Result;
use super::chain::{ChainHead, Row};
use crate::memory::entry::Seq;

/// A row to be written. The store assigns its number and hash.
#[derive(Clone, Debug)]
pub struct NewRow {
    pub at: String,
    pub scope: String,
    pub kind: &'static str,
    pub subject: Option<String>,
    pub body: String,
}

/// Receives rows one by one.
pub type RowVisitor<'a> = dyn FnMut(Row) -> Result<()> + 'a;

/// An open ledger. Numbers and hashes are assigned under the store's own lock, so that several
/// processes may write.
pub trait Store: Send + std::fmt::Debug {
    /// Runs `read` on one consistent state of the ledger.
    fn read_transaction(&self, read: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// A random identifier of this ledger.
    fn identity(&self) -> Result<String>;

    /// A value that is not in the chain: it records nothing that was done.
    fn remembered(&self, name: &str) -> Result<Option<String>>;

    /// Sets such a value.
    fn remember(&mut self, name: &str, value: &str) -> Result<()>;

    /// The last row.
    fn tail(&self) -> Result<Option<ChainHead>>;

    /// The first row.
    fn first(&self) -> Result<Option<Row>>;

    /// The number of the first row and the newest anchor, of one state.
    fn anchor(&self) -> Result<Option<(Seq, Row)>>;

    /// The row with the latest time that is no anchor.
    fn latest(&self) -> Result<Option<Row>>;

    /// One row.
    fn row(&self, seq: Seq) -> Result<Option<Row>>;

    /// Visits every row after `after`, in order.
    fn rows(&self, after: Seq, visit: &mut RowVisitor<'_>) -> Result<()>;

    /// Adds rows, all or none; they were read back and are on disk when this returns. With
    /// `through`, rows up to that one are deleted in the same transaction; if there are none,
    /// nothing is added.
    fn append(&mut self, rows: &[NewRow], through: Option<Seq>) -> Result<Vec<Row>>;
}
