//! Grants as an auditor reads them: a table, a canonical form, and its digest.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Denial, Grants, RequestUrl, Route, Scheme};
use crate::digest::sha256;

impl Grants {
    /// The effective grants as JSON, in a fixed order: what the digest is taken of.
    pub fn canonical(&self) -> Value {
        json!({
            "version": 1,
            "base_url": self.base_url.to_string(),
            "allow_plaintext": self.allow_plaintext,
            "tools": self.tools,
            "secrets": self.secrets,
            "limits": self.limits,
            "ca_file": self.ca_file,
        })
    }

    /// The SHA-256 of [`Self::canonical`], compact, in hexadecimal.
    pub fn digest(&self) -> String {
        sha256(self.canonical().to_string())
    }

    /// The effective grants as a table.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| _ = writeln!(text, "{name:<16}{value}");
        let variable = self.base_url_variable.as_ref().map(|name| format!("  (from {name})")).unwrap_or_default();
        line("destination", &format!("{}{variable}", self.base_url));
        line("addresses", self.addresses());
        for grant in &self.tools {
            let mut name = grant.tool.as_str();
            if grant.routes.is_empty() {
                line(name, "nothing: not offered");
            }
            for route in &grant.routes {
                line(name, &route.to_string());
                name = "";
            }
        }
        for secret in &self.secrets {
            let parameter =
                secret.parameter.as_ref().map(|name| format!(" or the argument `{name}`")).unwrap_or_default();
            let from = format!("from {}{parameter}, only into the header `{}`", secret.env, secret.header);
            line(&secret.name, &from);
        }
        let limits = serde_json::to_value(&self.limits).unwrap_or_default();
        for (name, value) in limits.as_object().into_iter().flatten() {
            line("limit", &format!("{name} = {value}"));
        }
        line("ca_file", self.ca_file.as_deref().unwrap_or("the system's roots alone"));
        line("sha256", &self.digest());
        text
    }

    fn addresses(&self) -> &'static str {
        match (self.base_url.origin.scheme, self.allow_plaintext) {
            (Scheme::Http, false) => "loopback only: plain text",
            (Scheme::Http, true) => "any but link-local and metadata, in PLAIN TEXT",
            (Scheme::Https, _) => "any but link-local and metadata, over TLS",
        }
    }

    /// The verdict on a request by a tool, without making it.
    ///
    /// # Errors
    ///
    /// The first check that fails, of those that need no network.
    pub fn explain(&self, tool: &str, method: &str, url: &str) -> Result<&Route, Denial> {
        self.decide(tool, method, &RequestUrl::split(url)?)
    }
}
