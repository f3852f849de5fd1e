//! Guards a listener without secrets, which trusts every local process, against
//! remote requests relayed by a local process: from a web page in a browser
//! (CSRF), by a name that resolves to 127.0.0.1 (DNS rebinding), or by a
//! reverse proxy.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, header::HeaderName};

use crate::cors::Origins;
use crate::problem::Rejection;
use crate::settings::Settings;

/// Headers that proxies add to forwarded requests; any name that begins with
/// `x-forwarded-` counts as well.
pub const FORWARDING_HEADERS: &[&str] = &[
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-host",
    "x-original-forwarded-for",
    "x-envoy-external-address",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "cdn-loop",
];

/// The most characters of a header that a message repeats.
const SHOWN_MAX: usize = 60;

/// Returns the name of a forwarding header, if the request has one.
pub fn forwarding_header(headers: &HeaderMap) -> Option<&str> {
    let forwards =
        |name: &&str| FORWARDING_HEADERS.contains(name) || name.starts_with("x-forwarded-");
    headers.keys().map(HeaderName::as_str).find(forwards)
}

/// Whether a web page made the request that this server served itself, under a name
/// of this machine, and no proxy forwarded it.
pub fn is_own_page(head: &Parts) -> bool {
    let mut origins = head.headers.get_all(ORIGIN).iter();
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let (origin, host) = (origin.as_bytes(), host.as_bytes());
    let is_same = origin.strip_prefix(b"http://").is_some_and(|one| one.eq_ignore_ascii_case(host));
    is_same && is_loopback(host) && forwarding_header(&head.headers).is_none()
}

/// Rejects requests that did not originate on this machine.
#[derive(Debug)]
pub struct LocalGuard {
    /// The missing secrets that make the guard necessary. None turns it off.
    missing: Option<&'static str>,
    /// The host of the `listen` setting.
    listen_host: String,
}

impl LocalGuard {
    /// Creates the guard: on while a secret is missing, unless `insecure` is
    /// set.
    pub fn new(settings: &Settings) -> Self {
        let listen = settings.listen.as_str();
        let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
        Self {
            missing: settings.missing_secrets().filter(|_| !settings.insecure),
            listen_host: host.to_owned(),
        }
    }

    /// Rejects a request that a proxy forwarded, that names a foreign host, or
    /// that a web page of a foreign origin made, unless `origins` names that.
    ///
    /// The port in `Host` is not compared: port forwarding (`ssh -L`, `kubectl
    /// port-forward`) changes it, and a browser cannot choose it.
    ///
    /// # Errors
    /// `forbidden`, with the settings that would allow the request.
    pub fn check(&self, head: &Parts, origins: &Origins) -> Result<(), Rejection> {
        let Some(missing) = self.missing else { return Ok(()) };
        let reject = |why: String| {
            Err(Rejection::forbidden(format!(
                "{why}, and without {missing} this server trusts every request from its own \
                 machine. Set {missing}, or start it with --insecure"
            )))
        };
        if let Some(name) = forwarding_header(&head.headers) {
            return reject(format!("a proxy forwarded this request (header {name})"));
        }
        let named = head.uri.authority().map(|authority| authority.as_str().as_bytes());
        let hosts = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes).chain(named);
        let mut authorities = Vec::new();
        for host in hosts {
            if !self.is_loopback_host(host) {
                return reject(format!("the request names the host `{}`", shown(host)));
            }
            authorities.push(host);
        }
        let mut is_named = false;
        for origin in head.headers.get_all(ORIGIN) {
            let origin = origin.as_bytes();
            if origins.names(origin) {
                is_named = true;
                continue;
            }
            let own = origin.strip_prefix(b"http://").is_some_and(|origin| {
                authorities.iter().any(|authority| authority.eq_ignore_ascii_case(origin))
            });
            if !own {
                return reject(format!("a web page of `{}` made this request", shown(origin)));
            }
        }
        // Browsers omit Origin on some reads and send this header instead.
        let site = head.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if !is_named && matches!(site, Some(b"cross-site" | b"same-site")) {
            return reject("a web page of another origin made this request".to_owned());
        }
        Ok(())
    }

    /// Whether an authority names the loopback interface of this machine, or the host
    /// of the setting `listen`.
    fn is_loopback_host(&self, authority: &[u8]) -> bool {
        let is_listen_host = !self.listen_host.is_empty()
            && host_of(authority).is_some_and(|host| host.eq_ignore_ascii_case(&self.listen_host));
        is_listen_host || is_loopback(authority)
    }
}

/// Returns an authority without its port.
fn host_of(authority: &[u8]) -> Option<&str> {
    let authority = str::from_utf8(authority).ok()?;
    Some(match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    })
}

/// Whether an authority names the loopback interface of every machine.
fn is_loopback(authority: &[u8]) -> bool {
    let Some(host) = host_of(authority) else { return false };
    // A fully qualified name may end with a dot.
    let name = host.strip_suffix('.').unwrap_or(host);
    let without_prefix =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // `*.localhost` is loopback in every browser, whatever DNS says.
    without_prefix.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Returns the beginning of a header value, safe to print.
fn shown(value: &[u8]) -> String {
    value.escape_ascii().to_string().chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn guard(settings: &[(&str, &str)]) -> LocalGuard {
        let mut all = Settings::default();
        for (name, value) in settings {
            all.set(name, value).unwrap();
        }
        LocalGuard::new(&all)
    }

    fn passes(guard: &LocalGuard, uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.check(&request.body(()).unwrap().into_parts().0, &Origins::None).is_ok()
    }

    #[test]
    fn guard_accepts_local_requests_only() {
        let guard = guard(&[]);
        for host in [
            "localhost",
            "LocalHost:8080",
            "localhost.:1",
            "shop.localhost:8080",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(passes(&guard, "/", &[("host", host)]), "{host}");
        }
        assert!(passes(&guard, "/", &[]));
        assert!(passes(&guard, "http://localhost:8080/", &[]));
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evil-localhost",
            "127.0.0.1.evil.example:8080",
            "10.0.0.1",
            "0.0.0.0:8080",
            "[::]:8080",
            "",
            "a:b",
            "localhost:80:80",
            "user@localhost",
        ] {
            assert!(!passes(&guard, "/", &[("host", host)]), "{host}");
            assert!(!passes(&guard, "/", &[("host", "localhost"), ("host", host)]), "{host}");
        }
        assert!(!passes(&guard, "http://evil.example/", &[("host", "localhost")]));
    }

    #[test]
    fn guard_rejects_web_pages_of_other_origins() {
        let guard = guard(&[]);
        let host = ("host", "localhost:8080");
        assert!(passes(&guard, "/", &[host, ("origin", "http://localhost:8080")]));
        assert!(passes(&guard, "/", &[host, ("sec-fetch-site", "same-origin")]));
        assert!(passes(&guard, "/", &[host, ("sec-fetch-site", "none")]));
        for origin in [
            "null",
            "",
            "http://localhost",
            "http://localhost:3000",
            "https://localhost:8080",
            "http://evil.example",
        ] {
            assert!(!passes(&guard, "/", &[host, ("origin", origin)]), "{origin}");
        }
        assert!(!passes(&guard, "/", &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!passes(&guard, "/", &[("origin", "http://localhost:8080")]));
    }

    #[test]
    fn a_page_is_own_only_under_a_name_of_this_machine() {
        let is_own = |headers: &[(&str, &str)]| {
            let mut request = Request::builder();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            is_own_page(&request.body(()).unwrap().into_parts().0)
        };
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "localhost"] {
            assert!(is_own(&[("host", host), ("origin", &format!("http://{host}"))]), "{host}");
        }
        let host = ("host", "localhost:8080");
        let own = ("origin", "http://localhost:8080");
        for headers in [
            // A name that resolves to 127.0.0.1.
            &[("host", "evil.example:8080"), ("origin", "http://evil.example:8080")][..],
            &[host],
            &[own],
            &[host, ("origin", "http://localhost:3000")],
            &[host, ("origin", "https://localhost:8080")],
            &[host, ("origin", "null")],
            &[host, own, ("origin", "http://evil.example")],
            &[host, own, ("host", "evil.example")],
            &[host, own, ("x-forwarded-for", "10.0.0.1")],
        ] {
            assert!(!is_own(headers), "{headers:?}");
        }
    }

    #[test]
    fn guard_rejects_forwarded_requests() {
        for name in FORWARDING_HEADERS.iter().copied().chain(["x-forwarded-for"]) {
            assert!(!passes(&guard(&[]), "/", &[("host", "localhost"), (name, "x")]), "{name}");
        }
    }

    #[test]
    fn guard_is_off_with_both_secrets_or_insecure() {
        let foreign = &[("host", "shop.example"), ("x-forwarded-for", "10.0.0.1")];
        assert!(passes(&guard(&[("insecure", "true")]), "/", foreign));
        let both = [("api_key", "k"), ("webhook_secret", "s")];
        assert!(passes(&guard(&both), "/", foreign));
        for (set, missing) in
            [(&both[..1], "STOCKADE_WEBHOOK_SECRET"), (&both[1..], "STOCKADE_API_KEY")]
        {
            let (guard, request) = (guard(set), Request::builder().header("via", "x"));
            let head = request.body(()).unwrap().into_parts().0;
            let rejected = guard.check(&head, &Origins::None).unwrap_err();
            let body = rejected.body("/", "r");
            assert!(String::from_utf8_lossy(&body).contains(&format!("Set {missing}, or")));
        }
        let named = guard(&[("listen", "shop.test:8080")]);
        assert!(passes(&named, "/", &[("host", "shop.test:8080")]));
    }
}
