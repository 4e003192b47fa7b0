//! Destinations: everything but the granted scheme, host and port is denied, however it is written.

use super::cases;
use super::probe::{Attempt, Verdict, World, assert_all_right};
use Verdict::{Allowed, Denied, RefusedByWasi};

cases!(
    /// Where a request may want to go.
    Destination {
        AnotherHost,
        AnotherPort,
        TheOtherScheme,
        TheGrantedOneItself,
        APortThatNeedsRepair,
        UpperCaseScheme,
        TrailingDot,
        AUser,
        NamesAroundTheGrantedOne,
        NumericSpellings,
        FourInsideSix,
        TheOtherLoopback,
        ZoneIds,
        CharactersThatHaveNoPlace,
        PercentEncodedHost,
        LookAlikes,
        NoAuthority,
        NoScheme,
        OtherSchemes,
        HostsAsLists,
        VeryLongNames,
    }
);

const REFUSED_AUTHORITY: Verdict = RefusedByWasi("authority: refused by WASI");

fn rows(case: Destination, world: &World) -> Vec<(Attempt, Verdict)> {
    let (granted, evil) = (world.granted.port(), world.evil.port());
    let to = |authority: String| world.attempt().authority(authority);
    let all = |authorities: &[String], verdict: Verdict| {
        authorities.iter().map(|authority| (to(authority.clone()), verdict)).collect::<Vec<_>>()
    };
    let on_port = |hosts: &[&str], port: u16| hosts.iter().map(|host| format!("{host}:{port}")).collect::<Vec<_>>();
    match case {
        Destination::AnotherHost => all(
            &[format!("127.0.0.2:{granted}"), format!("evil.example:{granted}"), format!("localhost:{granted}")],
            Denied("origin"),
        ),
        Destination::AnotherPort => {
            all(&[format!("127.0.0.1:{evil}"), "127.0.0.1".to_owned(), "127.0.0.1:80".to_owned()], Denied("origin"))
        }
        Destination::TheOtherScheme => {
            vec![
                (world.attempt().scheme("https"), Denied("origin")),
                (to(format!("127.0.0.1:{evil}")).scheme("https"), Denied("origin")),
            ]
        }
        Destination::TheGrantedOneItself => vec![(world.attempt(), Allowed(200))],
        Destination::APortThatNeedsRepair => {
            let mut rows = all(
                &["127.0.0.1:".to_owned(), "127.0.0.1:0".to_owned(), "127.0.0.1:99999".to_owned()],
                Denied("parse"),
            );
            rows.extend(all(
                &[
                    format!("127.0.0.1:0{granted}"),
                    format!("127.0.0.1:+{granted}"),
                    format!("127.0.0.1:000000{granted}"),
                ],
                Denied("parse"),
            ));
            rows.extend(all(&[format!("127.0.0.1:-{granted}")], Denied("parse")));
            rows.extend(all(&[format!("127.0.0.1:{granted}:{evil}")], REFUSED_AUTHORITY));
            rows
        }
        // A scheme is the same in either case; that it is http is decided on its own.
        Destination::UpperCaseScheme => {
            vec![(world.attempt().scheme("HTTP"), Allowed(200)), (world.attempt().scheme("HTTPS"), Denied("origin"))]
        }
        Destination::TrailingDot => {
            all(&on_port(&["127.0.0.1.", "localhost.", "evil.example.", ".127.0.0.1"], granted), Denied("parse"))
        }
        Destination::AUser => all(
            &[
                format!("good@127.0.0.1:{evil}"),
                format!("127.0.0.1:{granted}@127.0.0.1:{evil}"),
                format!("hidden:word@127.0.0.1:{granted}"),
                format!("@127.0.0.1:{granted}"),
            ],
            Denied("userinfo"),
        ),
        Destination::NamesAroundTheGrantedOne => all(
            &on_port(&["sub.127.0.0.1", "x127.0.0.1", "127.0.0.1.evil", "127.0.0.1-evil", "127.0.0.10"], granted),
            Denied("origin"),
        ),
        Destination::NumericSpellings => all(
            &on_port(
                &["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.01", "0x7f.1", "017700000001"],
                granted,
            ),
            Denied("origin"),
        ),
        Destination::FourInsideSix => all(
            &on_port(
                &["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"],
                granted,
            ),
            Denied("origin"),
        ),
        Destination::TheOtherLoopback => {
            all(&on_port(&["[::1]", "[0:0:0:0:0:0:0:1]", "0.0.0.0", "[::]"], granted), Denied("origin"))
        }
        Destination::ZoneIds => {
            let mut rows = all(&on_port(&["[fe80::1%25eth0]", "[::1%25lo]"], granted), Denied("parse"));
            rows.extend(all(&on_port(&["[fe80::1", "::1]", "[::1]]"], granted), REFUSED_AUTHORITY));
            rows
        }
        Destination::CharactersThatHaveNoPlace => {
            let hosts = ["\0", "\t", "\r", "\n", "\r\nHost: evil", " ", "\\", "/", "?", "#", "\u{a0}"];
            let hosts: Vec<String> = hosts.iter().map(|no_place| format!("127.0.0.1{no_place}:{granted}")).collect();
            let mut rows = all(&hosts, REFUSED_AUTHORITY);
            rows.extend(all(
                &on_port(&["127.0.0.1,", "127.0.0.1;", "127.0.0.1'", "(127.0.0.1)"], granted),
                Denied("parse"),
            ));
            rows
        }
        Destination::PercentEncodedHost => all(
            &on_port(&["127.0.0.1%00", "127%2e0.0.1", "%31%32%37.0.0.1", "127.0.0.1%2eevil"], granted),
            REFUSED_AUTHORITY,
        ),
        Destination::LookAlikes => {
            let mut rows = all(&on_port(&["xn--lcalhost-1pd", "xn--0zwm56d"], granted), Denied("origin"));
            rows.extend(all(
                &on_port(&["１２７.0.0.1", "127。0。0。1", "lоcalhost", "127.0.0.\u{00b9}"], granted),
                REFUSED_AUTHORITY,
            ));
            rows
        }
        Destination::NoAuthority => vec![
            (world.attempt().set("authority", serde_json::Value::Null), RefusedByWasi("HttpRequestUriInvalid")),
            (to(String::new()), REFUSED_AUTHORITY),
            (to(format!(":{granted}")), Denied("parse")),
        ],
        Destination::NoScheme => {
            vec![
                (world.attempt().set("scheme", serde_json::Value::Null), Denied("origin")),
                (world.attempt().scheme(""), Denied("origin")),
                (world.attempt().scheme("ht tp"), RefusedByWasi("scheme: refused by WASI")),
            ]
        }
        Destination::OtherSchemes => ["ftp", "file", "ws", "wss", "gopher", "unix", "httpx", "h2c"]
            .iter()
            .map(|scheme| (world.attempt().scheme(scheme), Denied("origin")))
            .collect(),
        Destination::HostsAsLists => all(
            &[format!("127.0.0.1:{granted},127.0.0.1:{evil}"), format!("127.0.0.1:{evil}&127.0.0.1:{granted}")],
            REFUSED_AUTHORITY,
        ),
        Destination::VeryLongNames => all(
            &[format!("{}:{granted}", "a".repeat(10_000)), format!("127.0.0.1:{}", "1".repeat(10_000))],
            Denied("parse"),
        ),
    }
}

#[test]
fn nothing_but_the_granted_origin_is_reached_however_it_is_written() {
    let mut world = World::start();
    let mut wrong = Vec::new();
    for case in Destination::ALL {
        let rows = rows(*case, &world);
        wrong.extend(world.judge(&format!("{case:?}"), rows));
    }
    assert_all_right(&wrong);
}

#[test]
fn a_user_in_an_authority_is_never_logged() {
    let mut world = World::start();
    let attempt = world.attempt().authority(format!("hidden:word@{}", world.host()));
    let tried = world.try_as("fetch", &attempt);
    let said = world.client.server.wait_for_stderr("denied by the check `userinfo`");
    for text in [&tried.text, &said] {
        assert!(!text.contains("hidden") && !text.contains("word"), "{text}");
    }
}

#[test]
fn a_granted_name_is_the_same_in_either_case_and_not_its_address() {
    let granted = reference_gateway::Gateway::start();
    let port = granted.port();
    let start = super::probe::start(&granted).env("AIGATEWAY_URL", format!("http://LocalHost:{port}"));
    let mut world =
        World { client: start.connect(crate::support::Era::Legacy), evil: super::probe::Evil::start(), granted };
    let to = |authority: &str| world.attempt().authority(format!("{authority}:{port}"));
    let mut rows: Vec<_> = ["localhost", "LOCALHOST", "LocalhosT"].map(|host| (to(host), Allowed(200))).into();
    rows.extend(
        ["127.0.0.1", "[::1]", "sub.localhost", "xlocalhost", "localhost.evil"]
            .map(|host| (to(host), Denied("origin"))),
    );
    assert_all_right(&world.judge("a granted name", rows));
}
