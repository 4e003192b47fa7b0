//! Any scheme, authority and target: what is allowed goes to the granted origin under both parsers, and its path is
//! the same to both.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the host's own")]
#[path = "../../host/src/digest.rs"]
mod digest;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the host's own")]
#[path = "../../host/src/grants/mod.rs"]
mod grants;

const GRANTS: &str = r#"
version  = 1
base_url = "https://good.example:8443/ai"
[tools]
fetch = ["GET /v1/models?page", "GET /m/{alias}"]
"#;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [scheme, authority, target] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let Ok(url) = grants::RequestUrl::parse(scheme, authority, target) else { return };
    let grants = grants::Grants::parse(GRANTS, |_| None).expect("the grants are valid");
    if grants.decide("fetch", "GET", &url).is_err() {
        return;
    }
    let whole = format!("{scheme}://{authority}{target}");
    let first: http::Uri = whole.parse().expect("what is allowed is a URL to the first parser");
    let second = url::Url::parse(&whole).expect("what is allowed is a URL to the second parser");
    let hosts = [first.host().map(str::to_ascii_lowercase), second.host_str().map(str::to_owned)];
    assert!(hosts.iter().all(|host| host.as_deref() == Some("good.example")), "{whole}");
    assert_eq!([first.port_u16(), second.port()], [Some(8443); 2], "{whole}");
    assert_eq!([first.path(), second.path()], [url.path.as_str(); 2], "{whole}");
    assert_eq!([first.scheme_str(), Some(second.scheme())], [Some("https"); 2], "{whole}");
});
