//! Web pages of other origins.

use crate::callers::{bearer, with_keys};
use crate::raw::exchange;
use crate::server::Server;

const SHOP: &str = "https://shop.example";
const EVIL: &str = "https://evil.example";

/// Paths that web pages may call.
const FOR_PAGES: &[(&str, &str)] = &[
    ("/api/products", "GET, HEAD"),
    ("/api/products/1", "GET, HEAD"),
    ("/api/holds", "POST"),
    ("/api/holds/batch", "POST"),
    ("/api/holds/1/1", "POST"),
    ("/api/holds/1", "GET, HEAD, DELETE"),
    ("/api/orders/1/1", "POST"),
    ("/api/admin/sweep", "POST"),
    ("/openapi.json", "GET, HEAD"),
];

/// Paths that no web page may call.
const FOR_NO_PAGE: &[&str] =
    &["/api/payments/webhook", "/engine/v1", "/healthz", "/readyz", "/metrics", "/nowhere"];

/// Sends a preflight; returns the response in lower case.
fn preflight(server: &Server, path: &str, origin: &str) -> String {
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: {}\r\norigin: {origin}\r\n\
         access-control-request-method: POST\r\n\
         access-control-request-headers: authorization, idempotency-key\r\n\
         sec-fetch-site: cross-site\r\nconnection: close\r\n\r\n",
        server.address
    );
    exchange(server, request).to_lowercase()
}

/// Starts a server with both secrets and these origins.
fn start(origins: &str) -> Server {
    with_keys(&["--webhook-secret=hush", &format!("--cors-origins={origins}")])
}

#[test]
fn preflights_of_named_origins_are_answered() {
    let server = start(&format!("http://localhost:3000,{SHOP}"));
    for (path, methods) in FOR_PAGES {
        for origin in [SHOP, "http://localhost:3000"] {
            let answer = preflight(&server, path, origin);
            assert!(answer.starts_with("http/1.1 204 no content\r\n"), "{path}: {answer}");
            for header in [
                &format!("access-control-allow-origin: {origin}"),
                &format!("access-control-allow-methods: {}", methods.to_lowercase()),
                "access-control-allow-headers: authorization, content-type, hold-token, \
                 idempotency-key, if-match, x-request-id",
                "access-control-max-age: 7200",
                "vary: origin",
            ] {
                assert!(answer.contains(&format!("\r\n{header}\r\n")), "{path}: {answer}");
            }
            assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
        }
        let answer = preflight(&server, path, EVIL);
        assert!(answer.starts_with("http/1.1 405 "), "{path}: {answer}");
        assert!(!answer.contains("access-control-"), "{path}: {answer}");
    }
    for path in FOR_NO_PAGE {
        let answer = preflight(&server, path, SHOP);
        assert!(answer.starts_with("http/1.1 40"), "{path}: {answer}");
        assert!(!answer.contains("access-control-"), "{path}: {answer}");
    }
    // Without what makes it a preflight it is a method like any other.
    let origin = [("origin", SHOP)];
    server.send("OPTIONS", "/api/products", &origin, "").expect_problem(405, "method_not_allowed");
}

#[test]
fn pages_of_named_origins_read_every_response() {
    let server = start(SHOP);
    let key = bearer("boss");
    let cases = [
        ("POST", "/api/holds/1/1", 200),
        ("POST", "/api/holds/1/99", 409),
        ("GET", "/api/products/77", 404),
        ("GET", "/api/admin/audit", 401),
        ("GET", "/openapi.json", 200),
    ];
    for (method, path, status) in cases {
        let of = |origin| server.send(method, path, &[("origin", origin)], "");
        let answer = of(SHOP);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP));
        let exposed = "idempotent-replayed, retry-after, x-request-id";
        assert_eq!(answer.header("access-control-expose-headers"), Some(exposed));
        // Credentials of the browser are never asked for: a key is in a header.
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        for answer in [of(EVIL), server.send(method, path, &[], "")] {
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
            assert_eq!(answer.header("vary"), Some("origin"), "{path}");
        }
    }
    let headers = [("origin", SHOP), ("authorization", &*key)];
    assert_eq!(server.send("GET", "/api/admin/audit", &headers, "").status, 200);
    for path in FOR_NO_PAGE {
        let answer = server.send("GET", path, &[("origin", SHOP)], "");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
}

#[test]
fn all_origins_are_let_in_by_a_star() {
    let server = start("*");
    let answer = preflight(&server, "/api/holds", EVIL);
    assert!(answer.starts_with("http/1.1 204 "), "{answer}");
    assert!(answer.contains("\r\naccess-control-allow-origin: *\r\n"), "{answer}");
    let answer = server.send("GET", "/api/products", &[("origin", EVIL)], "");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[test]
fn without_secrets_a_named_origin_is_let_in_and_a_star_is_not() {
    let server = Server::sqlite(&[&format!("--cors-origins={SHOP}")]);
    assert!(preflight(&server, "/api/holds/1/1", SHOP).starts_with("http/1.1 204 "));
    let page = [("origin", SHOP), ("sec-fetch-site", "cross-site")];
    assert_eq!(server.send("POST", "/api/holds/1/1", &page, "").status, 200);
    // Nobody pays or operates from a page.
    let paid = r#"{"status":"paid","order_id":1}"#;
    server.send("POST", "/api/payments/webhook", &page, paid).expect_problem(403, "forbidden");
    server.send("POST", "/api/admin/sweep", &page, "").expect_problem(401, "unauthorized");
    for foreign in [("origin", EVIL), ("sec-fetch-site", "cross-site"), ("host", "evil.example")] {
        server.send("POST", "/api/holds/1/1", &[foreign], "").expect_problem(403, "forbidden");
    }
    let server = Server::sqlite(&["--cors-origins=*"]);
    server.send("POST", "/api/holds/1/1", &page, "").expect_problem(403, "forbidden");
    assert!(preflight(&server, "/api/holds/1/1", SHOP).starts_with("http/1.1 403 "));
}

#[test]
fn without_the_setting_no_page_is_let_in() {
    let server = with_keys(&["--webhook-secret=hush"]);
    let answer = preflight(&server, "/api/holds/1/1", SHOP);
    assert!(answer.starts_with("http/1.1 405 "), "{answer}");
    let answers = [
        server.send("GET", "/api/products", &[("origin", SHOP)], ""),
        server.send("GET", "/api/products", &[], ""),
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.header("vary")), (200, None));
        let name = |name: &str| name.starts_with("access-control-");
        assert!(!answer.headers.keys().any(|header| name(header.as_str())), "{answer:?}");
    }
}
