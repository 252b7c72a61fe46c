//! `web:` and `public_url`: who may read the status of the daemon, and where.

use reqwest::Url;

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
        WebSettings { token, anonymous: self.boolean(&fields, "anonymous"), host: None }
    }

    pub(super) fn public_url(&mut self, fields: &Fields<'_, '_>) -> Option<Url> {
        let (node, text) = self.value(fields, "public_url")?;
        let wanted = "the URL of the web UI, such as https://rosterd.acme.io";
        page(&text).map_err(|why| self.reject(node, "public_url", &why, wanted)).ok()
    }
}

/// Parses a URL that readers open. The error does not repeat it.
fn page(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "not a valid URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user or a password, which readers would see");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("contains a query or a fragment");
    }
    Ok(url)
}
