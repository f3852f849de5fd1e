//! Where Redis is: at an address, or where its sentinels say.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use redis::{
    Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisResult,
};
use tokio::sync::Mutex;

const BY_SENTINEL: &str = "redis+sentinel://";
const SENTINEL_PORT: u16 = 26379;
/// Sentinels are asked side by side, and then the master whether it is one.
const FOUND_WITHIN: Duration = Duration::from_secs(2);

pub(super) enum Place {
    Server(Box<Client>),
    Master {
        /// As they stand in the URL, without the password.
        sentinels: String,
        name: String,
        /// Held while they are asked; the link asks one question at a time.
        asked: Mutex<Sentinel>,
        server: Box<SentinelNodeConnectionInfo>,
    },
}

impl Place {
    /// Reads `redis://...`, or
    /// `redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/NAME[/DB]`,
    /// where user and password are those of the Redis servers.
    pub fn read(url: &str) -> RedisResult<Self> {
        match url.strip_prefix(BY_SENTINEL) {
            Some(place) => Self::by_sentinel(place),
            None => {
                let info = url.into_connection_info()?;
                let redis = settings(&info);
                let info = info.set_redis_settings(redis).set_tcp_settings(tcp());
                Ok(Self::Server(Box::new(Client::open(info)?)))
            }
        }
    }

    fn by_sentinel(place: &str) -> RedisResult<Self> {
        let wrong = |why| redis::RedisError::from((ErrorKind::InvalidClientConfig, why));
        let (hosts, path) =
            place.rsplit_once('@').map_or(place, |(_, rest)| rest).split_once('/').ok_or_else(
                || wrong("a URL by Sentinel names the master: redis+sentinel://HOST:PORT/NAME"),
            )?;
        let login = place.rsplit_once('@').map_or(String::new(), |(login, _)| format!("{login}@"));
        let (name, database) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() || name.contains(['?', '#']) {
            return Err(wrong("a master by Sentinel has a name"));
        }
        let with_port = |host: &str| {
            let is_bare = !host.rsplit(']').next().unwrap_or(host).contains(':');
            let port = if is_bare { format!(":{SENTINEL_PORT}") } else { String::new() };
            format!("redis://{host}{port}").into_connection_info()
        };
        let sentinels = hosts.split(',').map(with_port).collect::<RedisResult<Vec<_>>>()?;
        // A host that is not there: only the rest of this URL is read.
        let server = format!("redis://{login}master/{database}").into_connection_info()?;
        let server = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(settings(&server))
            .set_tcp_settings(tcp());
        Ok(Self::Master {
            sentinels: hosts.to_owned(),
            name: name.to_owned(),
            asked: Mutex::new(Sentinel::build(sentinels)?),
            server: Box::new(server),
        })
    }

    /// The server to connect to now. After a fail-over it is another.
    pub async fn find(&self) -> RedisResult<Client> {
        let (asked, name, server) = match self {
            Self::Server(client) => return Ok(Client::clone(client)),
            Self::Master { asked, name, server, .. } => (asked, name, server),
        };
        let find = async { asked.lock().await.async_master_for(name, Some(server)).await };
        tokio::time::timeout(FOUND_WITHIN, find)
            .await
            .map_err(|_| (ErrorKind::Io, "no sentinel named a master in time"))?
    }
}

/// Messages come on the same connection.
fn settings(info: &ConnectionInfo) -> RedisConnectionInfo {
    info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3)
}

/// Many small commands: none may wait for the last one's acknowledgement.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(client) => write!(f, "{}", client.get_connection_info().addr()),
            Self::Master { sentinels, name, .. } => write!(f, "{name} by {sentinels}"),
        }
    }
}
