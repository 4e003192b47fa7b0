//! The gateway without its database, and without Redis.

use reference_gateway::{Gateway, NewMapping};

use crate::client::{MAPPINGS, body, call, create, get, owned, path};

const DATABASE_DOWN: &str = "dial tcp 127.0.0.1:3306: connect: connection refused";
const REDIS_DOWN: &str = "dial tcp 127.0.0.1:6379: connect: connection refused";

/// A gateway with one mapping of alice, `x`, and her key in the cache.
fn in_use() -> Gateway {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "x"));
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
    gateway
}

#[test]
fn health_stays_ok_with_everything_down() {
    let gateway = Gateway::start();
    gateway.set_database_down(true);
    gateway.set_redis_down(true);
    assert_eq!(get(&gateway, "alice", "/health").json()["status"], "ok");
}

#[test]
fn without_the_database_an_uncached_key_looks_bad() {
    let gateway = in_use();
    gateway.set_database_down(true);
    assert_eq!(get(&gateway, "bob", MAPPINGS).error(), owned(401, "authentication required"));
    gateway.forget_cached_keys();
    assert_eq!(get(&gateway, "alice", MAPPINGS).error(), owned(401, "authentication required"));
    gateway.set_database_down(false);
    assert_eq!(get(&gateway, "alice", MAPPINGS).status, 200);
}

#[test]
fn without_the_database_a_list_is_a_500_and_a_mapping_a_404() {
    let gateway = in_use();
    gateway.set_database_down(true);
    assert_eq!(get(&gateway, "alice", MAPPINGS).error(), owned(500, DATABASE_DOWN));
    for method in ["GET", "PUT", "DELETE"] {
        let reply = call(&gateway, "alice", method, &path("x"), &body("x"));
        assert_eq!(reply.error(), owned(404, "mapping not found"), "{method}");
    }
    assert_eq!(create(&gateway, "alice", "y").error(), owned(500, DATABASE_DOWN));
    gateway.set_database_down(false);
    assert_eq!(get(&gateway, "alice", &path("x")).status, 200);
    assert_eq!(gateway.mappings().len(), 1);
}

#[test]
fn without_redis_writes_are_committed_and_answered_as_failed() {
    let gateway = in_use();
    gateway.set_redis_down(true);
    assert_eq!(create(&gateway, "alice", "y").error(), owned(500, REDIS_DOWN));
    assert_eq!(gateway.mappings().len(), 2);
    assert_eq!(call(&gateway, "alice", "PUT", &path("y"), &body("z")).error(), owned(500, REDIS_DOWN));
    assert_eq!(gateway.mappings()[1].alias, "z");
    assert_eq!(call(&gateway, "alice", "DELETE", &path("z"), "").error(), owned(500, REDIS_DOWN));
    assert_eq!(gateway.mappings().len(), 1);
}

#[test]
fn without_redis_reads_work_and_what_is_refused_is_refused() {
    let gateway = in_use();
    gateway.set_redis_down(true);
    assert_eq!(get(&gateway, "alice", &path("x")).status, 200);
    assert!(create(&gateway, "alice", "x").error().1.starts_with("Error 1062"));
    assert_eq!(call(&gateway, "bob", "DELETE", &path("x"), "").status, 403);
}
