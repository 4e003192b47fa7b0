//! Bad input of the operator: refused with the reason and the fix, before the first tool is offered.

use std::time::{Duration, Instant};

use reference_gateway::Gateway;

use super::cases;
use super::keys::private;
use super::probe::assert_all_right;
use crate::support::Start;

cases!(
    /// What an operator may get wrong.
    BadInput {
        NoGrants,
        GrantsMissing,
        GrantsEmpty,
        GrantsAFolder,
        GrantsTooLarge,
        GrantsNotUtf8,
        GrantsNotToml,
        GrantsOfVersion2,
        GrantsWithAnUnknownKey,
        GrantsWithADuplicateRule,
        GrantsWithAWildcard,
        GrantsWithALowerCaseMethod,
        GrantsWithAUserInTheUrl,
        GrantsWithAQueryInTheUrl,
        GrantsWithAnUnknownScheme,
        GrantsForPlainTextElsewhere,
        GrantsWithoutAValue,
        GrantsWithTheKeyInHost,
        KeyFileMissing,
        KeyFileOfOthers,
        KeyFileWithTwoLines,
        KeyFileEmpty,
        KeyFileAndCommand,
        KeyCommandMissing,
        KeyCommandFails,
        KeyCommandPrintsTwoLines,
        KeyCommandPrintsNothing,
        KeyCommandPrintsTooMuch,
        KeyCommandIsNoShell,
        KeyCommandWithAnOpenQuote,
        CaFileMissing,
        CaFileWithoutACertificate,
        CaFileThatIsMalformed,
        EnvFileMissing,
        UrlWithoutAVariable,
    }
);

const HEAD: &str = "version = 1\nbase_url = \"http://127.0.0.1:8088\"\n";

/// How to start the program, and what its refusal says.
fn refused(case: BadInput) -> (Start, &'static [&'static str]) {
    let bare = Start::bare;
    let grants = |text: &str| bare().file("grants.toml", text).args(["--grants", "grants.toml"]);
    let more = |text: &str| grants(&format!("{HEAD}{text}\n"));
    let base_url = |url: &str| grants(&format!("version = 1\nbase_url = \"{url}\"\n"));
    let key_file = |content: &str| {
        let start = bare().file("key", content).args(["--api-key-file", "key"]);
        private(&start, "key");
        start
    };
    let command = |command: &str| bare().args(["--api-key-command", command]);
    let ca = |content: &str| bare().file("ca.pem", content).args(["--ca-file", "ca.pem"]);
    match case {
        BadInput::NoGrants => (
            bare().file("it.wasm", hostile_components::PROBE).args(["--component", "it.wasm"]),
            &["nothing is granted to `it.wasm`", "--grants"],
        ),
        BadInput::GrantsMissing => {
            (bare().args(["--grants", "grants.toml"]), &["--grants", "cannot read `grants.toml`"])
        }
        BadInput::GrantsEmpty => (grants(""), &["`grants.toml`, line 1", "missing field `version`"]),
        BadInput::GrantsAFolder => {
            let start = bare().args(["--grants", "grants.toml"]);
            std::fs::create_dir(start.path("grants.toml")).expect("the temporary directory is writable");
            (start, &["`grants.toml` is not a file"])
        }
        BadInput::GrantsTooLarge => {
            let start = grants("");
            let file = std::fs::File::options().write(true).open(start.path("grants.toml")).expect("it is there");
            file.set_len(100 << 20).expect("a hole costs nothing");
            (start, &["`grants.toml` has 104857600 bytes", "at most 1048576"])
        }
        BadInput::GrantsNotUtf8 => (
            bare().file("grants.toml", b"version = 1 # \xff\n").args(["--grants", "grants.toml"]),
            &["`grants.toml` is not UTF-8"],
        ),
        BadInput::GrantsNotToml => (grants("version = 1\n{ }"), &["`grants.toml`, line 2"]),
        BadInput::GrantsOfVersion2 => {
            (grants(&HEAD.replacen('1', "2", 1)), &["line 1: version 2 is not known; allowed: 1"])
        }
        BadInput::GrantsWithAnUnknownKey => {
            (more("allow_everything = true"), &["line 3: unknown field `allow_everything`", "expected one of"])
        }
        BadInput::GrantsWithADuplicateRule => {
            (more("[tools]\na = [\"GET /x\", \"GET /x\"]"), &["line 4", "comes twice"])
        }
        BadInput::GrantsWithAWildcard => (more("[tools]\na = [\"GET /*\"]"), &["line 4", "there are no wildcards"]),
        BadInput::GrantsWithALowerCaseMethod => (more("[tools]\na = [\"get /x\"]"), &["line 4", "upper case"]),
        BadInput::GrantsWithAUserInTheUrl => (base_url("http://hidden:word@127.0.0.1"), &["line 2", "a user in it"]),
        BadInput::GrantsWithAQueryInTheUrl => (base_url("http://127.0.0.1/?x"), &["line 2", "a query"]),
        BadInput::GrantsWithAnUnknownScheme => {
            (base_url("ws://127.0.0.1"), &["line 2", "the scheme `ws` is never granted"])
        }
        BadInput::GrantsForPlainTextElsewhere => {
            (base_url("http://gateway.example"), &["line 2", "plain text", "allow_plaintext = true"])
        }
        BadInput::GrantsWithoutAValue => (base_url("${SOME_URL}"), &["line 2", "the variable SOME_URL is not set"]),
        BadInput::GrantsWithTheKeyInHost => {
            (more("[secrets.k]\nenv = \"K\"\nheader = \"Host\""), &["line 5", "written by the host"])
        }
        BadInput::KeyFileMissing => (bare().args(["--api-key-file", "key"]), &["--api-key-file", "cannot read `key`"]),
        BadInput::KeyFileOfOthers => {
            use std::os::unix::fs::PermissionsExt;
            let start = key_file("ak_secret");
            std::fs::set_permissions(start.path("key"), PermissionsExt::from_mode(0o640))
                .expect("a file of the test's own");
            (start, &["--api-key-file", "mode 640", "chmod 600 key"])
        }
        BadInput::KeyFileWithTwoLines => {
            (key_file("ak_secret\nak_other\n"), &["`key` holds no usable key", "more than one line"])
        }
        BadInput::KeyFileEmpty => (key_file("\n"), &["`key` holds no usable key", "it is empty"]),
        BadInput::KeyFileAndCommand => {
            (key_file("ak_secret").args(["--api-key-command", "true"]), &["cannot be used with"])
        }
        BadInput::KeyCommandMissing => {
            (command("/no/such/program"), &["--api-key-command", "cannot run `/no/such/program`"])
        }
        BadInput::KeyCommandFails => {
            (command("/bin/false"), &["--api-key-command", "`/bin/false`", "it failed (exit status: 1)"])
        }
        BadInput::KeyCommandPrintsTwoLines => (
            command("/usr/bin/printf 'ak_secret\\nak_other\\n'"),
            &["what `/usr/bin/printf` printed is not a usable key", "more than one line"],
        ),
        BadInput::KeyCommandPrintsNothing => (command("/bin/true"), &["what `/bin/true` printed", "it is empty"]),
        BadInput::KeyCommandPrintsTooMuch => {
            (command("/usr/bin/printf ak_%05000d 1"), &["it printed more than 4096 bytes"])
        }
        BadInput::KeyCommandIsNoShell => (
            command("/bin/echo ak_secret ; /bin/echo other"),
            &["what `/bin/echo` printed is not a usable key", "a space"],
        ),
        BadInput::KeyCommandWithAnOpenQuote => (command("op read 'x"), &["is not a command", "a quote is open"]),
        BadInput::CaFileMissing => (bare().args(["--ca-file", "ca.pem"]), &["cannot use the CA file `ca.pem`"]),
        BadInput::CaFileWithoutACertificate => (
            ca("nothing of the kind\n"),
            &["cannot use the CA file `ca.pem`", "it holds no certificate", "BEGIN CERTIFICATE"],
        ),
        BadInput::CaFileThatIsMalformed => {
            (ca("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"), &["cannot use the CA file `ca.pem`"])
        }
        BadInput::EnvFileMissing => (bare().args(["--env-file", "x.env"]), &["--env-file", "cannot read `x.env`"]),
        BadInput::UrlWithoutAVariable => (more("").args(["--url", "http://127.0.0.1:1"]), &["--url has no effect"]),
    }
}

#[test]
fn bad_input_is_refused_with_its_reason_before_any_tool_is_offered() {
    let check = |case: &BadInput| {
        let (start, reasons) = refused(*case);
        let ran = start.run();
        let code = if *case == BadInput::KeyFileAndCommand { 2 } else { 1 };
        let named = reasons.iter().all(|reason| ran.stderr.contains(reason));
        let quiet = ["ak_secret", "ak_other", "hidden", "word@"].iter().all(|secret| !ran.stderr.contains(secret));
        let refused = ran.status.code() == Some(code) && ran.stdout.is_empty();
        // What was typed as a command is the operator's own, and shown to nobody else.
        let quiet = quiet || *case == BadInput::KeyCommandIsNoShell;
        (!refused || !named || !quiet).then(|| format!("{case:?}: {reasons:?}: {ran:?}"))
    };
    assert_all_right(&BadInput::ALL.iter().filter_map(check).collect::<Vec<_>>());
}

#[test]
fn a_key_command_that_hangs_is_given_up_after_ten_seconds() {
    let began = Instant::now();
    let ran = Start::bare().args(["--api-key-command", "/bin/sleep 60"]).run();
    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.stderr.contains("`/bin/sleep`: it did not end within 10 seconds"), "{ran:?}");
    assert!((Duration::from_secs(10)..Duration::from_secs(20)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn an_origin_that_does_not_resolve_is_told_at_the_call_and_not_before() {
    // A label of 64 letters is longer than any name's: nobody is asked about it.
    let url = format!("https://{}.example", "a".repeat(64));
    let start = Start::bare().env("AIGATEWAY_URL", url.clone()).env("AIGATEWAY_API_KEY", "ak_any");
    assert!(start.run().status.success(), "the server starts");
    let ran = start.args(["call", "list_models"]).run();
    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.stderr.contains(&url) || ran.stderr.contains("resolve") || ran.stderr.contains("DNS"), "{ran:?}");
}

#[test]
fn a_tool_without_rules_is_not_offered() {
    let granted = Gateway::start();
    let grants = super::probe::GRANTS.replace(
        "other          = [\"PUT /api/v1/model-mappings/{alias}\", \"DELETE /api/v1/model-mappings/{alias}\"]\n",
        "other = []\n",
    );
    let grants = grants.replace("well           = [\"GET /v1/models\"]\n", "");
    let mut client = super::probe::start_with(&granted, &grants).connect(crate::support::Era::Legacy);
    let names: Vec<_> =
        client.tools().iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(names.contains(&"fetch".to_owned()), "{names:?}");
    assert!(!names.contains(&"other".to_owned()) && !names.contains(&"well".to_owned()), "{names:?}");
    let refused = client.ask("tools/call", serde_json::json!({ "name": "other", "arguments": {} }));
    assert!(
        refused["error"]["message"].as_str().is_some_and(|text| text.contains("unknown tool `other`")),
        "{refused}"
    );
}

#[test]
fn read_only_offers_what_get_can_do() {
    let granted = Gateway::start();
    let mut client = Start::on(&granted, "alice").arg("--read-only").connect(crate::support::Era::Legacy);
    let tools = client.tools();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["list_models"]);
    assert_eq!(tools[0]["annotations"]["readOnlyHint"], true);
    let table = Start::on(&granted, "alice").args(["--read-only", "grants"]).run().stdout;
    assert!(table.contains("create_mapping  nothing: not offered"), "{table}");
}
