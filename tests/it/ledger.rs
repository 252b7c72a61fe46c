//! The ledger on real files: processes that are killed, disks that fail, hands that tamper.

mod bench;
mod faults;
mod format;
mod full;
mod kill;
mod lag;
mod retention;
mod site;
mod tamper;
