//! What a component under evaluation used or would have needed, and the smallest grant file that allows just that.

use serde::Serialize;
use toml::{Table, Value};

use super::{Grants, Limits, Permit, Route, ToolGrant};

/// The most rules that are kept: more than anybody would read. A request beyond them is not let through, so that the
/// file always allows all that was.
const MOST_RULES: usize = 512;

/// The rules that a session's requests used or would have needed, per tool.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    tools: Vec<ToolGrant>,
    let_through: u64,
}

/// There are too many rules to keep one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("observing keeps {MOST_RULES} rules at most, and has them")]
pub struct TooManyRules;

/// A grant file, in the order in which people write it.
#[derive(Serialize)]
struct File {
    version: u32,
    base_url: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_plaintext: bool,
    #[serde(skip_serializing_if = "Table::is_empty")]
    tools: Table,
    #[serde(skip_serializing_if = "Table::is_empty")]
    secrets: Table,
    #[serde(skip_serializing_if = "Table::is_empty")]
    limits: Table,
    #[serde(skip_serializing_if = "Table::is_empty")]
    tls: Table,
}

impl Observed {
    /// Takes in what a tool's request used or would have needed.
    ///
    /// # Errors
    ///
    /// [`TooManyRules`]; then the request must not be let through.
    pub fn add(&mut self, tool: &str, permit: &Permit<'_>) -> Result<(), TooManyRules> {
        let rule = permit.rule();
        let count: usize = self.tools.iter().map(|grant| grant.routes.len()).sum();
        let routes = self.routes(tool);
        if !routes.iter().any(|known| known.covers(rule)) {
            match routes.iter_mut().find(|known| known.has_path_of(rule)) {
                Some(known) => known.take_query_of(rule),
                None if count >= MOST_RULES => return Err(TooManyRules),
                None => routes.push(rule.clone()),
            }
            drop_covered(routes);
        }
        self.let_through += u64::from(matches!(permit, Permit::Observed(_)));
        Ok(())
    }

    /// How many requests were let through that no rule allows.
    pub fn let_through(&self) -> u64 {
        self.let_through
    }

    /// The smallest grant file that allows what was requested: of these grants all but the rules, and of the rules
    /// those that were used or would have been needed.
    ///
    /// # Errors
    ///
    /// When it cannot be written as TOML.
    pub fn grant_file(&self, grants: &Grants) -> Result<String, toml::ser::Error> {
        let base_url = match &grants.base_url_variable {
            Some(name) => format!("${{{name}:-{}}}", grants.base_url),
            None => grants.base_url.to_string(),
        };
        toml::to_string_pretty(&File {
            version: 1,
            base_url,
            allow_plaintext: grants.allow_plaintext,
            tools: self.tools.iter().map(|grant| (grant.tool.clone(), rules(&grant.routes))).collect(),
            secrets: secrets(grants),
            limits: changed_limits(&grants.limits)?,
            tls: grants.ca_file.iter().map(|file| ("ca_file".to_owned(), file.as_str().into())).collect(),
        })
    }

    fn routes(&mut self, tool: &str) -> &mut Vec<Route> {
        let at = self.tools.iter().position(|grant| grant.tool == tool).unwrap_or_else(|| {
            self.tools.push(ToolGrant { tool: tool.to_owned(), routes: Vec::new() });
            self.tools.len() - 1
        });
        &mut self.tools[at].routes
    }
}

/// Drops each rule that another one makes superfluous; of two that allow the same, the later one.
fn drop_covered(routes: &mut Vec<Route>) {
    let all = routes.clone();
    let mut at = 0;
    routes.retain(|route| {
        let earlier = all[..at].iter().any(|other| other.covers(route));
        let later = all[at + 1..].iter().any(|other| other.covers(route) && !route.covers(other));
        at += 1;
        !earlier && !later
    });
}

fn rules(routes: &[Route]) -> Value {
    Value::Array(routes.iter().map(|route| Value::String(route.to_string())).collect())
}

fn secrets(grants: &Grants) -> Table {
    let table = |secret: &super::Secret| {
        let parameter = secret.parameter.as_ref().map(|name| ("parameter".to_owned(), name.as_str().into()));
        let fields = [("env".to_owned(), secret.env.as_str().into())];
        let header = [("header".to_owned(), secret.header.as_str().into())];
        (secret.name.clone(), Value::Table(fields.into_iter().chain(parameter).chain(header).collect()))
    };
    grants.secrets.iter().map(table).collect()
}

/// The limits that are not the default.
fn changed_limits(limits: &Limits) -> Result<Table, toml::ser::Error> {
    let default = Table::try_from(Limits::default())?;
    Ok(Table::try_from(limits)?.into_iter().filter(|(name, value)| default.get(name) != Some(value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::RequestUrl;

    const GRANTS: &str = r#"
        version = 1
        base_url = "${GATEWAY:-https://gateway.example/ai}"
        [tools]
        show = ["GET /m/{name}", "GET /unused", "GET /list?page"]
        [secrets."a \" b"]
        env = "KEY"
        parameter = "key"
        header = "X-Key"
        [limits]
        call_seconds = 5
        [tls]
        ca_file = "roots.pem"
    "#;

    fn observed(requests: &[(&str, &str, &str)]) -> (Grants, Observed) {
        let grants = Grants::parse(GRANTS, |_| None).unwrap();
        let mut observed = Observed::default();
        for (tool, method, target) in requests {
            let url = RequestUrl::parse("https", "gateway.example", &format!("/ai{target}")).unwrap();
            observed.add(tool, &grants.observe(tool, method, &url).unwrap()).unwrap();
        }
        (grants, observed)
    }

    #[test]
    fn the_file_grants_what_was_used_and_needed_and_keeps_the_rest() {
        let (grants, observed) = observed(&[("show", "GET", "/m/x"), ("show", "POST", "/m"), ("other", "PUT", "/y")]);

        let file = Grants::parse(&observed.grant_file(&grants).unwrap(), |_| None).unwrap();

        assert_eq!(observed.let_through(), 2);
        let rules: Vec<_> = file.tools.iter().map(|grant| (grant.tool.as_str(), rules(&grant.routes))).collect();
        let list = |rules: &[&str]| Value::from(rules.to_vec());
        assert_eq!(rules, [("show", list(&["GET /m/{name}", "POST /m"])), ("other", list(&["PUT /y"]))]);
        assert_eq!((&file.base_url, &file.base_url_variable), (&grants.base_url, &grants.base_url_variable));
        assert_eq!((&file.secrets, &file.limits, &file.ca_file), (&grants.secrets, &grants.limits, &grants.ca_file));
    }

    #[test]
    fn rules_of_one_path_are_one_rule_with_all_query_keys() {
        let requests = [("show", "GET", "/list?sort=1"), ("show", "GET", "/list?page=1"), ("show", "GET", "/list")];
        let (grants, observed) = observed(&requests);

        assert!(observed.grant_file(&grants).unwrap().contains("show = [\"GET /list?sort&page\"]"));
    }

    #[test]
    fn a_rule_that_another_one_covers_is_left_out() {
        let requests = [("a", "GET", "/x/b"), ("a", "GET", "/x/b%20c"), ("a", "GET", "/x/d"), ("a", "GET", "/y?k=1")];
        let (grants, observed) = observed(&requests);

        let file = Grants::parse(&observed.grant_file(&grants).unwrap(), |_| None).unwrap();

        assert_eq!(rules(file.routes("a")), Value::from(vec!["GET /x/{segment}", "GET /y?k"]));
    }

    #[test]
    fn what_could_not_be_written_into_the_file_is_not_let_through() {
        let (grants, mut observed) = observed(&[]);
        let add = |observed: &mut Observed, path: &str| {
            let url = RequestUrl::parse("https", "gateway.example", &format!("/ai{path}")).unwrap();
            observed.add("a", &grants.observe("a", "GET", &url).unwrap())
        };
        for at in 0..MOST_RULES {
            add(&mut observed, &format!("/{at}")).unwrap();
        }

        assert_eq!(add(&mut observed, "/more"), Err(TooManyRules));
        assert_eq!(add(&mut observed, "/7?key=1"), Ok(()), "it needs no rule of its own");
        assert_eq!(observed.let_through(), MOST_RULES as u64 + 1);
    }

    #[test]
    fn what_no_rule_can_allow_stays_denied() {
        let (grants, _) = observed(&[]);
        for (method, host, target) in [
            ("TRACE", "gateway.example", "/ai/x"),
            ("GET", "gateway.example", "/ai/x?a=1&a=2"),
            ("GET", "gateway.example", "/outside"),
            ("GET", "evil.example", "/ai/x"),
        ] {
            let url = RequestUrl::parse("https", host, target).unwrap();
            assert!(grants.observe("show", method, &url).is_err(), "{method} {host}{target}");
        }
    }
}
