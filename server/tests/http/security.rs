//! API keys and webhook signatures.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;

use crate::answer::Answer;
use crate::server::{SOON, Server, program};
use stockade_testkit::wait_until;

const ADMIN: &[(&str, &str)] = &[
    ("POST", "/api/admin/products"),
    ("POST", "/api/admin/products/1/adjust"),
    ("POST", "/api/admin/sweep"),
    ("GET", "/api/admin/audit"),
    ("GET", "/api/admin/events"),
];

fn with_environment(variables: &[(&str, &str)], flags: &[&str]) -> Server {
    let mut command = program();
    command.arg("serve").args(flags).arg("--listen=127.0.0.1:0").envs(variables.iter().copied());
    Server::from_command(command, TempDir::new().unwrap())
}

#[test]
fn operators_need_the_key_when_one_is_set_and_customers_never_do() {
    let server = with_environment(&[("STOCKADE_API_KEY", "open-sesame,second")], &[]);
    for (method, path) in ADMIN {
        for header in [
            &[][..],
            &[("authorization", "Bearer open-sesam")],
            &[("authorization", "Basic open-sesame")],
            &[("authorization", "Bearer")],
        ] {
            let answer = server.send(method, path, header, "{");
            answer.expect_problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"stockade\""));
        }
        for key in ["Bearer open-sesame", "bearer second"] {
            let answer = server.send(method, path, &[("authorization", key)], "{");
            assert!(matches!(answer.status, 200 | 400), "{method} {path}: {}", answer.body);
        }
    }
    assert_eq!(server.post("/api/holds/1/1").status, 200);
    // A secret in the environment causes no warning, and nothing repeats it.
    assert!(!server.log().contains("WARN") && !server.log().contains("sesame"), "{}", server.log());
}

/// Requests that change state or read restricted data.
const ALL: &[(&str, &str)] = &[
    ("GET", "/api/products/1"),
    ("POST", "/api/holds/1/1"),
    ("POST", "/api/holds"),
    ("DELETE", "/api/holds/1"),
    ("POST", "/api/orders/1/1"),
    ("POST", "/api/payments/webhook"),
    ("GET", "/openapi.json"),
];

/// Headers of requests that did not originate on this machine.
const FOREIGN: &[(&str, &str)] = &[
    ("host", "evil.example"),
    ("host", "10.0.0.1:8080"),
    ("origin", "https://evil.example"),
    ("origin", "http://localhost:3000"),
    ("origin", "null"),
    ("sec-fetch-site", "cross-site"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=10.0.0.1"),
    ("x-real-ip", "10.0.0.1"),
    ("via", "1.1 proxy"),
];

#[test]
fn without_secrets_only_requests_of_this_machine_are_served() {
    for flags in [&[][..], &["--api-key=sesame"], &["--webhook-secret=hush"]] {
        let server = Server::sqlite_locked(flags);
        for foreign in FOREIGN {
            for (method, path) in ADMIN.iter().chain(ALL) {
                let answer = server.send(method, path, &[*foreign], "{}");
                answer.expect_problem(403, "forbidden");
                let why = answer.json()["message"].as_str().unwrap().to_owned();
                assert!(why.contains("--insecure"), "{why}");
                for (secret, flag) in [("API_KEY", "api"), ("WEBHOOK_SECRET", "webhook")] {
                    let is_set = flags.iter().any(|one| one.contains(flag));
                    assert_ne!(why.contains(&format!("STOCKADE_{secret}")), is_set, "{why}");
                }
            }
            for path in ["/healthz", "/readyz", "/metrics"] {
                assert_eq!(server.send("GET", path, &[*foreign], "").status, 200, "{path}");
            }
        }
    }
    let server = Server::sqlite(&[]);
    let own = format!("http://{}", server.address);
    assert_eq!(server.send("POST", "/api/holds/1/1", &[("origin", &own)], "").status, 200);
    server.expect_units([3, 1, 0, 0]);
}

#[test]
fn remote_requests_are_served_with_both_secrets_or_insecure() {
    let locked = &["--api-key=sesame", "--webhook-secret=hush"][..];
    for flags in [locked, &["--insecure"]] {
        let server = Server::sqlite_locked(flags);
        for foreign in FOREIGN {
            let answer = server.send("GET", "/api/products", &[*foreign], "");
            assert_eq!(answer.status, 200, "{foreign:?}");
            let status = server.send("POST", "/api/payments/webhook", &[*foreign], "{}").status;
            assert_eq!(status, if flags.len() == 2 { 401 } else { 422 }, "{foreign:?}");
        }
    }
    // A web page is never an operator, whatever the settings.
    let server = Server::sqlite(&["--insecure"]);
    for (method, path) in ADMIN {
        server
            .send(method, path, &[("origin", "https://evil.example")], "{}")
            .expect_problem(401, "unauthorized");
    }
}

/// Sends an event whose signature is so many seconds old.
pub fn signed(server: &Server, secret: &str, age: i64, body: &str, sent: &str) -> Answer {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = i64::try_from(now).unwrap() - age;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    let v1: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let header = format!("t={time},v1={v1}");
    server.send("POST", "/api/payments/webhook", &[("Stockade-Signature", &header)], sent)
}

#[test]
fn webhooks_must_be_signed_if_a_secret_is_set() {
    let server = with_environment(&[("STOCKADE_WEBHOOK_SECRET", "hush")], &[]);
    let order = server.order(1);
    let body = format!(r#"{{"order_id":{order},"status":"paid","idempotency_key":"e"}}"#);
    let other = body.replace("paid", "failed");
    let unsigned = server.webhook(&body);
    unsigned.expect_problem(401, "unauthorized");
    assert_eq!(unsigned.header("www-authenticate"), Some("Stockade-Signature"));
    for (secret, age, sent) in
        [("guess", 0, &body), ("hush", 0, &other), ("hush", 310, &body), ("hush", -310, &body)]
    {
        signed(&server, secret, age, &body, sent).expect_problem(401, "unauthorized");
    }
    // An unsigned invalid body only learns that it is unsigned.
    server.webhook("{").expect_problem(401, "unauthorized");
    assert_eq!(server.get(&format!("/api/orders/{order}")).field("status"), "pending_payment");
    for age in [0, 290, -290] {
        signed(&server, "hush", age, &body, &body)
            .expect(200, r#"{"message":"ok","result":"<text>"}"#);
    }
    assert_eq!(server.get(&format!("/api/orders/{order}")).field("status"), "paid");
    assert!(!server.log().contains("hush"), "{}", server.log());
}

#[test]
fn it_does_not_listen_beyond_loopback_without_secrets() {
    let folder = TempDir::new().unwrap();
    let complete = [("STOCKADE_API_KEY", "k"), ("STOCKADE_WEBHOOK_SECRET", "s")];
    for listen in ["0.0.0.0:0", "[::]:0"] {
        for variables in
            [&[][..], &complete[..1], &complete[1..], &[("STOCKADE_API_KEY", ""), complete[1]]]
        {
            let ended = program()
                .args(["--listen", listen])
                .envs(variables.iter().copied())
                .current_dir(&folder)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!(ended.status.code(), Some(2), "{listen} {variables:?}: {said}");
            assert!(said.contains("refusing to listen") && said.contains("--insecure"), "{said}");
        }
    }
    assert!(!folder.path().join("shop.db").exists(), "a refused start leaves nothing behind");
    // A proxy in front of a Unix socket forwards remote requests as well.
    let unix_http = format!("--unix-http={}", folder.path().join("http.sock").display());
    for variables in [&[][..], &complete[..1], &complete[1..]] {
        let mut command = program();
        command.args(["--listen=", &unix_http]).envs(variables.iter().copied());
        let ended = command.current_dir(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{variables:?}: {said}");
        assert!(said.contains("refusing to listen") && said.contains("--insecure"), "{said}");
    }
    for (variables, flag) in [(&complete[..], "--no-seed"), (&[], "--insecure")] {
        let mut command = program();
        command.args(["--listen", "0.0.0.0:0", flag]).envs(variables.iter().copied());
        let server = Server::from_command(command, TempDir::new().unwrap());
        assert_eq!(server.get("/healthz").status, 200);
    }
}

#[test]
fn a_secret_given_as_a_flag_is_warned_of_and_not_repeated() {
    let mut command = program();
    command.args([
        "--listen=127.0.0.1:0",
        "--api-key=open-sesame",
        "--store=sqlite::memory:",
        "--demo",
    ]);
    let server = Server::from_command(command, TempDir::new().unwrap());
    wait_until("it is warned of", SOON, || server.log().contains("STOCKADE_API_KEY"));
    assert!(!server.log().contains("sesame"), "{}", server.log());
}
