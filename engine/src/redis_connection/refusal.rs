//! What of a Redis's answers is for an operator to mend, and what to change.
//!
//! A Redis that is down, loading, full or a replica comes back by itself, and
//! the engine goes on without it until then. One that answers and refuses the
//! credentials, the rights or the manner of speaking will refuse for ever: an
//! engine does not open on it, and one that is open already says so once and
//! goes on without it.

use redis::{ErrorKind, RedisError, RedisResult, Script};

use super::connection::Connection;
use super::names::RedisNames;
use super::place::Place;
use crate::tls;

/// Does what the engine's scripts do, on a key and a channel of its own, and
/// leaves nothing. It answers what was refused first.
const REHEARSAL: &str = r"
local key = KEYS[1]
local calls = {
  {'TIME'}, {'SET', key, '1', 'PX', '1000'}, {'GET', key}, {'EXISTS', key}, {'PTTL', key},
  {'DEL', key}, {'ZADD', key, 'NX', '1', 'a'}, {'ZREVRANGE', key, '0', '0', 'WITHSCORES'},
  {'PEXPIRE', key, '1000'}, {'ZREM', key, 'b'}, {'ZPOPMIN', key}, {'PUBLISH', ARGV[1], ''},
}
for _, call in ipairs(calls) do
  local answer = redis.pcall(unpack(call))
  if type(answer) == 'table' and answer.err then
    return call[1] .. ': ' .. answer.err
  end
end
return ''
";

/// Why Redis is not used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It cannot be reached, or takes no writes now.
    Gone(RedisError),
    /// It never will be as the settings are; the text says what to change.
    Refusing(String),
}

impl From<RedisError> for Unusable {
    fn from(error: RedisError) -> Self {
        Self::Gone(error)
    }
}

/// Rehearses all that the engine does, so that a missing right shows now.
pub(super) async fn rehearse(
    connection: &mut Connection,
    names: &RedisNames,
    probe: &str,
) -> RedisResult<()> {
    let channel = names.channel("probe");
    connection.subscribe(&channel).await?;
    connection.unsubscribe(&channel).await?;
    redis::cmd("GET").arg(probe).exec_async(connection).await?;
    let script = Script::new(REHEARSAL);
    let answer: String = script.key(probe).arg(&channel).invoke_async(connection).await?;
    if answer.is_empty() {
        return Ok(());
    }
    let kind = ErrorKind::Server(redis::ServerErrorKind::ResponseError);
    Err((kind, "a script was refused", answer).into())
}

/// Whether it says that the user lacks a right. Within scripts that is an error
/// like any other.
pub(super) fn is_about_rights(error: &RedisError) -> bool {
    let text = error.to_string();
    error.code() == Some("NOPERM")
        || ["NOPERM", "The user executing the script", "ACL failure"]
            .iter()
            .any(|part| text.contains(part))
}

/// What must be changed about the settings or about the Redis's users.
pub(super) fn advice(error: &RedisError, place: &Place, names: &RedisNames) -> Option<String> {
    let text = error.to_string();
    let has = |part: &str| text.contains(part);
    let is = |code: &str| error.code() == Some(code) || has(code);
    let advice = if is("NOAUTH") {
        "the server wants a password; write redis://USER:PASSWORD@HOST, or \
         redis://:PASSWORD@HOST for its default user"
            .to_owned()
    } else if is("WRONGPASS") {
        "the server does not take the user and password of the URL, in which special characters \
         are percent-encoded"
            .to_owned()
    } else if is_about_rights(error) {
        let prefix = names.prefix();
        let prefix = prefix.rsplit_once(':').map_or(prefix, |(prefix, _)| prefix);
        format!(
            "the URL's user lacks a right ({}); ACL SETUSER can give it: ~{prefix}:* &{prefix}:* \
             +@all -@dangerous",
            error.detail().unwrap_or("NOPERM")
        )
    } else if has("switch database") {
        let database = place.database();
        format!("the server has no database {database}; change the number in the URL")
    } else if error.kind() == ErrorKind::RESP3NotSupported {
        "Redis 6 or later is needed".to_owned()
    } else if has("cluster support disabled") {
        "the server is in no cluster; begin the URL with redis:// instead of redis+cluster://"
            .to_owned()
    } else if error.kind() == ErrorKind::Parse {
        "what answers there is no Redis; look at host and port".to_owned()
    } else {
        tls::advice(&text, "setting redis_ca")?
    };
    Some(advice)
}

/// The sentence of a refusal.
pub(super) fn sentence(place: &Place, advice: &str) -> String {
    format!("setting redis: {place}: {advice}")
}
