//! The ledger on real files: processes that are killed, disks that fail, hands that tamper.

mod kill;
mod lag;
mod site;
