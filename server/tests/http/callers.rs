//! Who did it: named API keys with scopes, and what each caller's idempotency
//! keys and hold tokens are worth to others.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use stockade_testkit::wait_until;
use tempfile::TempDir;

use crate::answer::Answer;
use crate::server::{SOON, Server, program, write};

/// A key of each scope, and a second seller.
const KEYS: &str = "feed:read:secret-of-the-feed,shop:sell:secret-of-the-shop,\
                    other:sell:secret-of-the-other,boss:operate:secret-of-the-boss";

const SCOPES: &[&str] = &["read", "sell", "operate"];

/// Requests with the scope that each needs.
pub const REQUESTS: &[(&str, &str, &str)] = &[
    ("GET", "/api/products", "read"),
    ("GET", "/api/products/1", "read"),
    ("GET", "/api/holds/77", "read"),
    ("GET", "/api/orders/77", "read"),
    ("POST", "/api/holds/1/1", "sell"),
    ("POST", "/api/holds", "sell"),
    ("POST", "/api/holds/batch", "sell"),
    ("DELETE", "/api/holds/77", "sell"),
    ("POST", "/api/holds/77/extend", "sell"),
    ("POST", "/api/holds/77/quantity", "sell"),
    ("GET", "/api/carts/77", "read"),
    ("DELETE", "/api/carts/77", "sell"),
    ("POST", "/api/carts/77/extend", "sell"),
    ("POST", "/api/orders/77/1", "sell"),
    ("POST", "/api/orders", "sell"),
    ("POST", "/api/orders/77/extend", "sell"),
    ("POST", "/api/orders/77/cancel", "sell"),
    ("POST", "/api/orders/77/payment-reference", "sell"),
    ("POST", "/api/orders/77/refund", "operate"),
    ("POST", "/api/orders/77/restock", "operate"),
    ("GET", "/api/admin/audit", "read"),
    ("GET", "/api/admin/events", "read"),
    ("GET", "/api/admin/holds", "read"),
    ("GET", "/api/admin/orders", "read"),
    ("GET", "/api/admin/payments/waiting", "read"),
    ("DELETE", "/api/admin/payments/waiting/none", "operate"),
    ("POST", "/api/admin/customers/erase", "operate"),
    ("POST", "/api/admin/products", "operate"),
    ("PUT", "/api/admin/products/88", "operate"),
    ("PATCH", "/api/admin/products/88", "operate"),
    ("DELETE", "/api/admin/products/88", "operate"),
    ("POST", "/api/admin/products/1/adjust", "operate"),
    ("POST", "/api/admin/sweep", "operate"),
];

/// Whether a request is refused to callers without a key wherever keys are set.
fn wants_key(path: &str) -> bool {
    path.starts_with("/api/admin/")
        || (path.starts_with("/api/orders/77/") && path != "/api/orders/77/1")
}

/// The header of a key of [`KEYS`].
pub fn bearer(name: &str) -> String {
    format!("Bearer secret-of-the-{name}")
}

/// Starts a server with [`KEYS`], and 4 units of product 1.
pub fn with_keys(flags: &[&str]) -> Server {
    let keys = format!("--api-keys={KEYS}");
    let server = Server::sqlite_locked(&[&[&*keys], flags].concat());
    let product = r#"{"name":"Concert ticket","price":200,"stock":4}"#;
    let made = send(&server, "boss", "POST", "/api/admin/products", &[], product);
    assert_eq!((made.status, made.number("id")), (201, 1), "{}", made.body);
    server
}

/// Sends a request with a key; an empty name sends none.
#[track_caller]
pub fn send(
    server: &Server,
    name: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let key = bearer(name);
    let mut all = headers.to_vec();
    if !name.is_empty() {
        all.push(("authorization", &key));
    }
    server.send(method, path, &all, body)
}

#[test]
fn each_scope_includes_the_ones_before_and_the_missing_one_is_named() {
    let server = with_keys(&[]);
    for (method, path, needed) in REQUESTS {
        let place = |scope| SCOPES.iter().position(|one| *one == scope);
        for (name, held) in [("feed", "read"), ("shop", "sell"), ("boss", "operate")] {
            let answer = send(&server, name, method, path, &[], "{}");
            if place(held) >= place(needed) {
                assert!(!matches!(answer.status, 401 | 403), "{name} {path}: {}", answer.body);
                continue;
            }
            answer.expect_problem(403, "forbidden");
            let why = answer.json()["message"].as_str().unwrap().to_owned();
            assert!(why.contains(&format!("the scope {needed}, and {name}")), "{why}");
        }
        let keyless = send(&server, "", method, path, &[], "{}");
        if wants_key(path) {
            keyless.expect_problem(401, "unauthorized");
            assert!(keyless.body.contains(needed), "{}", keyless.body);
        } else {
            assert!(!matches!(keyless.status, 401 | 403), "{path}: {}", keyless.body);
        }
        // A wrong key is not no key.
        send(&server, "guess", method, path, &[], "{}").expect_problem(401, "unauthorized");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(send(&server, "guess", "GET", path, &[], "").status, 200, "{path}");
    }
    // The header may be for the provider's own use.
    let paid = r#"{"status":"paid","order_id":77}"#;
    assert_eq!(send(&server, "guess", "POST", "/api/payments/webhook", &[], paid).status, 202);
    // The log names the caller, and never the secret.
    wait_until("the log names the shop", SOON, || server.log().contains("caller=\"shop\""));
    assert!(!server.log().contains("secret-of"), "{}", server.log());
}

#[test]
fn keyless_callers_do_what_the_setting_lets_them() {
    for (anonymous, served) in [("sell", 15), ("read", 5), ("none", 0)] {
        let server = with_keys(&[&format!("--anonymous={anonymous}")]);
        let mut count = 0;
        for (method, path, _) in REQUESTS {
            let answer = send(&server, "", method, path, &[], "{}");
            if answer.status == 401 {
                answer.expect_problem(401, "unauthorized");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"stockade\""));
            } else {
                count += 1;
            }
        }
        assert_eq!(count, served, "{anonymous}");
        for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
            assert_eq!(server.get(path).status, 200, "{path}");
        }
        assert_eq!(server.webhook(r#"{"status":"paid","order_id":77}"#).status, 202);
    }
}

/// Ends the program by its settings; returns what it said.
fn refused(folder: &TempDir, flags: &[&str]) -> String {
    let mut command = program();
    command.args(flags).args(["--listen=127.0.0.1:0", "--store=sqlite:new.db"]);
    let ended = command.current_dir(folder).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{flags:?}: {said}");
    assert!(!folder.path().join("new.db").exists(), "a refused start leaves nothing behind");
    said
}

#[test]
fn keys_are_read_from_a_file() {
    let folder = TempDir::new().unwrap();
    let content =
        "# who may do what\n\nfeed:read:secret-of-the-feed\n  boss:operate:secret-of-the-boss\r\n";
    let path = write(folder.path(), "keys", content);
    let start = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = program();
        command
            .args(["--listen=127.0.0.1:0", "--store=sqlite::memory:", "--demo"])
            .env("STOCKADE_API_KEYS_FILE", &path)
            .env("STOCKADE_API_KEYS", "shop:sell:secret-of-the-shop")
            .env("STOCKADE_API_KEY", "sesame");
        Server::from_command(command, TempDir::new().unwrap())
    };
    let server = start(0o600);
    let status = |name: &str| send(&server, name, "POST", "/api/admin/sweep", &[], "").status;
    assert_eq!(["feed", "shop", "boss", "guess", ""].map(status), [403, 403, 200, 401, 401]);
    let old = [("authorization", "Bearer sesame")];
    assert_eq!(server.send("POST", "/api/admin/sweep", &old, "").status, 200);
    assert!(!server.log().contains("WARN"), "{}", server.log());
    let server = start(0o644);
    wait_until("the mode is warned of", SOON, || server.log().contains("chmod 600"));
}

#[test]
fn malformed_keys_are_refused_at_the_start_by_line_and_without_the_secret() {
    let folder = TempDir::new().unwrap();
    for (content, says) in [
        ("# nothing\n", "has no key"),
        ("\n# a\nshop:sell\n", ", line 3: expected name:scope:secret"),
        ("a:read:hush-hush-hush-hush\nb:buy:hush-hush-hush-hush\n", ", line 2: expected the scope"),
        ("shop:sell:hush\n", ", line 1: the secret of a key has at least 16"),
        ("a:read:hush-hush-hush-1\na:sell:hush-hush-hush-2\n", "two API keys have the name a"),
        ("boss:read:hush-hush-hush-1\n", "two API keys have the name boss"),
    ] {
        let path = write(folder.path(), "keys", content);
        let said = refused(
            &folder,
            &[&format!("--api-keys-file={path}"), "--api-keys=boss:operate:secret-of-the-boss"],
        );
        assert!(said.contains(says) && !said.contains("hush"), "{said}");
    }
    let said = refused(&folder, &["--api-keys-file=/no/such/file"]);
    assert!(said.contains("api_keys_file /no/such/file: "), "{said}");
    let said = refused(&folder, &["--api-keys=shop:sell:hush"]);
    assert!(said.contains("api_keys: key 1: ") && !said.contains("hush"), "{said}");
    let said = refused(&folder, &["--anonymous=none"]);
    assert!(said.contains("anonymous"), "{said}");
}

/// The callers of one idempotency key.
const CALLERS: &[&str] = &["", "shop", "other", "boss"];

#[test]
fn an_idempotency_key_is_worth_nothing_to_other_callers() {
    let server = with_keys(&[]);
    let longest = "k".repeat(255);
    let hold = |name, key| {
        let headers = [("idempotency-key", key)];
        send(&server, name, "POST", "/api/holds/1/1?ttl=60", &headers, "")
    };
    send(
        &server,
        "boss",
        "POST",
        "/api/admin/products/1/adjust",
        &[],
        r#"{"delta":96,"reason":"delivery"}"#,
    );
    let mut tokens = Vec::new();
    for key in ["cart-77", "shop/cart-77", "/cart-77", &longest] {
        for name in CALLERS {
            let first = hold(name, key);
            assert_eq!((first.status, first.is_replayed()), (200, false), "{name}: {}", first.body);
            let again = hold(name, key);
            assert_eq!((&again.body, again.is_replayed()), (&first.body, true), "{name} {key}");
            tokens.push(first.field("token").to_owned());
        }
    }
    let count = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), count);
    server.expect_units([84, 16, 0, 0]);
    // Orders, carts, adjustments and lines of a batch likewise.
    let line = r#"{"product_id":1,"quantity":1,"ttl":60,"idempotency_key":"cart-77"}"#;
    let cart = r#"{"items":[{"product_id":1,"quantity":1}]}"#;
    let key = [("idempotency-key", "again")];
    for name in CALLERS {
        let batch = send(&server, name, "POST", "/api/holds/batch", &[], line);
        // The line repeats the hold that its caller made alone.
        let answer: Value = serde_json::from_str(&batch.body).unwrap();
        assert_eq!(
            (&answer["status"], &answer["replayed"]),
            (&json!(200), &json!(true)),
            "{answer}"
        );
        assert_eq!(answer["hold"]["token"], hold(name, "cart-77").field("token"));
        let made = send(&server, name, "POST", "/api/holds", &key, cart);
        assert_eq!((made.status, made.is_replayed()), (200, false), "{name}: {}", made.body);
        let path = format!("/api/orders/{}/1", made.number("id"));
        let key = [("idempotency-key", "order")];
        let ordered = send(&server, name, "POST", &path, &key, "");
        assert_eq!((ordered.status, ordered.is_replayed()), (200, false), "{name}");
    }
    server.expect_units([80, 16, 4, 0]);
    let path = "/api/admin/products/1/adjust";
    let adjust = |headers: &[(&str, &str)]| {
        let key = [("idempotency-key", "delivery-7")];
        let body = r#"{"delta":1,"reason":"delivery"}"#;
        server.send("POST", path, &[headers, &key].concat(), body).is_replayed()
    };
    let boss = bearer("boss");
    let boss = [("authorization", &*boss)];
    assert_eq!([adjust(&boss), adjust(&boss)], [false, true]);
}

#[test]
fn without_a_key_guessable_idempotency_keys_are_refused_where_tokens_are_required() {
    let server = with_keys(&["--require-hold-token"]);
    let (short, long) = ("k".repeat(21), "k".repeat(22));
    let hold = |name, key: &str| {
        send(&server, name, "POST", "/api/holds/1/1", &[("idempotency-key", key)], "")
    };
    hold("", &short).expect_problem(422, "invalid_argument");
    assert_eq!((hold("", &long).status, hold("shop", "k").status), (200, 200));
    let line = |name, key: &str| {
        let line = format!(r#"{{"product_id":1,"quantity":1,"idempotency_key":"{key}"}}"#);
        let batch = send(&server, name, "POST", "/api/holds/batch", &[], &line);
        serde_json::from_str::<Value>(&batch.body).unwrap()["status"].as_u64().unwrap()
    };
    assert_eq!([line("", &short), line("", &long), line("shop", "k")], [422, 200, 200]);
    // The provider chooses the keys of its events.
    let event = r#"{"status":"paid","order_id":77,"idempotency_key":"evt-1"}"#;
    assert_eq!(server.webhook(event).status, 202);
    server.expect_units([2, 2, 0, 0]);
}

#[test]
fn an_order_is_changed_by_the_key_that_made_it_or_an_operator() {
    let server = with_keys(&[]);
    let ordered = |name: &str| {
        let held = send(&server, name, "POST", "/api/holds/1/1", &[], "").number("id");
        let path = format!("/api/orders/{held}/1");
        send(&server, name, "POST", &path, &[], r#"{"metadata":{"gift":true}}"#).number("id")
    };
    let (of_shop, of_buyer) = (ordered("shop"), ordered(""));
    let act = |name, order: u64, what, body| {
        send(&server, name, "POST", &format!("/api/orders/{order}/{what}"), &[], body)
    };
    let reference = r#"{"provider":"stripe","reference":"pi_1"}"#;
    let acts = [("extend", ""), ("payment-reference", reference), ("cancel", "")];
    for (what, body) in acts {
        for (name, order) in [("other", of_shop), ("shop", of_buyer)] {
            act(name, order, what, body).expect_problem(403, "forbidden");
        }
        let done = act("shop", of_shop, what, body);
        assert_eq!(done.status, 200, "{}", done.body);
        act("other", 4711, what, body).expect_problem(404, "not_found");
    }
    assert_eq!(act("boss", of_buyer, "cancel", "").status, 200);
    let read = |name| send(&server, name, "GET", &format!("/api/orders/{of_shop}"), &[], "").json();
    let of_shop = read("feed");
    let shown = |order: &Value| (order["created_by"].clone(), order["metadata"].clone());
    assert_eq!(shown(&of_shop["order"]), (json!("shop"), json!({"gift": true})));
    assert_eq!(shown(&read("")["order"]), (Value::Null, Value::Null), "a buyer sees neither");
    let events = send(&server, "feed", "GET", "/api/admin/events", &[], "").json();
    let told = |kind: &str| {
        let events = events["events"].as_array().unwrap().iter();
        let of_kind = events.filter(|event| event["type"] == kind);
        of_kind.map(|event| event["actor"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("product.created"), ["boss"]);
    assert_eq!(told("order.created"), [json!("shop"), Value::Null]);
    assert_eq!(told("order.cancelled"), ["shop", "boss"]);
}

#[test]
fn metadata_of_a_hold_is_for_who_made_it_and_the_shop() {
    let server = with_keys(&[]);
    let body = r#"{"metadata":{"seat": "A1"}}"#;
    let made = send(&server, "", "POST", "/api/holds/1/1", &[], body);
    assert!(made.body.contains(r#""metadata":{"seat": "A1"}"#), "as it came: {}", made.body);
    let path = format!("/api/holds/{}", made.number("id"));
    let get = |name| send(&server, name, "GET", &path, &[], "");
    assert!(!get("").body.contains("metadata"));
    assert!(get("feed").body.contains(r#"{"seat": "A1"}"#));
    let line = r#"{"product_id":1,"quantity":1,"metadata":{"seat": "A2"}}"#;
    let batch = send(&server, "", "POST", "/api/holds/batch", &[], line);
    assert!(batch.body.contains(r#"{"seat": "A2"}"#), "{}", batch.body);
    let listed = send(&server, "feed", "GET", "/api/admin/holds", &[], "");
    assert!(listed.body.contains("A1") && listed.body.contains("A2"), "{}", listed.body);
    let large = format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(4_100));
    for bad in [r#"{"metadata":[1]}"#, r#"{"metadata":"a"}"#, &large] {
        send(&server, "", "POST", "/api/holds/1/1", &[], bad)
            .expect_problem(422, "invalid_argument");
    }
}

#[test]
fn an_operator_releases_any_hold_without_its_token() {
    let server = with_keys(&["--require-hold-token"]);
    let hold = server.hold(2);
    let path = format!("/api/holds/{hold}");
    let release = |name, headers: &[_]| send(&server, name, "DELETE", &path, headers, "");
    for name in ["", "shop"] {
        release(name, &[]).expect_problem(401, "unauthorized");
    }
    let wrong = [("hold-token", "00000000000000000000000000000001")];
    release("boss", &wrong).expect_problem(401, "unauthorized");
    // Releasing alone: to order is to act for the buyer.
    for path in [format!("{path}/extend"), format!("/api/orders/{hold}/1")] {
        send(&server, "boss", "POST", &path, &[], "").expect_problem(401, "unauthorized");
    }
    server.expect_units([2, 2, 0, 0]);
    for _ in 0..2 {
        let released = release("boss", &[]);
        assert_eq!((released.status, released.field("status")), (200, "released"));
    }
    server.expect_units([4, 0, 0, 0]);
    send(&server, "boss", "DELETE", "/api/holds/77", &[], "").expect_problem(404, "not_found");
}
