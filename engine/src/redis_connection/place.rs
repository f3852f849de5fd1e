//! Where Redis is: at an address, where its sentinels say, or in a cluster.

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
/// Sentinels are asked side by side, and then the master whether it is one; a
/// cluster is asked where its nodes are, and then all of them.
const FOUND_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// How long a server may take to show what it speaks.
const SHOWN_WITHIN: Duration = Duration::from_millis(500);
/// Commands that may wait to be written.
const COMMANDS: usize = 1024;
/// How often a cluster's command goes to another node, or is tried again.
const REDIRECTIONS: u32 = 4;
const REDIRECTION_PAUSE_MS: (u64, u64) = (5, 50);

pub(super) struct Place {
    kind: Kind,
    /// Hosts and ports as they stand in the URL, for messages.
    shown: String,
    /// What the URL's hosts are.
    hosts: Vec<ConnectionAddr>,
    database: i64,
}

enum Kind {
    Server(Box<Client>),
    /// Held while the sentinels are asked; the link asks one question at a time.
    Master(Box<Mutex<SentinelClient>>),
    Cluster(Box<Cluster>),
}

struct Cluster {
    nodes: Vec<ConnectionInfo>,
    certificates: Option<Certificates>,
}

/// The parts of a URL with several hosts.
struct Several<'a> {
    login: &'a str,
    hosts: &'a str,
    path: &'a str,
}

impl Place {
    /// Reads `redis[s]://[USER:PASSWORD@]HOST[:PORT][/DB]`,
    /// `redis[s]+sentinel://[USER:PASSWORD@]HOST[:PORT],.../NAME[/DB]`, where
    /// user and password are those of the Redis servers, or
    /// `redis[s]+cluster://[USER:PASSWORD@]HOST[:PORT],...`. With `rediss` all
    /// connections have TLS, those to the sentinels included.
    ///
    /// # Errors
    /// `invalid_argument`, which repeats no part of the URL.
    pub fn read(config: &Config) -> Result<Self> {
        let url = config.redis.as_str();
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(FORMS))?;
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let has_tls = matches!(scheme, "rediss" | "valkeys");
        let certificates = Certificates::of(config, has_tls)?;
        match (scheme, kind) {
            ("redis" | "rediss", "sentinel") => {
                Self::by_sentinel(&several(rest)?, scheme, certificates)
            }
            ("redis" | "rediss", "cluster") => Self::cluster(&several(rest)?, scheme, certificates),
            _ => Self::server(url, certificates),
        }
    }

    fn server(url: &str, certificates: Option<Certificates>) -> Result<Self> {
        if url.contains('#') {
            return Err(wrong("a # in a password is written as %23"));
        }
        let info = info(url)?;
        let (shown, database) = (info.addr().to_string(), info.redis_settings().db());
        let redis = settings(info.redis_settings());
        let info = info.set_redis_settings(redis).set_tcp_settings(tcp());
        let client = match certificates {
            Some(certificates) => certificates.client(info)?,
            None => Client::open(info).map_err(|error| wrong(error.category()))?,
        };
        let hosts = vec![client.get_connection_info().addr().clone()];
        Ok(Self { kind: Kind::Server(Box::new(client)), shown, hosts, database })
    }

    fn by_sentinel(
        url: &Several<'_>,
        scheme: &str,
        certificates: Option<Certificates>,
    ) -> Result<Self> {
        let (name, database) = url.path.split_once('/').unwrap_or((url.path, ""));
        if name.is_empty() {
            return Err(wrong(
                "a URL by Sentinel names the master: redis+sentinel://HOST:PORT/NAME",
            ));
        }
        let hosts = url.addresses(scheme, SENTINEL_PORT)?;
        let server = url.login(database)?;
        let master = SentinelServerType::Master;
        let builder = SentinelClientBuilder::new(hosts.clone(), name, master)
            .map_err(|error| wrong(error.category()))?
            .set_client_to_redis_protocol(ProtocolVersion::RESP3)
            .set_client_to_redis_db(server.db())
            .set_client_to_redis_tcp_settings(tcp());
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
        let client = builder.build().map_err(|error| unfit_certificates(&error))?;
        let kind = Kind::Master(Box::new(Mutex::new(client)));
        let shown = format!("{name} by {}", url.hosts);
        Ok(Self { kind, shown, hosts, database: server.db() })
    }

    fn cluster(
        url: &Several<'_>,
        scheme: &str,
        certificates: Option<Certificates>,
    ) -> Result<Self> {
        let redis = settings(&url.login(url.path)?);
        let hosts = url.addresses(scheme, REDIS_PORT)?;
        let nodes = hosts.iter().map(|addr| {
            let info =
                addr.clone().into_connection_info().map_err(|error| wrong(error.category()))?;
            let info = info.set_redis_settings(redis.clone()).set_tcp_settings(tcp());
            // Reads the certificates once, so that what is wrong with them is said.
            match &certificates {
                Some(certificates) => Ok(certificates.client(info)?.get_connection_info().clone()),
                None => Ok(info),
            }
        });
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        let kind = Kind::Cluster(Box::new(Cluster { nodes, certificates }));
        Ok(Self { kind, shown: url.hosts.to_owned(), hosts, database: redis.db() })
    }

    pub fn database(&self) -> i64 {
        self.database
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    /// Connects to the server that is meant now: after a fail-over it is another.
    pub async fn connect(
        &self,
        answer_within: Duration,
        push: impl AsyncPushSender,
    ) -> RedisResult<Connection> {
        let config = || {
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_WITHIN))
                .set_response_timeout(Some(answer_within))
                .set_pipeline_buffer_size(COMMANDS)
        };
        let client = match &self.kind {
            Kind::Server(client) => Client::clone(client),
            Kind::Master(sentinels) => {
                let find = async { sentinels.lock().await.async_get_client().await };
                soon("no sentinel named a master in time", find).await?
            }
            Kind::Cluster(cluster) => {
                let client = cluster.client(answer_within, push)?;
                let connect = client.get_async_connection();
                let connected = soon("the cluster was not there in time", connect).await;
                // The error of a cluster is a text: that of its node says more.
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

    /// Whether what answers at the first of the hosts that are there speaks TLS
    /// where the URL has none, or the reverse; `None` when it shows neither.
    pub async fn speaks_otherwise(&self) -> Option<&'static str> {
        for host in &self.hosts {
            let shown = match host {
                ConnectionAddr::Tcp(host, port) => speaks_tls(host, *port).await,
                ConnectionAddr::TcpTls { host, port, .. } => speaks_plainly(host, *port).await,
                _ => None,
            };
            if shown.is_some() {
                return shown;
            }
        }
        None
    }
}

#[cfg(feature = "tls")]
async fn speaks_tls(host: &str, port: u16) -> Option<&'static str> {
    let speaks = tokio::time::timeout(SHOWN_WITHIN, tls::is_spoken(host, port)).await;
    (speaks == Ok(true)).then_some("the server speaks TLS there; begin the URL with rediss")
}

#[cfg(not(feature = "tls"))]
async fn speaks_tls(_host: &str, _port: u16) -> Option<&'static str> {
    None
}

/// Asks a server for a sign without TLS.
async fn speaks_plainly(host: &str, port: u16) -> Option<&'static str> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect((host, port)).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.ok()?;
        matches!(&first, b"+" | b"-").then_some(())
    };
    tokio::time::timeout(SHOWN_WITHIN, ask).await.ok()??;
    Some("the server does not speak TLS there; begin the URL with redis instead of rediss")
}

async fn soon<T>(late: &'static str, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(FOUND_WITHIN, work).await.map_err(|_| (ErrorKind::Io, late))?
}

impl Cluster {
    fn client(
        &self,
        answer_within: Duration,
        push: impl AsyncPushSender,
    ) -> RedisResult<ClusterClient> {
        let (min, max) = REDIRECTION_PAUSE_MS;
        let builder = ClusterClientBuilder::new(self.nodes.clone())
            .retries(REDIRECTIONS)
            .min_retry_wait(min)
            .max_retry_wait(max)
            .connection_timeout(CONNECT_WITHIN)
            .response_timeout(answer_within)
            .overall_response_timeout(Some(answer_within))
            .tcp_settings(tcp())
            .push_sender(push);
        match &self.certificates {
            Some(certificates) => certificates.for_cluster(builder),
            None => builder,
        }
        .build()
    }

    /// Why a connection to one of the nodes fails, if it does with all.
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

fn several(rest: &str) -> Result<Several<'_>> {
    let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains(['?', '#']) || hosts.is_empty() {
        return Err(wrong(FORMS));
    }
    Ok(Several { login, hosts, path })
}

impl Several<'_> {
    fn addresses(&self, scheme: &str, port: u16) -> Result<Vec<ConnectionAddr>> {
        let address = |host: &str| {
            let is_bare = !host.rsplit(']').next().unwrap_or(host).contains(':');
            let port = if is_bare { format!(":{port}") } else { String::new() };
            Ok(info(&format!("{scheme}://{host}{port}"))?.addr().clone())
        };
        self.hosts.split(',').map(address).collect()
    }

    /// User, password and database number.
    fn login(&self, database: &str) -> Result<RedisConnectionInfo> {
        let at = if self.login.is_empty() { "" } else { "@" };
        // A host that is not there: only the rest of this URL is read.
        let info = info(&format!("redis://{}{at}host/{database}", self.login))?;
        Ok(info.redis_settings().clone())
    }
}

const FORMS: &str = "not the URL of a Redis: it is redis://USER:PASSWORD@HOST:PORT/DATABASE, \
     redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT, with \
     rediss for TLS, and a character that is special in a URL is percent-encoded in user and \
     password";

fn wrong(why: &str) -> Error {
    Error::invalid_argument(format!("setting redis: {why}"))
}

fn info(url: &str) -> Result<ConnectionInfo> {
    // Not the crate's error: no part of the URL may get out.
    url.into_connection_info().map_err(|_| wrong(FORMS))
}

/// Messages come on the same connection.
fn settings(info: &RedisConnectionInfo) -> RedisConnectionInfo {
    info.clone().set_protocol(ProtocolVersion::RESP3)
}

/// Many small commands: none may wait for the last one's acknowledgement.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn unfit_certificates(error: &redis::RedisError) -> Error {
    Error::invalid_argument(format!("settings redis_ca, redis_cert and redis_key: {error}"))
}

#[cfg(feature = "tls")]
struct Certificates(redis::TlsCertificates);

/// There are none without TLS.
#[cfg(not(feature = "tls"))]
enum Certificates {}

impl Certificates {
    /// Those of the settings, if the URL wants TLS.
    fn of(config: &Config, has_tls: bool) -> Result<Option<Self>> {
        let Config { redis_ca: ca, redis_cert: cert, redis_key: key, .. } = config;
        if !has_tls {
            let unused = [("redis_ca", ca), ("redis_cert", cert), ("redis_key", key)];
            return match unused.iter().find(|(_, path)| !path.is_empty()) {
                Some((name, _)) => Err(Error::invalid_argument(format!(
                    "setting {name}: it is for TLS, which setting redis does not ask for; begin \
                     its URL with rediss"
                ))),
                None => Ok(None),
            };
        }
        let root = tls::read_pem("redis_ca", ca, tls::CERTIFICATE)?;
        let cert = tls::read_pem("redis_cert", cert, tls::CERTIFICATE)?;
        let key = tls::read_pem("redis_key", key, tls::PRIVATE_KEY)?;
        if cert.is_some() != key.is_some() {
            let why = "settings redis_cert and redis_key: one is nothing without the other";
            return Err(Error::invalid_argument(why));
        }
        Self::read(root, cert.zip(key)).map(Some)
    }

    #[cfg(not(feature = "tls"))]
    fn read(_root: Option<Vec<u8>>, _client: Option<(Vec<u8>, Vec<u8>)>) -> Result<Self> {
        Err(wrong("this program was built without TLS (the feature tls)"))
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
        Client::build_with_tls(info, self.0.clone()).map_err(|error| unfit_certificates(&error))
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
