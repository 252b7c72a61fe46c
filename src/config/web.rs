//! `web:`: who may read the status of the daemon.

use super::checks::Validator;
use super::{WebSettings, environment, schema};
use crate::yaml::Fields;

impl Validator<'_> {
    pub(super) fn web(&mut self, fields: &Fields<'_, '_>) -> WebSettings {
        if fields.get("web").is_none() {
            return environment::web(self.env);
        }
        let Some(fields) = self.section(fields, "web", &schema::web()) else {
            return WebSettings::default();
        };
        let token = fields.get("token").and_then(|node| self.secret(node, "token"));
        WebSettings { token, anonymous: self.boolean(&fields, "anonymous") }
    }
}
