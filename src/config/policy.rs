//! `policy:` of a workspace: which addresses its roster may have.

use super::checks::Validator;
use super::schema;
use crate::roster::policy::{Domain, Policy};
use crate::yaml::Fields;

impl Validator<'_> {
    pub(super) fn policy(&mut self, fields: &Fields<'_, '_>) -> Policy {
        let Some(fields) = self.section(fields, "policy", &schema::policy()) else {
            return Policy::default();
        };
        let domains = self.domains(&fields, "domains");
        Policy { domains, guests: self.domains(&fields, "guests") }
    }

    fn domains(&mut self, fields: &Fields<'_, '_>, key: &str) -> Vec<Domain> {
        let Some(node) = fields.get(key) else { return Vec::new() };
        let items = node.items(&format!("`{key}`"), &mut self.found).unwrap_or_default();
        let mut domains = Vec::new();
        for item in items {
            let Some(text) = item.text("a domain", &mut self.found) else { continue };
            match Domain::parse(text) {
                Ok(domain) => domains.push(domain),
                Err(wanted) => self.reject(item, key, &"not a domain", &wanted),
            }
        }
        domains
    }
}
