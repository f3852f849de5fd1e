//! Preflight checks: tell a Redis that an operator must reconfigure from one that
//! is unavailable for now, and say what to change.
//!
//! A Redis that is down, loading, full or a replica recovers by itself, and the
//! engine continues without it until then. One that rejects the credentials, the
//! permissions or the protocol will do so for ever: an engine does not open on
//! it, and one that is open already logs it once and continues without it.

use redis::{ErrorKind, RedisError, RedisResult, Script};

use super::connection::Connection;
use super::endpoint::RedisEndpoint;
use super::names::RedisNames;
use crate::tls;

/// Runs each command of the engine's scripts, on a probe key and channel, and
/// leaves nothing behind. Returns the first rejection.
const PREFLIGHT: &str = r"
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

#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// The server cannot be reached, or takes no writes now.
    #[error(transparent)]
    Unreachable(#[from] RedisError),
    /// The server rejects the settings; the text says what to change.
    #[error("{0}")]
    Misconfigured(String),
}

/// Runs every command that the engine uses, so that a missing permission shows at
/// the start.
pub(super) async fn preflight(
    connection: &mut Connection,
    names: &RedisNames,
    probe: &str,
) -> RedisResult<()> {
    let channel = names.channel("probe");
    connection.subscribe(&channel).await?;
    connection.unsubscribe(&channel).await?;
    redis::cmd("GET").arg(probe).exec_async(connection).await?;
    let script = Script::new(PREFLIGHT);
    let answer: String = script.key(probe).arg(&channel).invoke_async(connection).await?;
    if answer.is_empty() {
        return Ok(());
    }
    let kind = ErrorKind::Server(redis::ServerErrorKind::ResponseError);
    Err((kind, "a script was rejected", answer).into())
}

/// Whether the user lacks a permission. Within a script that has no error code of
/// its own, so the text is searched.
pub(super) fn is_permission_error(error: &RedisError) -> bool {
    let text = error.to_string();
    error.code() == Some("NOPERM")
        || ["NOPERM", "The user executing the script", "ACL failure"]
            .iter()
            .any(|part| text.contains(part))
}

/// What to change in the settings or in the ACL of Redis; `None` for an error
/// that may pass.
pub(super) fn advice(
    error: &RedisError,
    endpoint: &RedisEndpoint,
    names: &RedisNames,
) -> Option<String> {
    let text = error.to_string();
    let has = |part: &str| text.contains(part);
    let is = |code: &str| error.code() == Some(code) || has(code);
    let advice = if is("NOAUTH") {
        "the server requires a password; write redis://USER:PASSWORD@HOST, or \
         redis://:PASSWORD@HOST for its default user"
            .to_owned()
    } else if is("WRONGPASS") {
        "the server rejects the user and password of the URL; check them, and percent-encode \
         special characters"
            .to_owned()
    } else if is_permission_error(error) {
        let prefix = names.prefix();
        let prefix = prefix.rsplit_once(':').map_or(prefix, |(prefix, _)| prefix);
        format!(
            "the URL's user lacks a permission ({}); grant it by ACL SETUSER: ~{prefix}:* &{prefix}:* \
             +@all -@dangerous",
            error.detail().unwrap_or("NOPERM")
        )
    } else if has("switch database") {
        let database = endpoint.database();
        format!("the server has no database {database}; change the number in the URL")
    } else if error.kind() == ErrorKind::RESP3NotSupported {
        "the server has no RESP3; use Redis 6 or later".to_owned()
    } else if has("cluster support disabled") {
        "the server is not in a cluster; begin the URL with redis:// instead of redis+cluster://"
            .to_owned()
    } else if error.kind() == ErrorKind::Parse {
        "the server there is not a Redis; check host and port".to_owned()
    } else {
        tls::advice(&text, "setting redis_ca")?
    };
    Some(advice)
}

/// Words a refusal: setting, endpoint, and what to change.
pub(super) fn refusal(endpoint: &RedisEndpoint, advice: &str) -> String {
    format!("setting redis: {endpoint}: {advice}")
}
