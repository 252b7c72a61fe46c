use crate::diagnostic::Diagnostic;
use jiff::Timestamp;
use std::path::Path;
pub struct Signers;
impl Signers {
    pub fn read(_: &Path) -> Result<Self, Diagnostic> {
        Ok(Self)
    }
    pub fn check(&self, _: &gix::Commit<'_>, _: Timestamp) -> Result<String, String> {
        Err("it has no signature".into())
    }
}
