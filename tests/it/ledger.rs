//! The ledger on real files: killed processes, failing disks, tampering.

mod bench;
mod faults;
mod format;
mod full;
mod kill;
mod lag;
mod retention;
mod scenario;
mod succession;
mod tamper;
