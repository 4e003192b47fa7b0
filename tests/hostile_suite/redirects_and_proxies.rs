//! Redirects are handed to the component and not followed; proxies of the environment are ignored.

use reference_gateway::{Answer, Fault, What, When};

use super::cases;
use super::probe::{GRANTS, Verdict, World, assert_all_right};

cases!(
    /// Ways to be sent elsewhere.
    SentElsewhere {
        RedirectToEvil,
        RedirectElsewhereOnGranted,
        RedirectWithoutAScheme,
        RefreshAndAltSvc,
        ProxyVariables,
        Connect,
        Upgrade,
    }
);

fn wrong(case: SentElsewhere, world: &mut World) -> Vec<String> {
    let (granted, evil) = (world.granted.port(), world.evil.port());
    let name = format!("{case:?}");
    let redirects = |world: &mut World, location: String| {
        let mut wrong = Vec::new();
        for status in [301, 302, 303, 307, 308] {
            world.granted.fault(Fault::new(When::any(), What::Answer(Answer::redirect(status, &location))));
            let attempt = world.attempt();
            let tried = world.try_as("fetch", &attempt);
            if let Err(what) = Verdict::Allowed(status).judge(&tried) {
                wrong.push(format!("{name}, {status}: {what}: {}", tried.text));
            }
            if tried.granted_saw.len() != 1 || !tried.text.contains("location") {
                wrong.push(format!("{name}, {status}: followed, or not handed in: {}", tried.text));
            }
        }
        wrong
    };
    match case {
        SentElsewhere::RedirectToEvil => redirects(world, format!("http://127.0.0.1:{evil}/v1/models")),
        SentElsewhere::RedirectElsewhereOnGranted => {
            redirects(world, format!("http://127.0.0.1:{granted}/api/v1/users"))
        }
        SentElsewhere::RedirectWithoutAScheme => redirects(world, format!("//127.0.0.1:{evil}/v1/models")),
        SentElsewhere::RefreshAndAltSvc => {
            let headers =
                [("Refresh", format!("0; url=http://127.0.0.1:{evil}/")), ("Alt-Svc", format!("http/1.1=\":{evil}\""))];
            let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
            world.granted.fault(Fault::new(When::any(), What::ExtraHeaders(headers)));
            let rows = vec![(world.attempt(), Verdict::Allowed(200)), (world.attempt(), Verdict::Allowed(200))];
            world.judge(&name, rows)
        }
        SentElsewhere::ProxyVariables => proxy_variables(),
        SentElsewhere::Connect => {
            let connect = world.attempt().method("CONNECT");
            let rows = vec![
                (connect.clone(), Verdict::Denied("method")),
                (connect.authority(format!("127.0.0.1:{evil}")), Verdict::Denied("origin")),
            ];
            world.judge(&name, rows)
        }
        SentElsewhere::Upgrade => {
            let rows = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("HTTP2-Settings", "AAMAAABk")]
                .map(|header| (world.attempt().headers(&[header]), Verdict::RefusedByWasi("HeaderError::Forbidden")));
            world.judge(&name, rows.into())
        }
    }
}

fn proxy_variables() -> Vec<String> {
    let mut world = World::with(GRANTS, |start, evil| {
        let proxy = format!("http://127.0.0.1:{}", evil.port());
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        let start = names.iter().fold(start, |start, name| start.env(name, proxy.clone()));
        start.env("NO_PROXY", "").env("no_proxy", "evil.example")
    });
    let rows = vec![(world.attempt(), Verdict::Allowed(200))];
    world.judge("ProxyVariables", rows)
}

#[test]
fn nothing_is_followed_and_no_proxy_is_used() {
    let mut world = World::start();
    let wrong: Vec<_> = SentElsewhere::ALL.iter().flat_map(|case| wrong(*case, &mut world)).collect();
    assert_all_right(&wrong);
}
