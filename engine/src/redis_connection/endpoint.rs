//! The Redis endpoint that a URL names: one server, the master that Sentinel
//! names, or a cluster.

use std::fmt;
use std::time::Duration;

use redis::aio::AsyncPushSender;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, RedisResult,
};
use tokio::sync::Mutex;

use super::connection::Connection;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::tls;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// For two rounds: the sentinels in parallel and then the master that they name,
/// or the slots of a cluster and then its nodes.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a server may take to show whether it speaks TLS.
const TLS_PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// Commands that may wait in the client to be written.
const PIPELINE_BUFFER: usize = 1024;
/// How often a cluster's command is redirected or retried.
const REDIRECTIONS: u32 = 4;
const REDIRECTION_PAUSE_MS: (u64, u64) = (5, 50);

pub(super) struct RedisEndpoint {
    topology: Topology,
    /// Hosts and ports as in the URL, without its password, for messages.
    display: String,
    /// The URL's hosts.
    hosts: Vec<ConnectionAddr>,
    database: i64,
}

enum Topology {
    Server(Box<Client>),
    /// An async mutex, held while the sentinels are queried. There is no
    /// contention: the supervisor connects once at a time.
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster(Box<Cluster>),
}

struct Cluster {
    nodes: Vec<ConnectionInfo>,
    certificates: Option<Certificates>,
}

/// The parts of a URL with several hosts.
struct MultiHostUrl<'a> {
    login: &'a str,
    hosts: &'a str,
    path: &'a str,
}

impl RedisEndpoint {
    /// Parses `redis[s]://[USER:PASSWORD@]HOST[:PORT][/DB]`,
    /// `redis[s]+sentinel://[USER:PASSWORD@]HOST[:PORT],.../NAME[/DB]`, where
    /// user and password are those of the Redis servers, or
    /// `redis[s]+cluster://[USER:PASSWORD@]HOST[:PORT],...`. With `rediss` all
    /// connections use TLS, those to the sentinels included.
    ///
    /// # Errors
    /// `invalid_argument`; the message repeats no part of the URL.
    pub fn parse(config: &Config) -> Result<Self> {
        let url = config.redis.as_str();
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid_url(URL_FORMS))?;
        let (scheme, topology) = scheme.split_once('+').unwrap_or((scheme, ""));
        let has_tls = matches!(scheme, "rediss" | "valkeys");
        let certificates = Certificates::from_config(config, has_tls)?;
        match (scheme, topology) {
            ("redis" | "rediss", "sentinel") => {
                Self::sentinel(&split_hosts(rest)?, scheme, certificates)
            }
            ("redis" | "rediss", "cluster") => {
                Self::cluster(&split_hosts(rest)?, scheme, certificates)
            }
            _ => Self::server(url, certificates),
        }
    }

    fn server(url: &str, certificates: Option<Certificates>) -> Result<Self> {
        if url.contains('#') {
            return Err(invalid_url("write a # in a password as %23"));
        }
        let info = parse_url(url)?;
        let (display, database) = (info.addr().to_string(), info.redis_settings().db());
        let redis = with_resp3(info.redis_settings());
        let info = info.set_redis_settings(redis).set_tcp_settings(tcp_settings());
        let client = match certificates {
            Some(certificates) => certificates.client(info)?,
            None => Client::open(info).map_err(|error| invalid_url(error.category()))?,
        };
        let hosts = vec![client.get_connection_info().addr().clone()];
        Ok(Self { topology: Topology::Server(Box::new(client)), display, hosts, database })
    }

    fn sentinel(
        url: &MultiHostUrl<'_>,
        scheme: &str,
        certificates: Option<Certificates>,
    ) -> Result<Self> {
        let (name, database) = url.path.split_once('/').unwrap_or((url.path, ""));
        if name.is_empty() {
            return Err(invalid_url(
                "a URL by Sentinel names the master: redis+sentinel://HOST:PORT/NAME",
            ));
        }
        let hosts = url.addresses(scheme, SENTINEL_PORT)?;
        let server = url.login(database)?;
        let master = SentinelServerType::Master;
        let builder = SentinelClientBuilder::new(hosts.clone(), name, master)
            .map_err(|error| invalid_url(error.category()))?
            .set_client_to_redis_protocol(ProtocolVersion::RESP3)
            .set_client_to_redis_db(server.db())
            .set_client_to_redis_tcp_settings(tcp_settings());
        let builder = match server.username() {
            Some(user) => builder.set_client_to_redis_username(user),
            None => builder,
        };
        let builder = match server.password() {
            Some(password) => builder.set_client_to_redis_password(password),
            None => builder,
        };
        let builder = match certificates {
            Some(certificates) => certificates.for_sentinel(builder),
            None => builder,
        };
        let client = builder.build().map_err(|error| invalid_certificates(&error))?;
        let topology = Topology::Sentinel(Box::new(Mutex::new(client)));
        let display = format!("{name} by {}", url.hosts);
        Ok(Self { topology, display, hosts, database: server.db() })
    }

    fn cluster(
        url: &MultiHostUrl<'_>,
        scheme: &str,
        certificates: Option<Certificates>,
    ) -> Result<Self> {
        let redis = with_resp3(&url.login(url.path)?);
        let hosts = url.addresses(scheme, REDIS_PORT)?;
        let nodes = hosts.iter().map(|addr| {
            let info = addr
                .clone()
                .into_connection_info()
                .map_err(|error| invalid_url(error.category()))?;
            let info = info.set_redis_settings(redis.clone()).set_tcp_settings(tcp_settings());
            // Parses the certificates now, so that an invalid one is an error.
            match &certificates {
                Some(certificates) => Ok(certificates.client(info)?.get_connection_info().clone()),
                None => Ok(info),
            }
        });
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let topology = Topology::Cluster(Box::new(Cluster { nodes, certificates }));
        Ok(Self { topology, display: url.hosts.to_owned(), hosts, database: redis.db() })
    }

    pub fn database(&self) -> i64 {
        self.database
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster(_))
    }

    /// Connects to the current server, which changes with each fail-over.
    pub async fn connect(
        &self,
        response_timeout: Duration,
        push: impl AsyncPushSender,
    ) -> RedisResult<Connection> {
        let config = || {
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(response_timeout))
                .set_pipeline_buffer_size(PIPELINE_BUFFER)
        };
        let client = match &self.topology {
            Topology::Server(client) => Client::clone(client),
            Topology::Sentinel(sentinels) => {
                let find = async { sentinels.lock().await.async_get_client().await };
                discover("no sentinel named a master in time", find).await?
            }
            Topology::Cluster(cluster) => {
                let client = cluster.client(response_timeout, push)?;
                let connect = client.get_async_connection();
                let connected = discover("the cluster did not answer in time", connect).await;
                // The cluster client's error is plain text: that of a node says more.
                return match connected {
                    Ok(connection) => Ok(Connection::Cluster(connection)),
                    Err(error) => Err(cluster.first_error(&config()).await.unwrap_or(error)),
                };
            }
        };
        let config = config().set_push_sender(push);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Connection::Server(connection))
    }

    /// What to change if the first host that answers speaks TLS and the URL does
    /// not, or the reverse; `None` if neither shows.
    pub async fn tls_mismatch(&self) -> Option<&'static str> {
        for host in &self.hosts {
            let mismatch = match host {
                ConnectionAddr::Tcp(host, port) => unexpected_tls(host, *port).await,
                ConnectionAddr::TcpTls { host, port, .. } => missing_tls(host, *port).await,
                _ => None,
            };
            if mismatch.is_some() {
                return mismatch;
            }
        }
        None
    }
}

#[cfg(feature = "tls")]
async fn unexpected_tls(host: &str, port: u16) -> Option<&'static str> {
    let speaks = tokio::time::timeout(TLS_PROBE_TIMEOUT, tls::server_speaks_tls(host, port)).await;
    (speaks == Ok(true)).then_some("the server speaks TLS there; begin the URL with rediss")
}

#[cfg(not(feature = "tls"))]
async fn unexpected_tls(_host: &str, _port: u16) -> Option<&'static str> {
    None
}

async fn missing_tls(host: &str, port: u16) -> Option<&'static str> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ping = async {
        let mut stream = tokio::net::TcpStream::connect((host, port)).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.ok()?;
        matches!(&first, b"+" | b"-").then_some(())
    };
    tokio::time::timeout(TLS_PROBE_TIMEOUT, ping).await.ok()??;
    Some("the server does not speak TLS there; begin the URL with redis instead of rediss")
}

async fn discover<T>(
    late: &'static str,
    work: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    tokio::time::timeout(DISCOVERY_TIMEOUT, work).await.map_err(|_| (ErrorKind::Io, late))?
}

impl Cluster {
    fn client(
        &self,
        response_timeout: Duration,
        push: impl AsyncPushSender,
    ) -> RedisResult<ClusterClient> {
        let (min, max) = REDIRECTION_PAUSE_MS;
        let builder = ClusterClientBuilder::new(self.nodes.clone())
            .retries(REDIRECTIONS)
            .min_retry_wait(min)
            .max_retry_wait(max)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(response_timeout)
            .overall_response_timeout(Some(response_timeout))
            .tcp_settings(tcp_settings())
            .push_sender(push);
        match &self.certificates {
            Some(certificates) => certificates.for_cluster(builder),
            None => builder,
        }
        .build()
    }

    async fn first_error(&self, config: &AsyncConnectionConfig) -> Option<redis::RedisError> {
        let mut first = None;
        for node in &self.nodes {
            let client = Client::open(node.clone()).ok()?;
            match client.get_multiplexed_async_connection_with_config(config).await {
                Ok(_) => return None,
                Err(error) => first = first.or(Some(error)),
            }
        }
        first
    }
}

fn split_hosts(rest: &str) -> Result<MultiHostUrl<'_>> {
    let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains(['?', '#']) || hosts.is_empty() {
        return Err(invalid_url(URL_FORMS));
    }
    Ok(MultiHostUrl { login, hosts, path })
}

impl MultiHostUrl<'_> {
    fn addresses(&self, scheme: &str, port: u16) -> Result<Vec<ConnectionAddr>> {
        let address = |host: &str| {
            let is_bare = !host.rsplit(']').next().unwrap_or(host).contains(':');
            let port = if is_bare { format!(":{port}") } else { String::new() };
            Ok(parse_url(&format!("{scheme}://{host}{port}"))?.addr().clone())
        };
        self.hosts.split(',').map(address).collect()
    }

    fn login(&self, database: &str) -> Result<RedisConnectionInfo> {
        let at = if self.login.is_empty() { "" } else { "@" };
        // With a dummy host: only the rest of this URL is used.
        let info = parse_url(&format!("redis://{}{at}host/{database}", self.login))?;
        Ok(info.redis_settings().clone())
    }
}

const URL_FORMS: &str = "not a Redis URL; write redis://USER:PASSWORD@HOST:PORT/DATABASE, \
     redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT, with \
     rediss for TLS, and percent-encode special characters in user and password";

fn invalid_url(why: &str) -> Error {
    Error::invalid_argument(format!("setting redis: {why}"))
}

fn parse_url(url: &str) -> Result<ConnectionInfo> {
    // Without the crate's error, which may repeat a secret part of the URL.
    url.into_connection_info().map_err(|_| invalid_url(URL_FORMS))
}

/// RESP3 delivers messages on the same connection.
fn with_resp3(info: &RedisConnectionInfo) -> RedisConnectionInfo {
    info.clone().set_protocol(ProtocolVersion::RESP3)
}

/// Without Nagle's algorithm: no small command waits for the acknowledgement of
/// the one before.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn invalid_certificates(error: &redis::RedisError) -> Error {
    Error::invalid_argument(format!("settings redis_ca, redis_cert and redis_key: {error}"))
}

#[cfg(feature = "tls")]
struct Certificates(redis::TlsCertificates);

/// Uninhabited: without TLS there are none.
#[cfg(not(feature = "tls"))]
enum Certificates {}

impl Certificates {
    /// Reads the certificates that the settings name, if the URL has TLS.
    fn from_config(config: &Config, has_tls: bool) -> Result<Option<Self>> {
        let Config { redis_ca: ca, redis_cert: cert, redis_key: key, .. } = config;
        if !has_tls {
            let unused = [("redis_ca", ca), ("redis_cert", cert), ("redis_key", key)];
            return match unused.iter().find(|(_, path)| !path.is_empty()) {
                Some((name, _)) => Err(Error::invalid_argument(format!(
                    "setting {name}: it needs TLS, and setting redis has none; begin its URL \
                     with rediss"
                ))),
                None => Ok(None),
            };
        }
        let root = tls::read_pem("redis_ca", ca, tls::CERTIFICATE)?;
        let cert = tls::read_pem("redis_cert", cert, tls::CERTIFICATE)?;
        let key = tls::read_pem("redis_key", key, tls::PRIVATE_KEY)?;
        if cert.is_some() != key.is_some() {
            let why = "settings redis_cert and redis_key: set both or neither";
            return Err(Error::invalid_argument(why));
        }
        Self::read(root, cert.zip(key)).map(Some)
    }

    #[cfg(not(feature = "tls"))]
    fn read(_root: Option<Vec<u8>>, _client: Option<(Vec<u8>, Vec<u8>)>) -> Result<Self> {
        Err(crate::features::left_out("tls", "use TLS"))
    }

    #[cfg(not(feature = "tls"))]
    fn client(&self, _info: ConnectionInfo) -> Result<Client> {
        match *self {}
    }

    #[cfg(not(feature = "tls"))]
    fn for_sentinel(self, _builder: SentinelClientBuilder) -> SentinelClientBuilder {
        match self {}
    }

    #[cfg(not(feature = "tls"))]
    fn for_cluster(&self, _builder: ClusterClientBuilder) -> ClusterClientBuilder {
        match *self {}
    }

    #[cfg(feature = "tls")]
    fn read(root_cert: Option<Vec<u8>>, client: Option<(Vec<u8>, Vec<u8>)>) -> Result<Self> {
        tls::install_provider();
        let client_tls = client
            .map(|(client_cert, client_key)| redis::ClientTlsConfig { client_cert, client_key });
        Ok(Self(redis::TlsCertificates { client_tls, root_cert }))
    }

    #[cfg(feature = "tls")]
    fn client(&self, info: ConnectionInfo) -> Result<Client> {
        Client::build_with_tls(info, self.0.clone()).map_err(|error| invalid_certificates(&error))
    }

    #[cfg(feature = "tls")]
    fn for_sentinel(self, builder: SentinelClientBuilder) -> SentinelClientBuilder {
        builder
            .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
            .set_client_to_redis_certificates(self.0.clone())
            .set_client_to_sentinel_certificates(self.0)
    }

    #[cfg(feature = "tls")]
    fn for_cluster(&self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
        builder.certs(self.0.clone())
    }
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}
