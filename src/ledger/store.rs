//! What a store has to do. The second implementation beside `SQLite` will be a server, so nothing
//! here knows of files.

use super::LedgerError;
use super::chain::{ChainHead, Row};
use crate::memory::entry::Seq;

/// A row about to be written; the store gives it its number and its hash.
#[derive(Clone, Debug)]
pub struct NewRow {
    pub at: String,
    pub scope: String,
    pub kind: &'static str,
    pub subject: Option<String>,
    pub body: String,
}

/// Takes rows one after the other.
pub type RowVisitor<'a> = dyn FnMut(Row) -> Result<(), LedgerError> + 'a;

/// An open ledger. Rows are only ever added; numbers and hashes are given under the store's own
/// lock, so that several processes may write.
pub trait Store: Send + std::fmt::Debug {
    /// Lets `read` see one state of the ledger, whatever others write meanwhile.
    fn read_transaction(
        &self,
        read: &mut dyn FnMut() -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError>;

    /// A random text that tells this ledger from any other.
    fn identity(&self) -> Result<String, LedgerError>;

    /// The last row.
    fn tail(&self) -> Result<Option<ChainHead>, LedgerError>;

    /// The first row that is there.
    fn first(&self) -> Result<Option<Row>, LedgerError>;

    /// One row.
    fn row(&self, seq: Seq) -> Result<Option<Row>, LedgerError>;

    /// The newest row of a kind.
    fn newest(&self, kind: &str) -> Result<Option<Row>, LedgerError>;

    /// Every row after `after`, in order.
    fn rows(&self, after: Seq, take: &mut RowVisitor<'_>) -> Result<(), LedgerError>;

    /// Adds rows, all or none of them; they are on disk when this returns. With `through`, rows
    /// up to that one are dropped in the same transaction.
    fn append(&mut self, drafts: &[NewRow], through: Option<Seq>) -> Result<Vec<Row>, LedgerError>;
}
