//! TLS, passwords, and servers that let nobody in.

use std::path::Path;

use stockade::Engine;
use stockade_testkit::{Certificates, Identity};

use crate::server::{ENCODED, Make, PASSWORD, Server};
use crate::work::{open, works};

fn start(make: Make, identity: &Identity) -> Server {
    let flags = identity.sql_flags();
    Server::start(make, &flags.each_ref().map(String::as_str))
}

fn refusal(url: &str) -> String {
    let error = open(url).map(drop).expect_err(url);
    let said = error.to_string();
    for secret in [PASSWORD, ENCODED, "s3cret", "wrongpw"] {
        assert!(!said.contains(secret), "{said}");
    }
    println!("{}: {said}", error.code());
    said
}

fn every_way_of_tls(make: Make) {
    let certificates = Certificates::new();
    let server = start(make, &certificates.misnamed());
    let database = server.database();
    let url = |query: &str| server.url(&database, query);
    let ca = certificates.ca().display().to_string();
    for query in [
        String::new(),
        "?ssl-mode=PREFERRED".to_owned(),
        "?ssl-mode=REQUIRED".to_owned(),
        format!("?ssl-mode=VERIFY_CA&ssl-ca={ca}"),
        format!("?ssl-ca={ca}"),
        "?ssl-mode=DISABLED".to_owned(),
    ] {
        let engine = open(&url(&query)).unwrap_or_else(|error| panic!("{make:?} {query}: {error}"));
        works(&engine).unwrap_or_else(|error| panic!("{make:?} {query}: {error}"));
        if make == Make::MySql {
            let kind = if query.contains("DISABLED") { "TCP/IP" } else { "SSL/TLS" };
            let kinds = server.query(
                "SELECT connection_type FROM performance_schema.threads \
                 WHERE processlist_user = 'shop'",
            );
            assert!(kinds.lines().any(|line| line == kind), "{query}: {kinds}");
        }
    }
    let other = certificates.foreign_ca().display().to_string();
    let said = refusal(&url(&format!("?ssl-mode=VERIFY_CA&ssl-ca={other}")));
    assert!(said.contains("ssl-ca"), "{said}");
    let said = refusal(&url("?ssl-mode=VERIFY_CA"));
    assert!(said.contains("ssl-ca"), "{said}");
    let said = refusal(&url(&format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}")));
    assert!(said.contains("another name") && said.contains("VERIFY_CA"), "{said}");
    // An account that asks for a client's certificate.
    server.query("ALTER USER shop@'%' REQUIRE X509");
    let said = refusal(&url("?ssl-mode=REQUIRED"));
    assert!(said.contains("ssl-cert"), "{said}");
    let Identity { cert, key, .. } = certificates.client();
    let (cert, key) = (cert.display(), key.display());
    let engine = open(&url(&format!("?ssl-mode=REQUIRED&ssl-cert={cert}&ssl-key={key}")));
    works(&engine.expect("a certificate is shown")).expect("works");
    // One that asks for TLS.
    server.query("ALTER USER shop@'%' REQUIRE SSL");
    let said = refusal(&url("?ssl-mode=DISABLED"));
    assert!(said.contains("ssl-mode"), "{said}");
    works(&open(&url("")).expect("encrypted where it can be")).expect("works");
    // A server that takes nothing else.
    server.query("ALTER USER shop@'%' REQUIRE NONE");
    server.query("SET GLOBAL require_secure_transport = ON");
    let said = refusal(&url("?ssl-mode=DISABLED"));
    assert!(said.contains("ssl-mode=REQUIRED"), "{said}");
}

fn a_name_that_is_right(make: Make) {
    let certificates = Certificates::new();
    let server = start(make, &certificates.server());
    let ca = certificates.ca().display().to_string();
    let url = server.url(&server.database(), &format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}"));
    works(&open(&url).expect("its name is right")).expect("works");
    works(&open(&url.replace("127.0.0.1", "localhost")).expect("so is this")).expect("works");
}

/// What every server refuses at the start, told with the setting to change.
fn refusals(make: Make) {
    let server = Server::start(make, &[]);
    let database = server.database();
    let port = server.port();
    let url = server.url(&database, "");
    for (url, words) in [
        (url.replace(ENCODED, "wrongpw"), "rejects user `shop` or the password"),
        (url.replace("shop:", "nobody:"), "rejects user `nobody`"),
        (format!("{url}_not_there"), "there is no database"),
        (url.replace(&port.to_string(), "1"), "nothing listens at 127.0.0.1:1"),
        (
            url.replace("127.0.0.1", "no.such.host.invalid"),
            "cannot resolve the host `no.such.host.invalid`",
        ),
        (format!("{url}?socket=/nowhere/my.sock"), "check `socket`"),
    ] {
        let said = refusal(&url);
        assert!(said.contains(words), "{words}: {said}");
    }
    server.query("REVOKE ALL PRIVILEGES ON *.* FROM shop@'%'");
    let said = refusal(&url);
    assert!(said.contains(&format!("no privilege on database `{database}`")), "{said}");
    server.query(&format!("GRANT SELECT ON {database}.* TO shop@'%'"));
    let said = refusal(&url);
    assert!(said.contains("lacks a privilege"), "{said}");
    server.query(&format!("GRANT ALL ON {database}.* TO shop@'%'"));
    // Tables that are there, and a right of each batch that is not.
    drop(open(&url).expect("makes the tables"));
    for right in ["INSERT", "UPDATE", "DELETE"] {
        server.query(&format!("REVOKE {right} ON {database}.* FROM shop@'%'"));
        let said = refusal(&url);
        assert!(said.contains("lacks a privilege") && said.contains(right), "{right}: {said}");
        server.query(&format!("GRANT {right} ON {database}.* TO shop@'%'"));
    }
    server.query("ALTER USER shop@'%' ACCOUNT LOCK");
    let said = refusal(&url);
    assert!(said.contains("is locked"), "{said}");
    server.query("ALTER USER shop@'%' ACCOUNT UNLOCK");
    server.query("ALTER USER shop@'%' PASSWORD EXPIRE");
    let said = refusal(&url);
    assert!(said.contains("expired"), "{said}");
    server.set_password("shop@'%'");
    server.query("CREATE USER few@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1");
    server.query(&format!("GRANT ALL ON {database}.* TO few@'%'"));
    let few = format!("mysql://few:x@127.0.0.1:{port}/{database}");
    let _first = open(&few).expect("one connection does for an idle engine");
    works(&open(&url).expect("opens")).expect("works");
}

/// Logs in anew each time, so that the server asks for the whole password, and
/// then once more, when it remembers the account.
fn a_password(server: &Server, url: &str) {
    server.query("FLUSH PRIVILEGES");
    for _ in 0..2 {
        works(&open(url).unwrap_or_else(|error| panic!("{error}"))).expect("works");
    }
}

#[test]
fn mysql_is_logged_in_to_by_any_password_over_tls_rsa_and_a_socket() {
    stockade_testkit::skip_without!(MySql);
    let server = Server::start(Make::MySql, &[]);
    let database = server.database();
    let socket = server.socket();
    assert!(Path::new(&socket).exists());
    let socket = socket.display();
    for query in [
        "?ssl-mode=REQUIRED".to_owned(),
        "?ssl-mode=DISABLED".to_owned(),
        format!("?socket={socket}"),
        format!("?socket={socket}&ssl-mode=REQUIRED"),
    ] {
        println!("{query}");
        a_password(&server, &server.url(&database, &query));
    }
    // By now the server remembers the account, and asks for no more than a hash.
    let unencrypted = server.url(&database, &format!("?socket={socket}&ssl-mode=DISABLED"));
    works(&open(&unencrypted).expect("by the hash")).expect("works");
    server.query("FLUSH PRIVILEGES");
    let said = refusal(&unencrypted);
    assert!(said.contains("leave out ssl-mode"), "{said}");
}

#[test]
fn mariadb_is_logged_in_to_by_any_password_over_tcp_and_a_socket() {
    stockade_testkit::skip_without!(MariaDb);
    let server = Server::start(Make::MariaDb, &[]);
    let database = server.database();
    a_password(&server, &server.url(&database, ""));
    a_password(&server, &server.url(&database, "").replace("mysql:", "mariadb:"));
    a_password(&server, &server.url(&database, &format!("?socket={}", server.socket().display())));
    let said = refusal(&server.url(&database, "?ssl-mode=REQUIRED"));
    assert!(said.contains("offers no TLS"), "{said}");
}

#[test]
fn a_server_s_own_certificates_do_for_what_asks_for_no_name() {
    stockade_testkit::skip_without!(MySql);
    // MySQL makes an authority and a certificate as it is set up.
    let server = Server::start(Make::MySql, &[]);
    let database = server.database();
    for query in ["", "?ssl-mode=REQUIRED"] {
        works(&open(&server.url(&database, query)).expect(query)).expect("works");
    }
    let data = server.query("SELECT @@datadir");
    let ca = Path::new(data.trim()).join("ca.pem");
    let query = format!("?ssl-mode=VERIFY_CA&ssl-ca={}", ca.display());
    match open(&server.url(&database, &query)) {
        Ok(engine) => works(&engine).expect("works"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn mariadb_speaks_tls_in_every_mode() {
    stockade_testkit::skip_without!(MariaDb);
    every_way_of_tls(Make::MariaDb);
}

#[test]
fn mysql_speaks_tls_in_every_mode() {
    stockade_testkit::skip_without!(MySql);
    every_way_of_tls(Make::MySql);
}

#[test]
fn mariadb_shows_a_certificate_of_its_name() {
    stockade_testkit::skip_without!(MariaDb);
    a_name_that_is_right(Make::MariaDb);
}

#[test]
fn mysql_shows_a_certificate_of_its_name() {
    stockade_testkit::skip_without!(MySql);
    a_name_that_is_right(Make::MySql);
}

#[test]
fn mariadb_that_lets_nobody_in_is_refused_with_words() {
    stockade_testkit::skip_without!(MariaDb);
    refusals(Make::MariaDb);
}

#[test]
fn mysql_that_lets_nobody_in_is_refused_with_words() {
    stockade_testkit::skip_without!(MySql);
    refusals(Make::MySql);
}

#[test]
fn no_url_in_a_message() {
    let error =
        Engine::open("mysql://u:s3cret@127.0.0.1:1/shop?x=1").map(drop).expect_err("refused");
    assert_eq!(error.code(), "invalid_argument");
    assert!(error.to_string().contains("`x`") && !error.to_string().contains("s3cret"), "{error}");
}
