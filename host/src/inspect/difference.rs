//! What differs between two locks, as capabilities gained and lost.

use serde_json::{Map, Value};

use super::lock::{Lock, LockedTool};

/// The differences, one a line, beginning with `gained`, `lost` or `changed`; none if nothing differs.
pub(super) fn between(before: &Lock, after: &Lock) -> Vec<String> {
    let mut lines = Vec::new();
    let imports = [&before.component.imports, &after.component.imports];
    gained_and_lost(&mut lines, imports, |import| format!("import {import}"));
    if let (Some(before), Some(after)) = (&before.tools, &after.tools) {
        tools(&mut lines, before, after);
    }
    if before.component.sha256 != after.component.sha256 {
        let [before, after] = [&before.component.sha256, &after.component.sha256];
        lines.push(format!("changed: the component's code (sha256 {before}, now {after})"));
    }
    let count = lines.len();
    grants(&mut lines, &before.grants.effective, &after.grants.effective);
    if lines.len() == count && before.grants.sha256 != after.grants.sha256 {
        lines.push("changed: the order of the grants".to_owned());
    }
    lines
}

fn gained_and_lost<T: PartialEq>(lines: &mut Vec<String>, [before, after]: [&Vec<T>; 2], say: impl Fn(&T) -> String) {
    let gained = after.iter().filter(|item| !before.contains(item));
    lines.extend(gained.map(|item| format!("gained: {}", say(item))));
    let lost = before.iter().filter(|item| !after.contains(item));
    lines.extend(lost.map(|item| format!("lost: {}", say(item))));
}

fn changed(lines: &mut Vec<String>, what: &str, before: &Value, after: &Value) {
    if before != after {
        lines.push(format!("changed: {what} from {} to {}", shown(before), shown(after)));
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}

fn tools(lines: &mut Vec<String>, before: &[LockedTool], after: &[LockedTool]) {
    let names = |tools: &[LockedTool]| tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>();
    gained_and_lost(lines, [&names(before), &names(after)], |name| format!("tool {name}"));
    for before in before {
        if let Some(after) = after.iter().find(|after| after.name == before.name) {
            tool(lines, before, after);
        }
    }
}

fn tool(lines: &mut Vec<String>, before: &LockedTool, after: &LockedTool) {
    let name = &before.name;
    if before.description != after.description {
        lines.push(format!("changed: the description of {name}"));
    }
    if before.input_schema != after.input_schema {
        parameters(lines, name, &before.input_schema, &after.input_schema);
    }
    if before.output_schema != after.output_schema {
        lines.push(format!("changed: the result of {name}"));
    }
}

fn parameters(lines: &mut Vec<String>, tool: &str, before: &Value, after: &Value) {
    let count = lines.len();
    let properties = |schema: &Value| schema["properties"].as_object().cloned().unwrap_or_default();
    let names = |schema: &Value| properties(schema).keys().cloned().collect::<Vec<_>>();
    gained_and_lost(lines, [&names(before), &names(after)], |name| format!("the parameter {name} of {tool}"));
    for (name, before) in &properties(before) {
        if properties(after).get(name).is_some_and(|after| after != before) {
            lines.push(format!("changed: the parameter {name} of {tool}"));
        }
    }
    if before["required"] != after["required"] || lines.len() == count {
        lines.push(format!("changed: which parameters of {tool} must be given"));
    }
}

fn grants(lines: &mut Vec<String>, before: &Map<String, Value>, after: &Map<String, Value>) {
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    for key in keys {
        let [before, after] = [before, after].map(|grants| grants.get(key).unwrap_or(&Value::Null));
        match key.as_str() {
            "base_url" => changed(lines, "the destination", before, after),
            "tools" => {
                gained_and_lost(lines, [&rules(before), &rules(after)], |(tool, rule)| format!("{tool} may {rule}"))
            }
            "secrets" => gained_and_lost(lines, [&items(before), &items(after)], secret),
            "limits" => limits(lines, before, after),
            "ca_file" => changed(lines, "the roots of trust (`ca_file`)", before, after),
            "allow_plaintext" if before != after => {
                let verb = if *after == true { "gained" } else { "lost" };
                lines.push(format!("{verb}: plain text to other machines (`allow_plaintext`)"));
            }
            other => changed(lines, &format!("`{other}` of the grants"), before, after),
        }
    }
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or("?")
}

/// The rules as pairs of a tool and a request.
fn rules(tools: &Value) -> Vec<(String, String)> {
    let rules = |grant: &Value| {
        let tool = text(grant, "tool").to_owned();
        let routes = items(&grant["routes"]);
        routes
            .into_iter()
            .map(move |route| (tool.clone(), route.as_str().unwrap_or("?").to_owned()))
            .collect::<Vec<_>>()
    };
    items(tools).iter().flat_map(rules).collect()
}

fn secret(secret: &Value) -> String {
    let parameter = secret["parameter"].as_str().map(|name| format!(" or the argument {name}")).unwrap_or_default();
    let [name, env, header] = ["name", "env", "header"].map(|key| text(secret, key));
    format!("the secret {name} from {env}{parameter} may go into the header {header}")
}

fn limits(lines: &mut Vec<String>, before: &Value, after: &Value) {
    let none = Map::new();
    let [before, after] = [before, after].map(|limits| limits.as_object().unwrap_or(&none));
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        let [before, after] = [before, after].map(|limits| limits.get(name).unwrap_or(&Value::Null));
        changed(lines, &format!("the limit {name}"), before, after);
    }
}
