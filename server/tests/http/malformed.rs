//! Requests that are malformed as HTTP or as JSON.

use std::thread;
use std::time::Duration;

use crate::raw::{Raw, exchange};
use crate::server::Server;

#[test]
fn invalid_json_is_malformed_and_wrong_shape_is_invalid() {
    let server = Server::sqlite(&[]);
    let deep = "[".repeat(60_000);
    for path in [
        "/api/holds",
        "/api/payments/webhook",
        "/api/admin/products",
        "/api/admin/products/1/adjust",
    ] {
        for body in
            ["", " ", "{", "{\"a\"", "hello", "{'a':1}", "{\"a\":1}}", "{} {}", &deep, "\u{feff}{}"]
        {
            server.post_json(path, body).expect_problem(400, "malformed_request");
        }
        for body in [
            "null",
            "1",
            "\"text\"",
            "[]",
            "[[]]",
            "{}",
            r#"{"items":7,"status":[],"name":{},"delta":{}}"#,
        ] {
            server.post_json(path, body).expect_problem(422, "invalid_argument");
        }
        let answer = exchange(&server, format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 11\r\n\r\n{{\"a\":\"").into_bytes().into_iter().chain(*b"\xff\xfe\"}\n").collect::<Vec<_>>());
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("malformed_request"),
            "{answer}"
        );
    }
    // An optional body must still be valid if present.
    server.post_json("/api/holds/1/1", "{").expect_problem(400, "malformed_request");
    server.post_json("/api/holds/1/1", "[60]").expect_problem(422, "invalid_argument");
    server.post_json("/api/holds", r#"{"items":[[1,1]]}"#).expect_problem(422, "invalid_argument");
    server.expect_units([4, 0, 0, 0]);
    server.expect_health();
}

#[test]
fn shape_errors_name_field_and_expected_type() {
    let server = Server::sqlite(&[]);
    for (path, body, says) in [
        ("/api/holds", r#"{"items":7}"#, "items: expected an array, found 7"),
        ("/api/holds", r#"{"items":[{"product_id":1}]}"#, "items[0].quantity is missing"),
        (
            "/api/holds",
            r#"{"items":[{"product_id":1,"quantity":1},{"product_id":1,"quantity":"2"}]}"#,
            "items[1].quantity: expected a whole number from 1 to 4294967295, found a string",
        ),
        ("/api/holds", r#"{"items":[[1,1]]}"#, "items[0]: expected an object, found an array"),
        (
            "/api/holds/1/1",
            r#"{"ttl":"60"}"#,
            "ttl: expected a whole number from 0 to 18446744073709551615, found a string",
        ),
        ("/api/holds/1/1", r#"{"customer":7}"#, "customer: expected a string, found 7"),
        ("/api/holds/1/extend", r#"{"token":"x"}"#, "token: a token is 32 hexadecimal digits"),
        ("/api/admin/products", r#"{"name":"Lamp","price":1}"#, "stock is missing"),
        (
            "/api/admin/products/1/adjust",
            r#"{"delta":"7","reason":"found"}"#,
            "delta: expected a whole number from -9223372036854775808 to 9223372036854775807, \
             found a string",
        ),
        (
            "/api/admin/products",
            r#"{"name":"Lamp","price":1,"stock":-1}"#,
            "stock: expected a whole number from 0 to 9223372036854775807, found -1",
        ),
        (
            "/api/admin/products",
            r#"{"id":-1,"name":"Lamp","price":1,"stock":1}"#,
            "id: expected a whole number from 1 to 9007199254740991, found -1",
        ),
        (
            "/api/holds",
            r#"{"items":[{"product_id":1,"quantity":-1}]}"#,
            "items[0].quantity: expected a whole number from 1 to 4294967295, found -1",
        ),
        (
            "/api/holds",
            r#"{"items":[{"product_id":1,"quantity":4294967296}]}"#,
            "items[0].quantity: expected a whole number from 1 to 4294967295, found 4294967296",
        ),
        (
            "/api/admin/products",
            r#"{"name":"Lamp","price":1E1,"stock":1}"#,
            "price: expected a decimal of at least 0 with at most 4 places, in digits such as \
             19.99, got `1E1`",
        ),
        (
            "/api/payments/webhook",
            r#"{"status":"paid","order_id":1,"amount":-1}"#,
            "amount: expected a decimal of at least 0 with at most 4 places, in digits such as \
             19.99, got `-1`",
        ),
        (
            "/api/admin/products",
            r#"{"name":"Lamp","price":1,"stock":1,"on_sale_from":"1969-12-31T23:59:59Z"}"#,
            "on_sale_from: expected a moment such as 2026-11-27T08:00:00Z, in the years 1970 to \
             9999, got `1969-12-31T23:59:59Z`",
        ),
    ] {
        let refused = server.post_json(path, body);
        refused.expect_problem(422, "invalid_argument").saying("message", says.into());
    }
}

#[test]
fn texts_with_a_nul_are_rejected() {
    let server = Server::sqlite(&[]);
    for (path, body) in [
        ("/api/admin/products", r#"{"name":"Lamp\u0000x","price":1,"stock":1}"#),
        ("/api/admin/products/1/adjust", r#"{"delta":1,"reason":"found\u0000x"}"#),
        ("/api/holds/1/1", r#"{"customer":"ada\u0000x"}"#),
        ("/api/holds", r#"{"items":[{"product_id":1,"quantity":1}],"customer":"\u0000"}"#),
        ("/api/holds/1/1?customer=ada%00x", ""),
        (
            "/api/payments/webhook",
            r#"{"order_id":1,"status":"paid","idempotency_key":"evt\u0000x"}"#,
        ),
    ] {
        server.post_json(path, body).expect_problem(422, "invalid_argument");
    }
    server.expect_units([4, 0, 0, 0]);
}

#[test]
fn errors_mention_no_truncated_number() {
    let server = Server::sqlite(&[]);
    let beyond = "99999999999999999999999";
    for (method, path, status, code) in [
        ("POST", format!("/api/holds/{beyond}/1"), 404, "not_found"),
        ("POST", format!("/api/holds/1/{beyond}"), 422, "invalid_argument"),
        ("POST", format!("/api/holds/{beyond}/2000000"), 422, "quantity_limit"),
        ("GET", format!("/api/products/{beyond}"), 404, "not_found"),
        ("GET", format!("/api/holds/{beyond}"), 404, "not_found"),
        ("DELETE", format!("/api/holds/{beyond}"), 404, "not_found"),
        ("POST", format!("/api/holds/{beyond}/extend"), 404, "not_found"),
        ("GET", format!("/api/orders/{beyond}"), 404, "not_found"),
        ("POST", format!("/api/orders/{beyond}/1"), 404, "not_found"),
        ("POST", format!("/api/holds/1/1?ttl={beyond}"), 422, "invalid_argument"),
        ("GET", format!("/api/admin/events?after={beyond}"), 422, "invalid_argument"),
        ("GET", format!("/api/products?limit={beyond}"), 422, "invalid_argument"),
        ("GET", "/api/products?limit=99999999999".to_owned(), 422, "invalid_argument"),
    ] {
        let refused = server.send(method, &path, &[], "");
        refused.expect_problem(status, code);
        let says = refused.json()["message"].as_str().unwrap().to_owned();
        for number in ["18446744073709551615", "4294967295"] {
            let is_a_bound = says.contains(&format!("at most {number}"));
            assert!(is_a_bound || !says.contains(number), "{method} {path}: {says}");
        }
    }
}

#[test]
fn an_unknown_field_of_a_body_is_named_and_nothing_is_done() {
    let server = Server::sqlite(&[]);
    let units = server.units();
    let held = server.hold(1);
    for (path, body, name) in [
        ("/api/holds/1/1".to_owned(), r#"{"qty":1}"#, "qty"),
        (
            "/api/holds".to_owned(),
            r#"{"items":[{"product_id":1,"quantity":1,"price":1}]}"#,
            "items[0].price",
        ),
        (
            "/api/holds".to_owned(),
            r#"{"items":[{"product_id":1,"quantity":1}],"lines":[]}"#,
            "lines",
        ),
        (format!("/api/holds/{held}/extend"), r#"{"quantity":2}"#, "quantity"),
        (format!("/api/orders/{held}/1"), r#"{"quantity":1}"#, "quantity"),
        (
            "/api/admin/products".to_owned(),
            r#"{"name":"Mug","price":1,"stock":1,"colour":"red"}"#,
            "colour",
        ),
        (
            "/api/admin/products/1/adjust".to_owned(),
            r#"{"delta":1,"reason":"more","by":"me"}"#,
            "by",
        ),
    ] {
        let problem = server.post_json(&path, body);
        problem.expect_problem(422, "invalid_argument");
        let why = problem.field("message").to_owned();
        assert!(why.starts_with(&format!("{name} is unknown here")), "{path} {body}: {why}");
    }
    let [stock, held, pending, sold] = units;
    server.expect_units([stock - 1, held + 1, pending, sold]);
}

#[test]
fn a_body_where_none_is_read_is_refused_and_nothing_is_done() {
    let server = Server::sqlite(&[]);
    let held = server.hold(1);
    let cart = server.post_json("/api/holds", r#"{"items":[{"product_id":1,"quantity":1}]}"#);
    let cart = cart.json()["cart_id"].as_u64().unwrap();
    server.webhook(r#"{"status":"paid","order_id":4711,"idempotency_key":"e1"}"#);
    let units = server.units();
    let paths = [
        ("POST", "/api/admin/sweep".to_owned()),
        ("DELETE", format!("/api/holds/{held}")),
        ("DELETE", format!("/api/carts/{cart}")),
        ("DELETE", "/api/admin/products/1".to_owned()),
        ("DELETE", "/api/admin/payments/waiting/e1".to_owned()),
    ];
    let send = |method: &str, path: &str, body: &str| {
        let length = body.len();
        exchange(
            &server,
            format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-length: {length}\r\n\r\n{body}"
            ),
        )
    };
    for (method, path) in &paths {
        for (body, status, says) in [
            (r#"{"foo":1}"#, 422, "foo is unknown here"),
            ("[]", 422, "expected an object, found an array"),
            ("garbage", 400, "malformed_request"),
        ] {
            let answer = send(method, path, body);
            let is_refused = answer.starts_with(&format!("HTTP/1.1 {status} "));
            assert!(is_refused && answer.contains(says), "{method} {path} {body}: {answer}");
        }
    }
    server.expect_units(units);
    for ((method, path), body) in paths.iter().zip(["{}", "", "{}", "", "{}"]) {
        let answer = send(method, path, body);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{method} {path}: {answer}");
    }
}

#[test]
fn unknown_paths_and_methods_are_rejected() {
    let server = Server::sqlite(&[]);
    for path in [
        "/",
        "/api",
        "/api/products/",
        "/api/products/1/",
        "/api/holds//1",
        "/nope",
        "/api/holds/1/2/3",
        "/HEALTHZ",
        "/%68ealthz",
    ] {
        server.get(path).expect_problem(404, "not_found");
    }
    for (method, path, allow) in [
        ("PUT", "/api/products/1", "GET, HEAD"),
        ("POST", "/api/products", "GET, HEAD"),
        ("GET", "/api/holds", "POST"),
        ("POST", "/api/holds/1", "GET, HEAD, DELETE"),
        ("GET", "/api/holds/1/2", "POST"),
        ("DELETE", "/api/orders/1/1", "POST"),
        ("GET", "/api/payments/webhook", "POST"),
        ("OPTIONS", "/api/admin/sweep", "POST"),
        ("POST", "/metrics", "GET, HEAD"),
    ] {
        let answer = server.send(method, path, &[], "");
        answer.expect_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    let answer = exchange(
        &server,
        "BREW /api/products/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::sqlite(&[]);
    let whole = server.get("/api/products/1");
    let head = server.send("HEAD", "/api/products/1", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(whole.body.len().to_string().as_str()));
    assert_eq!(server.send("HEAD", "/api/products/77", &[], "").status, 404);
}

#[test]
fn invalid_http_is_rejected_or_closed_without_effect() {
    let server = Server::sqlite(&[]);
    for (bytes, answered) in [
        (&b"\x00\x01\x02\x03\r\n\r\n"[..], "HTTP/1.1 400 "),
        (b"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /api/products/1 HTTP/1.1\r\nhost x\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /api/holds/\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n", "HTTP/1.1 400 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client hello\r\n\r\n", "HTTP/1.1 400 "),
        (b"POST /api/holds HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n", "HTTP/1.1 400 "),
        (b"POST /api/holds HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "HTTP/1.1 400 "),
        (b"POST /api/holds HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 "),
    ] {
        let answer = exchange(&server, bytes);
        assert!(answer.starts_with(answered), "{bytes:?} was answered {answer:?}");
    }
    let long = format!(
        "GET /api/products/1 HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n",
        "y".repeat(100_000)
    );
    let answer = exchange(&server, long);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!(
        "GET /api/products/1 HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "a: b\r\n".repeat(200)
    );
    assert!(exchange(&server, many).starts_with("HTTP/1.1 431 "));
    server.expect_health();
}

#[test]
fn non_utf8_keys_in_headers_are_rejected() {
    let server = Server::sqlite(&[]);
    let answer = exchange(&server, b"POST /api/holds/1/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nidempotency-key: \xff\xfe\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 422 ") && answer.contains("invalid_argument"), "{answer}");
    // Non-ASCII text is a valid key.
    let request = "POST /api/holds/1/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nidempotency-key: \u{437}\u{430}\u{43a}\u{430}\u{437}\r\n\r\n";
    assert!(exchange(&server, request).starts_with("HTTP/1.1 200 "));
    assert!(exchange(&server, request).contains("idempotent-replayed: true"));
    server.expect_units([3, 1, 0, 0]);
}

#[test]
fn chunked_bodies_and_pipelining_work() {
    let server = Server::sqlite(&[]);
    let mut raw = Raw::connect(&server);
    raw.send("POST /api/holds HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    for piece in [r#"{"items":[{"produc"#, r#"t_id":1,"quan"#, r#"tity":1}]}"#, ""] {
        raw.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    assert!(raw.answer().contains("Holded Successfully"));
    // Pipelined: both are answered, in order.
    let get = "GET /api/products/1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    raw.send(format!("{get}GET /nope HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    assert!(raw.answer().starts_with("HTTP/1.1 200 "));
    assert!(raw.answer().starts_with("HTTP/1.1 404 "));
    // The content type is ignored: providers send all kinds.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(server.send("POST", "/api/holds/1/1", &form, r#"{"ttl":60}"#).status, 200);
    // An absolute target, as a proxy sends it.
    let absolute = format!(
        "GET http://{}/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        server.address
    );
    assert!(exchange(&server, absolute).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_rejection_keeps_the_connection_open() {
    let server = Server::sqlite(&[]);
    let mut raw = Raw::connect(&server);
    for (line, more, status) in [
        ("POST /no/such/path", "a: b", "404"),
        ("PUT /api/products/1", "a: b", "405"),
        ("POST /api/holds/1/0", "a: b", "422"),
        ("POST /api/admin/sweep", "origin: https://evil.example", "403"),
        ("GET /api/products/1", "a: b", "200"),
    ] {
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
        raw.send(head + "content-length: 13\r\n\r\n");
        // The server gets every opportunity to respond before the body arrives.
        thread::sleep(Duration::from_millis(20));
        raw.send(r#"{"some":true}"#);
        let answer = raw.answer();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    }
}
