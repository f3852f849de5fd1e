//! The files of the control room's page, which are part of the program.

use std::collections::HashMap;

use bytes::Bytes;
use hyper::header::{ETAG, HeaderValue, IF_NONE_MATCH, LOCATION};
use hyper::{HeaderMap, Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::problem::Rejection;
use crate::response::{Body, response};
use crate::router::unknown_path;

const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($name:literal: $kind:ident,)*) => {
        &[$(($name, $kind, include_bytes!(concat!("../../admin/", $name)))),*]
    };
}

/// Name, content type and content.
static FILES: &[(&str, &str, &[u8])] = files! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "actions.js": SCRIPT,
    "api.js": SCRIPT,
    "attention.js": SCRIPT,
    "dom.js": SCRIPT,
    "events.js": SCRIPT,
    "format.js": SCRIPT,
    "holds.js": SCRIPT,
    "main.js": SCRIPT,
    "orders.js": SCRIPT,
    "plots.js": SCRIPT,
    "products.js": SCRIPT,
    "search.js": SCRIPT,
    "state.js": SCRIPT,
    "stream.js": SCRIPT,
};

/// Nothing but the page's own files and this server: what a shop's data could smuggle in
/// neither runs nor is sent anywhere. Trusted types let no text become markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of every file, besides its own.
const HEADERS: &[(&str, &str)] = &[
    // A browser asks again each time: modules of two versions never meet.
    ("cache-control", "no-cache"),
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

struct File {
    content_type: &'static str,
    content: &'static [u8],
    etag: HeaderValue,
}

/// The files by their names.
pub struct Files(HashMap<&'static str, File>);

impl Files {
    /// Computes the entity tags.
    pub fn new() -> Self {
        let files = FILES.iter().filter_map(|(name, content_type, content)| {
            let digest = hex::encode(&Sha256::digest(content)[..16]);
            let etag = HeaderValue::try_from(format!("\"{digest}\"")).ok()?;
            Some((*name, File { content_type, content, etag }))
        });
        Self(files.collect())
    }

    /// Returns the file of a path; 304 if the browser has it.
    ///
    /// # Errors
    /// `not_found`
    pub fn response(&self, path: &str, headers: &HeaderMap) -> Result<Response<Body>, Rejection> {
        let name = match path.strip_prefix("/admin").unwrap_or(path) {
            "" => "index.html",
            // The page's addresses are relative to `/admin`.
            "/" => return Ok(moved()),
            name => name.trim_start_matches('/'),
        };
        let file = self.0.get(name).ok_or_else(unknown_path)?;
        let known = headers.get_all(IF_NONE_MATCH).iter().any(|tags| {
            let mut tags = tags.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            tags.any(|tag| tag == file.etag.as_bytes())
        });
        let (status, content) = match known {
            true => (StatusCode::NOT_MODIFIED, &b""[..]),
            false => (StatusCode::OK, file.content),
        };
        let mut response = response(status, file.content_type, Bytes::from_static(content), false);
        let to = response.headers_mut();
        for (name, value) in HEADERS {
            to.insert(*name, HeaderValue::from_static(value));
        }
        to.insert(ETAG, file.etag.clone());
        Ok(response)
    }
}

fn moved() -> Response<Body> {
    let mut response = response(StatusCode::PERMANENT_REDIRECT, "", Bytes::new(), false);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("../admin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

    fn get(path: &str, tags: &str) -> Result<Response<Body>, Rejection> {
        let mut headers = HeaderMap::new();
        if !tags.is_empty() {
            headers.insert(IF_NONE_MATCH, tags.parse().unwrap());
        }
        Files::new().response(path, &headers)
    }

    #[test]
    fn each_file_is_served_with_its_policy_and_only_once() {
        for (name, content_type, _) in FILES {
            let path = format!("/admin/{name}");
            let response = get(&path, "").unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], content_type);
            assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
            let tag = response.headers()[ETAG].to_str().unwrap().to_owned();
            for tags in [tag.clone(), format!("\"other\", {tag}")] {
                assert_eq!(get(&path, &tags).unwrap().status(), StatusCode::NOT_MODIFIED);
            }
            assert_eq!(get(&path, "\"other\"").unwrap().status(), StatusCode::OK);
        }
        assert_eq!(get("/admin", "").unwrap().headers()[CONTENT_TYPE], HTML);
        assert_eq!(get("/admin/", "").unwrap().headers()[LOCATION], "../admin");
        for path in ["/admin/none.js", "/admin/..", "/admin/%2e%2e"] {
            assert!(get(path, "").is_err(), "{path}");
        }
    }

    #[test]
    fn no_file_has_inline_script_style_or_another_origin() {
        for (name, content_type, content) in FILES {
            let text = str::from_utf8(content).unwrap();
            if *content_type == HTML {
                assert_eq!(text.matches("<script").count(), 1, "{name}");
                assert!(!text.contains("<style") && !text.contains(" style="), "{name}");
                let mut attributes = text.split_whitespace().filter(|one| one.contains('='));
                assert!(!attributes.any(|one| one.starts_with("on")), "{name}: an event handler");
            }
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text.contains(word), "{name}: {word}");
            }
            let namespace = "http://www.w3.org/2000/svg";
            assert!(!text.replace(namespace, "").contains("://"), "{name}");
        }
    }

    #[test]
    fn each_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/admin");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
        files.sort_unstable();
        let mut served: Vec<_> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        served.sort_unstable();
        assert_eq!(files, served);
    }
}
