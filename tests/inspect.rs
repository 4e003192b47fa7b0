//! What `inspect` says about components and about what is none.

use serde_json::{Value, json};

use crate::support::{Ran, Start, assert_golden};

mod lock;

/// A component of two tools that import nothing.
const SMALL: &str = r#"
    (component
        (core module $m (func (export "ping")) (func (export "count") (param i32)))
        (core instance $i (instantiate $m))
        (func $ping (canon lift (core func $i "ping")))
        (func $count (param "times" u32) (canon lift (core func $i "count")))
        (export "ping" (func $ping))
        (export "count" (func $count)))
"#;

const GRANTS: &str = r#"
    version = 1
    base_url = "http://localhost:1"
    [tools]
    ping = ["GET /x"]
    count = ["GET /x", "GET /y"]
"#;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is a component")
}

/// The small component with more in it.
fn small_with(more: &str) -> Vec<u8> {
    wat(&SMALL.replace("(component\n", &format!("(component {more}\n")))
}

/// A component with a custom section at its end.
fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let content = [&[name.len() as u8], name.as_bytes(), data].concat();
    component.push(0);
    let mut size = content.len();
    while size >= 0x80 {
        component.push(size as u8 | 0x80);
        size >>= 7;
    }
    component.push(size as u8);
    component.extend(content);
    component
}

/// The small component, with a text for its tool `ping`.
fn small_with_docs(text: &str) -> Vec<u8> {
    let docs = json!({ "worlds": { "root": { "func_exports": { "ping": { "docs": text } } } } });
    with_section(wat(SMALL), "package-docs", format!("\0{docs}").as_bytes())
}

fn inspect(name: &str, bytes: impl AsRef<[u8]>, arguments: &[&str]) -> Ran {
    let start = Start::bare().file(name, bytes).file("grants.toml", GRANTS).args(["inspect", name]);
    arguments.iter().fold(start, |start, argument| start.arg(*argument)).run()
}

/// Its answer as JSON, whatever its exit code.
fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn code(ran: &Ran) -> Option<i32> {
    ran.status.code()
}

/// Text in which digests, sizes and versions of tools of the build are masked.
fn masked(text: &str) -> String {
    let line = |line: &str| {
        let words = line.split(' ').map(|word| match word {
            word if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "SHA-256",
            word if word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_digit()) => "SIZE",
            word => word,
        });
        let line = words.collect::<Vec<_>>().join(" ");
        if line.starts_with("  built by") { "  built by     TOOLS".to_owned() } else { line }
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn the_built_in_component_asks_for_nothing_more_than_it_is_granted() {
    let ran = Start::bare().arg("inspect").run();

    assert_eq!(code(&ran), Some(0), "{ran:?}");
    assert_golden("inspect.txt", &masked(&ran.stdout));
}

#[test]
fn the_report_for_machines_says_the_same() {
    let start = Start::bare().args(["inspect", "--json"]);
    let report = start.run().json();

    let component = Start::bare().args(["component", "-o", "component.wasm"]);
    component.run();
    let bytes = std::fs::read(component.path("component.wasm")).unwrap();
    assert_eq!(report["component"]["size"], bytes.len());
    assert_eq!(report["imports"]["sockets"], json!([]));
    assert_eq!(report["imports"]["files"], json!([]));
    assert_eq!(
        report["imports"]["network"],
        json!([
            { "name": "wasi:http/types@0.2.12", "offered": true },
            { "name": "wasi:http/outgoing-handler@0.2.12", "offered": true }
        ])
    );
    let create = &report["tools"][1];
    assert_eq!(create["name"], "create_mapping");
    assert_eq!(create["parameters"][1], json!({ "name": "provider-id", "type": "provider" }));
    assert_eq!(create["result"], "result<mapping, failure>");
    assert_eq!(create["rules"][1], "POST /api/v1/model-mappings");
    assert_eq!(report["types"]["provider"], "enum provider { antigravity, openai, glm }");
    assert_eq!(report["granted"].as_array().unwrap().len(), 4);
    assert_eq!(report["missing"], json!({ "imports": [], "tools": [], "unfit": [] }));
    assert_eq!(report["asks_for_more"], false);
}

#[test]
fn the_built_in_component_written_to_a_file_is_the_same_component() {
    let start = Start::bare().args(["component", "-o", "component.wasm"]);
    start.run();
    let component = std::fs::read(start.path("component.wasm")).unwrap();

    let of_file = report(&inspect("component.wasm", &component, &["--json"]));
    let built_in = Start::bare().args(["inspect", "--json"]).run().json();

    assert_eq!(of_file["component"]["sha256"], built_in["component"]["sha256"]);
    assert_eq!(of_file["imports"], built_in["imports"]);
    assert_eq!(of_file["types"], built_in["types"]);
    assert_eq!(of_file["grants"], Value::Null, "nothing is granted to a file");
    assert_eq!(of_file["missing"]["tools"].as_array().unwrap().len(), 4);
}

#[test]
fn the_embedded_code_is_what_the_component_compiles_to() {
    let ran = Start::bare().args(["inspect", "--verify", "--json"]).run();

    assert_eq!(ran.json()["component"]["code"]["verified"], true);
}

/// On Linux alone: elsewhere a changed binary may not be started at all.
#[cfg(target_os = "linux")]
#[test]
fn code_that_is_not_the_components_is_found() {
    let start = Start::bare().args(["inspect", "--verify", "--json"]);
    let code = &start.run().json()["component"]["code"];
    let (size, digest) = (code["size"].as_u64().unwrap() as usize, code["sha256"].as_str().unwrap());
    let mut binary = std::fs::read(env!("CARGO_BIN_EXE_aigateway-mcp")).unwrap();
    let candidates = memchr::memmem::find_iter(&binary, b"\x7fELF").filter(|at| at + size <= binary.len());
    let found: Vec<usize> = candidates.filter(|at| sha256(&binary[*at..at + size]) == digest).collect();
    let [at] = found[..] else { panic!("the code is in the binary {} times", found.len()) };

    binary[at + size / 2] ^= 1;
    std::fs::write(start.path("changed"), binary).unwrap();
    std::fs::set_permissions(start.path("changed"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(start.path("changed"));
    let ran: Ran = command.args(["inspect", "--verify"]).env_clear().output().unwrap().into();

    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(ran.stdout.contains("NOT THE SAME when compiled again"), "{}", ran.stdout);
    assert!(ran.stdout.contains("The code that runs is NOT THE COMPONENT'S"), "{}", ran.stdout);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sockets_files_and_unknown_interfaces_are_named_and_not_offered() {
    let component = small_with(
        r#"(import "wasi:sockets/tcp@0.2.0" (instance (export "connect" (func))))
           (import "wasi:filesystem/types@0.2.0" (instance (export "descriptor" (type (sub resource)))))
           (import "wasi:clocks/wall-clock@0.3.0" (instance (export "now" (func (result u64)))))
           (import "launch-missiles" (func))
           (import "wasi:clocks/types@0.2.0" (instance (type $t u64) (export "instant" (type (eq $t)))))"#,
    );

    let ran = inspect("x.wasm", &component, &["--grants", "grants.toml"]);
    let json = report(&inspect("x.wasm", &component, &["--grants", "grants.toml", "--json"]));

    assert_eq!(code(&ran), Some(1));
    for expected in [
        "  sockets      not offered to any component\n               wasi:sockets/tcp@0.2.0  NOT OFFERED\n",
        "  network      none\n",
        "wasi:clocks/wall-clock@0.3.0  NOT OFFERED",
        "launch-missiles  NOT OFFERED",
        "It asks for MORE THAN IT IS GRANTED: 4 imports not offered.",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert_eq!(json["imports"]["sockets"], json!([{ "name": "wasi:sockets/tcp@0.2.0", "offered": false }]));
    assert_eq!(json["imports"]["files"][0]["name"], "wasi:filesystem/types@0.2.0");
    assert_eq!(json["imports"]["other"][0]["name"], "launch-missiles");
    assert_eq!(json["imports"]["clocks"].as_array().unwrap().len(), 1, "an interface of mere types is no import");
    assert_eq!(json["asks_for_more"], true);
}

#[test]
fn what_is_reported_as_not_offered_is_what_serving_refuses() {
    for (import, offered) in [
        (r#"(import "wasi:sockets/tcp@0.2.0" (instance (export "connect" (func))))"#, false),
        (r#"(import "wasi:io/poll@0.3.0" (instance (export "now" (func))))"#, false),
        (r#"(import "wasi:random/random@0.2.3" (instance (export "get-random-u64" (func (result u64)))))"#, true),
        (r#"(import "wasi:clocks/types@0.2.0" (instance (type $t u64) (export "instant" (type (eq $t)))))"#, true),
    ] {
        let start = Start::bare().file("x.wasm", small_with(import)).file("grants.toml", GRANTS);
        let served = start.args(["--component", "x.wasm", "--grants", "grants.toml"]).run();
        let inspected = inspect("x.wasm", small_with(import), &["--grants", "grants.toml"]);

        assert_eq!(code(&inspected), Some(if offered { 0 } else { 1 }), "{import}");
        assert_eq!(served.status.success(), offered, "{import}: {}", served.stderr);
    }
}

#[test]
fn types_are_written_as_wit_writes_them_however_they_are_nested() {
    let component = wat(r#"
        (component
            (import "colour" (type $colour (sub resource)))
            (type $shade' (enum "light" "dark"))
            (import "shade" (type $shade (eq $shade')))
            (type $item' (record (field "name" string) (field "shades" (list $shade)) (field "at" (tuple u8 (option s64)))))
            (import "item" (type $item (eq $item')))
            (type $answer' (variant (case "none") (case "some" (list (option (result $item (error string)))))))
            (import "answer" (type $answer (eq $answer')))
            (type $rights' (flags "read" "write"))
            (import "rights" (type $rights (eq $rights')))
            (type $alias' (list $item))
            (import "items" (type $alias (eq $alias')))
            (import "f" (func $f (param "items" $alias) (param "rights" $rights) (result (result $answer))))
            (import "g" (func $g (param "a-b" (result)) (param "c" (result (error $shade))) (result (option (tuple bool char f32 f64)))))
            (import "h" (func $h (param "colour" (borrow $colour)) (result (own $colour))))
            (export "find-it" (func $f))
            (export "plain" (func $g))
            (export "paint" (func $h)))
    "#);

    let json = report(&inspect("x.wasm", component, &["--json"]));

    let types: Vec<&str> = (0..3).map(|at| json["tools"][at]["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "func(items: items, rights: rights) -> result<answer>",
            "func(a-b: result, c: result<_, shade>) -> option<tuple<bool, char, f32, f64>>",
            "func(colour: borrow<colour>) -> own<colour>",
        ]
    );
    assert_eq!(
        json["types"],
        json!({
            "items": "type items = list<item>",
            "rights": "flags rights { read, write }",
            "answer": "variant answer { none, some(list<option<result<item, string>>>) }",
            "shade": "enum shade { light, dark }",
            "colour": "resource colour",
            "item": "record item { name: string, shades: list<shade>, at: tuple<u8, option<s64>> }",
        })
    );
    assert_eq!(json["missing"]["unfit"], json!(["paint"]));
    assert_eq!(json["tools"][0]["name"], "find_it");
}

#[test]
fn a_type_without_end_is_cut_off() {
    // Each type is twice the one before: in full, the last has some thousand billion parts, or is refused.
    let doubled = |depth: usize| (1..=depth).map(|at| format!("(type $t{at} (tuple $t{0} $t{0}))", at - 1));
    let text = |depth| {
        let types = doubled(depth).collect::<String>();
        format!(
            r#"(component (type $t0 (tuple u8 u8)) {types} (import "f" (func $f (param "p" $t{depth}))) (export "g" (func $f)))"#
        )
    };

    let long = inspect("x.wasm", wat(&text(15)), &["--json"]);
    let endless = inspect("x.wasm", wat(&text(40)), &["--json"]);

    let ty = report(&long)["tools"][0]["type"].as_str().unwrap().to_owned();
    assert!(ty.contains('…') && ty.len() < 5000, "{} characters", ty.len());
    assert_eq!(code(&endless), Some(2));
    assert!(endless.stderr.contains("not a valid component"), "{}", endless.stderr);
}

#[test]
fn grants_are_shown_beside_the_exports() {
    let grants = "version = 1\nbase_url = \"http://localhost:1\"\n[tools]\nping = [\"GET /x\"]\nother = [\"GET /z\"]\ncount = []\n";
    let start = Start::bare().file("x.wasm", wat(SMALL)).file("g.toml", grants);

    let ran = start.args(["inspect", "x.wasm", "--grants", "g.toml", "--json"]).run();

    let json = report(&ran);
    assert_eq!(code(&ran), Some(1));
    assert_eq!(json["granted"], json!(["ping"]));
    assert_eq!(json["unused"], json!([{ "tool": "other", "routes": ["GET /z"] }]));
    assert_eq!(json["missing"]["tools"], json!(["count"]));
    assert_eq!(json["grants"]["effective"]["base_url"], "http://localhost:1");
}

#[test]
fn without_a_grant_file_nothing_is_granted_to_a_file() {
    let ran = inspect("probe.wasm", hostile_components::PROBE, &[]);

    assert_eq!(code(&ran), Some(1), "{ran:?}");
    for expected in [
        "component `probe.wasm`\n",
        "fetch: func(attempt: attempt) -> result<response, string>\n",
        "environment: func() -> list<tuple<string, string>>\n",
        "search-memory: func(attempt: attempt, xored: list<u8>) -> bool\n",
        "  record header { name: string, value: string }\n",
        "  none         nothing is granted; name a grant file with --grants\n",
        "  missing      fetch, other, fetch_with_key, ",
        " tools without rules.\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
}

#[test]
fn what_is_no_component_is_told_what_it_is() {
    let mut cut = wat(SMALL);
    cut.truncate(cut.len() - 5);
    for (bytes, expected) in [
        (wat("(module)"), "is a core module, not a component"),
        (b"\0asm\x01\0\x07\0".to_vec(), "is WebAssembly of a kind that is not known here"),
        (b"\0asm".to_vec(), "is WebAssembly of a kind that is not known here"),
        (b"garbage \x1b[31m".to_vec(), "is not a component: it does not begin as WebAssembly does"),
        (b"  (component)".to_vec(), "it may be WebAssembly's text format"),
        (Vec::new(), "is empty, not a component"),
        (cut, "not a valid component: unexpected end"),
        (b"\0asm\x0d\0\x01\0\xff\xff\xff".to_vec(), "not a valid component: "),
        (vec![0; 50 << 20], "is not a component: it does not begin as WebAssembly does"),
        (vec![0; (64 << 20) + 1], "is too large; a component has at most 67108864 bytes"),
    ] {
        let ran = inspect("x", &bytes, &[]);
        assert_eq!(code(&ran), Some(2), "{expected}: {ran:?}");
        assert!(ran.stderr.contains(expected) && ran.stderr.contains("`x`"), "{expected}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{expected}");
    }
    for (name, expected) in [(".", "`.` is not a file"), ("nothing", "cannot read `nothing`")] {
        let ran = Start::bare().args(["inspect", name]).run();
        assert_eq!(code(&ran), Some(2));
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn a_component_of_50_mb_is_inspected_like_any_other() {
    let component = with_section(wat(SMALL), "ballast", &vec![7; 50 << 20]);

    let ran = inspect("x.wasm", &component, &["--grants", "grants.toml", "--json"]);

    assert_eq!(code(&ran), Some(0), "{ran:?}");
    assert_eq!(report(&ran)["component"]["size"], component.len());
    assert_eq!(report(&ran)["component"]["sha256"], sha256(&component));
}

#[test]
fn what_built_a_component_is_shown_once_and_acts_on_no_terminal() {
    let field = |name: &str, version: &str| {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        [vec![1], text("language"), vec![1], text(name), text(version)].concat()
    };
    let twice = with_section(wat(SMALL), "producers", &field("Ru\x1b[31mst\n", "1"));
    let twice = with_section(twice, "producers", &field("Ru\x1b[31mst\n", "1"));
    let component = with_section(twice, "producers", b"\xff\xff");

    let ran = inspect("x.wasm", component, &[]);

    assert!(ran.stdout.contains("\n  language     Ru\\u{1b}[31mst\\n 1\n"), "{}", ran.stdout);
}

#[test]
fn a_key_is_neither_needed_nor_shown() {
    let key = "ak_0123456789abcdef0123456789abcdef";
    for argument in ["inspect", "--json"] {
        let ran = Start::bare().env("AIGATEWAY_API_KEY", key).args(["inspect", argument]).run();
        assert!(!format!("{ran:?}").contains(key), "{ran:?}");
    }
}
