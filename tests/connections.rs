//! The way to the gateway: prefixes, redirects, proxies, TLS, and connections that are used again.

use std::collections::BTreeSet;
use std::net::TcpListener;

use reference_gateway::{Answer, Fault, Gateway, NewMapping, What, When};
use serde_json::{Value, json};

use crate::hostile_suite::probe::{GRANTS, World};
use crate::support::{Called, Client, ERAS, Era, Start};

fn list(client: &mut Client) -> Called {
    client.call("list_models", json!({}))
}

/// Creates, lists, updates and deletes a mapping; each must work.
fn round_trip(client: &mut Client) {
    let create = json!({ "alias": "trip", "provider_id": "openai", "model_name": "gpt-4o" });
    assert_eq!(client.call("create_mapping", create).answer()["alias"], "trip");
    assert_eq!(list(client).answer()["custom_mappings"][0]["alias"], "trip");
    let update = json!({ "alias": "trip", "new_alias": "round trip".replace(' ', "-") });
    assert_eq!(client.call("update_mapping", update).answer()["alias"], "round-trip");
    assert_eq!(client.call("delete_mapping", json!({ "alias": "round-trip" })).answer()["alias"], "round-trip");
}

/// How many connections were used for reads.
fn for_reads(gateway: &Gateway) -> usize {
    let reads = gateway.requests().into_iter().filter(|request| request.method == "GET");
    reads.map(|request| request.connection).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_path_prefix_is_kept_in_front_of_every_route() {
    for era in ERAS {
        let gateway = Gateway::builder().path_prefix("/ai/gateway").start().unwrap();
        let mut client = Start::on(&gateway, "alice").connect(era);

        round_trip(&mut client);

        assert!(gateway.requests().iter().all(|request| request.target.starts_with("/ai/gateway/")));
    }
}

#[test]
fn a_slash_at_the_end_of_the_url_changes_nothing() {
    for prefix in ["", "/ai"] {
        let gateway = Gateway::builder().path_prefix(prefix).start().unwrap();
        let mut client =
            Start::on(&gateway, "alice").env("AIGATEWAY_URL", format!("{}/", gateway.url())).connect(Era::Modern);
        round_trip(&mut client);
    }
}

#[test]
fn a_missing_path_prefix_is_told_as_a_wrong_address() {
    let gateway = Gateway::builder().path_prefix("/ai").start().unwrap();
    let url = gateway.url().replace("/ai", "");
    let mut client = Start::on(&gateway, "alice").env("AIGATEWAY_URL", url.as_str()).connect(Era::Modern);

    let called = list(&mut client);

    assert_eq!(
        called.failure(),
        format!(
            "Failed to list models: the server at {url} does not know this route: it answered 404 (`404 page not found`). \
             Check that AIGATEWAY_URL is the address of an AIGateway, with its path if it has one."
        )
    );
}

#[test]
fn a_redirect_is_followed_by_no_tool_wherever_it_leads() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Gateway::start();
        let gateway = Gateway::start();
        gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
        let location = format!("{}/api/v1/model-mappings", elsewhere.url());
        gateway.fault(Fault::new(When::any().always(), What::Answer(Answer::redirect(status, &location))));
        let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);

        for (tool, arguments) in crate::tools::every_tool() {
            let called = client.call(tool, arguments);
            assert!(called.failure().contains("a redirect, which is never followed"), "{called:?}");
        }

        assert_eq!(elsewhere.connections(), 0, "{status}");
    }
}

#[test]
fn proxy_variables_are_ignored() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let gateway = Gateway::start();
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let start = names.iter().fold(Start::on(&gateway, "alice"), |start, name| start.env(name, address.as_str()));

    round_trip(&mut start.connect(Era::Modern));

    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
}

#[test]
fn reads_share_their_connections_and_each_write_is_the_first_request_of_its_own() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    for _ in 0..10 {
        round_trip(&mut client);
    }

    let requests = gateway.requests();
    assert!(requests.len() > 100, "{}", requests.len());
    let mut seen = BTreeSet::new();
    for request in &requests {
        let is_first = seen.insert(request.connection);
        let write = &request.method;
        assert!(is_first || write == "GET", "{write} {} came over a connection that was used before", request.target);
    }
    assert!(for_reads(&gateway) <= 2, "{} connections for reads", for_reads(&gateway));
    assert!(gateway.open_connections() <= 2, "{} connections are kept", gateway.open_connections());
}

#[test]
fn connections_that_were_closed_while_idle_cost_no_call_and_no_second_write() {
    for era in ERAS {
        let gateway = Gateway::start();
        gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
        let mut client = Start::on(&gateway, "alice").connect(era);

        for (tool, arguments) in crate::tools::every_tool() {
            list(&mut client).answer();
            gateway.close_connections();
            gateway.wait_until("the connections are closed", |gateway| gateway.open_connections() == 0);
            client.call(tool, arguments).answer();
        }

        let writes = gateway.requests().iter().filter(|request| request.method != "GET").count();
        assert_eq!(writes, 3);
    }
}

#[test]
fn a_head_is_a_read_too_and_goes_on_over_another_connection() {
    let grants = GRANTS.replace("fetch          = [", "fetch          = [\"HEAD /v1/models\", ");
    let mut world = World::with(&grants, |start, _| start);
    // The gateway has no route for HEAD, and says so.
    for (method, status) in [("GET", 200), ("HEAD", 404), ("GET", 200), ("HEAD", 404)] {
        let tried = world.try_as("fetch", &world.attempt().method(method));
        assert!(tried.text.starts_with(&format!("{{\"status\":{status},")), "{method}: {}", tried.text);
        world.granted.close_connections();
        world.granted.wait_until("the connections are closed", |gateway| gateway.open_connections() == 0);
    }
}

#[test]
fn tls_works_with_the_authority_that_is_named() {
    for era in ERAS {
        let gateway = Gateway::builder().tls().start().unwrap();
        let start =
            Start::on(&gateway, "alice").file("ca.pem", gateway.ca_pem().unwrap()).args(["--ca-file", "ca.pem"]);

        round_trip(&mut start.connect(era));

        assert!(for_reads(&gateway) <= 2, "TLS connections are used again, too");
    }
}

#[test]
fn tls_without_the_authority_fails_with_what_to_check() {
    for era in ERAS {
        let gateway = Gateway::builder().tls().start().unwrap();
        let mut client = Start::on(&gateway, "alice").connect(era);

        for (tool, arguments) in crate::tools::every_tool() {
            let called = client.call(tool, arguments);
            let said = format!(
                "the gateway at {} cannot be reached securely (TLS failed). Check the gateway's certificate, and whether \
                 AIGATEWAY_URL should start with http or https.",
                gateway.url()
            );
            assert!(called.failure().ends_with(&said), "{called:?}");
        }

        assert!(gateway.requests().is_empty(), "no key goes to a gateway that nobody vouches for");
    }
}

#[test]
fn another_authority_than_the_gateways_does_not_help() {
    let (gateway, other) = (Gateway::builder().tls().start().unwrap(), Gateway::builder().tls().start().unwrap());
    let start = Start::on(&gateway, "alice").file("ca.pem", other.ca_pem().unwrap()).args(["--ca-file", "ca.pem"]);

    assert!(list(&mut start.connect(Era::Modern)).failure().contains("TLS failed"));
}

#[test]
fn http_and_https_taken_for_each_other_are_told() {
    let plain = Gateway::start();
    let url = plain.url().replace("http:", "https:");
    let mut client = Start::on(&plain, "alice").env("AIGATEWAY_URL", url).connect(Era::Modern);
    assert!(list(&mut client).failure().contains("whether AIGATEWAY_URL should start with http or https"));

    let tls = Gateway::builder().tls().start().unwrap();
    let url = tls.url().replace("https:", "http:");
    let mut client = Start::on(&tls, "alice").env("AIGATEWAY_URL", url).connect(Era::Modern);
    assert!(list(&mut client).failure().contains("AIGATEWAY_URL"), "what was said names where to look");
}

#[test]
fn a_file_that_holds_no_authority_is_refused_at_the_start() {
    let gateway = Gateway::builder().tls().start().unwrap();
    for (name, content, said) in [
        ("empty.pem", "", "it holds no certificate; a PEM file with `BEGIN CERTIFICATE` is wanted"),
        ("key.txt", "hello", "it holds no certificate; a PEM file with `BEGIN CERTIFICATE` is wanted"),
    ] {
        let ran = Start::on(&gateway, "alice").file(name, content).args(["--ca-file", name]).run();
        assert_eq!(ran.status.code(), Some(1));
        assert_eq!(
            ran.stderr.lines().last(),
            Some(&*format!("aigateway-mcp: error: cannot use the CA file `{name}`: {said}"))
        );
    }
    let ran = Start::on(&gateway, "alice").args(["--ca-file", "none.pem"]).run();
    assert!(ran.stderr.contains("cannot use the CA file `none.pem`: "), "{ran:?}");
}

#[test]
fn calls_at_the_same_time_are_all_answered_and_share_a_few_connections() {
    let gateway = Gateway::start();
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);
    let requests: Vec<Value> = (0..100)
        .map(|number| {
            let arguments = json!({ "alias": format!("m-{number}"), "provider_id": "openai", "model_name": "gpt-4o" });
            client.request("tools/call", json!({ "name": "create_mapping", "arguments": arguments }))
        })
        .collect();

    for request in &requests {
        client.server.send(request);
    }
    for _ in &requests {
        let answer = client.server.receive();
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }

    assert_eq!(gateway.mappings().len(), 100);
    assert!(for_reads(&gateway) <= 32, "{} connections for reads", for_reads(&gateway));
    assert!(gateway.open_connections() <= 32, "{} connections are kept", gateway.open_connections());
}
