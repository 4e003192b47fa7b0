//! Any text as a grant file: it is read or refused with a line of it, and what is read can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the host's own")]
#[path = "../../host/src/digest.rs"]
mod digest;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the host's own")]
#[path = "../../host/src/grants/mod.rs"]
mod grants;

fuzz_target!(|text: &str| {
    match grants::Grants::parse(text, |_| Some("http://localhost:1".to_owned())) {
        Ok(grants) => {
            let rules = || grants.tools.iter().flat_map(|grant| &grant.routes);
            for rule in rules() {
                let again: grants::Route = rule.to_string().parse().expect("a rule reads back as it was written");
                assert_eq!(*rule, again);
            }
            assert!(grants.table().contains(&grants.digest()));
            assert!(rules().all(|rule| !rule.method().chars().any(|letter| letter.is_ascii_lowercase())));
        }
        Err(error) => assert!((1..=text.lines().count().max(1) + 1).contains(&error.line), "{error}"),
    }
});
