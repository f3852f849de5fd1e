//! A running engine behind a proxy that ends TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stockade::Result;
use stockade_testkit::{Certificates, Identity};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::Scenario;
use crate::scenarios;
use crate::socket::{Sockets, through};
use crate::steps::hold;
use crate::world::{World, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("secure";
    a_running_engine_is_reached_by_https_and_known_by_its_certificate,
);

/// Ends TLS for a server. Dropped, it is gone.
struct Proxy {
    port: u16,
    _runtime: Runtime,
}

impl Proxy {
    fn start(upstream: SocketAddr, shown: Identity) -> Self {
        let Identity { cert, key, .. } = shown;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let cert = CertificateDer::from_pem_file(cert).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let mut config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("listens");
        let port = listener.local_addr().expect("an address").port();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who does not trust the certificate hangs up.
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    let mut server = TcpStream::connect(upstream).await.expect("the server");
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port, _runtime: runtime }
    }
}

fn a_running_engine_is_reached_by_https_and_known_by_its_certificate(world: &World) {
    let sockets = Sockets::new();
    let url = sockets.serve_at_address(world.builder().own, "open sesame");
    let address = url.strip_prefix("http://").expect("an address").parse().expect("an address");
    let certificates = Certificates::new();
    let ca = certificates.ca().display().to_string();
    let proxy = Proxy::start(address, certificates.server());
    let open = |url: &str, ca: &str| -> Result<_> { through(url).set("remote_ca", ca)?.open() };
    let at = |proxy: &Proxy| format!("https://:open%20sesame@localhost:{}", proxy.port);
    let https = at(&proxy);
    let engine = open(&https, &ca).expect("opens");
    let id = product(&engine, 5);
    hold(&engine, id, 2);
    assert_eq!(numbers(&engine, id), [3, 2, 0, 0]);

    let refusal = |url: &str, ca: &str| {
        let error = open(url, ca).expect_err("refused");
        assert_eq!(error.code(), "invalid_argument");
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        error.message().to_owned()
    };
    let said = refusal(&https, "");
    assert!(said.contains("unknown authority") && said.contains("remote_ca"), "{said}");
    let misnamed = Proxy::start(address, certificates.misnamed());
    let said = refusal(&at(&misnamed), &ca);
    assert!(said.contains("for another name"), "{said}");
    let said = refusal(&url.replace("http://", "https://:sesame@"), &ca);
    assert!(said.contains("does not speak TLS"), "{said}");
    let said = refusal(&url.replace("http://", "http://:sesame@"), &ca);
    assert!(said.contains("remote_ca"), "{said}");
}
