//! What is remembered across runs, as plain data.

/// What a planner may know beyond the two states. It is an argument of the planner so that a
/// plan never depends on anything it was not given; a process without a ledger remembers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {}

impl Memory {
    /// Nothing is known of earlier runs.
    pub fn empty() -> Self {
        Self::default()
    }
}
