//! One connection: served, or told to come back later.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};

use crate::app::App;
use crate::listeners::Door;
use crate::problem::{Code, Refusal};
use crate::settings::Settings;
use crate::stream::Stream;

/// The most bytes the head of a request may have, and the most read ahead of
/// what is worked on.
const HEAD_MAX: u32 = 32 << 10;

/// The most requests of one HTTP/2 connection at a time; a client waits with
/// the rest. An engine has all calls of a process on one connection.
const STREAMS_MAX: u32 = 256;
const ENGINE_STREAMS_MAX: u32 = 2_048;

/// How a connection of HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client that was told to come back later may take to read so.
const FAREWELL: Duration = Duration::from_secs(1);

type Http = auto::Builder<TokioExecutor>;

/// Serves connections, each in the way of the door it came by.
#[derive(Debug, Clone)]
pub struct Serving {
    tcp: Http,
    unix: Http,
    greeting: Duration,
    patience: Duration,
}

impl Serving {
    /// The way that the settings ask for.
    pub fn new(settings: &Settings) -> Self {
        Self {
            tcp: http(settings, STREAMS_MAX),
            unix: http(settings, ENGINE_STREAMS_MAX),
            greeting: settings.header_timeout,
            patience: settings.request_timeout,
        }
    }

    /// Serves a connection until either side closes it.
    pub fn serve(
        &self,
        stream: Stream,
        door: Door,
        app: &Arc<App>,
        watcher: Watcher,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static {
        let app = Arc::clone(app);
        let service = service_fn(move |request| {
            let app = Arc::clone(&app);
            async move { Ok::<_, Infallible>(app.answer(request, door).await) }
        });
        let stream = TokioIo::new(Impatient::new(stream, self.greeting, self.patience));
        let http = match door {
            Door::Tcp | Door::UnixHttp => &self.tcp,
            Door::Unix => &self.unix,
        };
        watcher.watch(http.serve_connection(stream, service).into_owned())
    }
}

/// HTTP/1 and HTTP/2, as the client begins.
fn http(settings: &Settings, streams: u32) -> Http {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        // Who has said all that he will say still waits for the answer.
        .half_close(true)
        .max_buf_size(HEAD_MAX as usize);
    http.http2()
        .timer(TokioTimer::new())
        // A client that is silent is asked whether it is there still.
        .keep_alive_interval(settings.header_timeout)
        .keep_alive_timeout(settings.header_timeout)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEAD_MAX);
    http
}

/// Tells a client that there is no room, as a whole HTTP response.
pub async fn turn_away(mut stream: Stream, app: &App) {
    let refusal = Refusal::Server(Code::Contention, "too many connections are open".into());
    let request_id = app.ids.fresh();
    let body = refusal.body("/", request_id.as_str());
    let mut response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\nretry-after: {}\r\nx-request-id: {}\r\nconnection: close\r\n\r\n",
        body.len(),
        refusal.retry_after_seconds().unwrap_or(1),
        request_id.as_str(),
    )
    .into_bytes();
    response.extend_from_slice(&body);
    let farewell = async {
        stream.write_all(&response).await?;
        stream.shutdown().await?;
        // Closing with words of the client unread would make its system throw
        // ours away before it has read them.
        let mut unread = [0; 1_024];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the client read it is its own affair.
    let _ = timeout(FAREWELL, farewell).await;
}

/// A stream that fails when the other side is too long in showing which HTTP it
/// speaks, or reads nothing for too long: nobody keeps a connection by silence
/// or by refusing its answers.
struct Impatient {
    stream: Stream,
    patience: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs until it is known which HTTP this is.
    greeting: Option<Pin<Box<Sleep>>>,
    /// How much of [`PREFACE`] came so far.
    greeted: usize,
}

impl Impatient {
    fn new(stream: Stream, greeting: Duration, patience: Duration) -> Self {
        let greeting = Some(Box::pin(sleep(greeting)));
        Self { stream, patience, stalled: None, greeting, greeted: 0 }
    }

    /// Takes note of what came. HTTP/1 is known by its first other byte, and
    /// has its own bound from then on.
    fn greet(&mut self, came: &[u8]) {
        let expected = &PREFACE[self.greeted..];
        let alike = came.iter().zip(expected).take_while(|(came, of)| came == of).count();
        self.greeted += alike;
        if alike < came.len() || self.greeted == PREFACE.len() {
            self.greeting = None;
        }
    }

    fn bound<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(greeting) = &mut self.greeting else {
            return self.stream.as_mut().poll_read(cx, buffer);
        };
        if greeting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let filled = buffer.filled().len();
        let read = ready!(self.stream.as_mut().poll_read(cx, buffer));
        self.greet(&buffer.filled()[filled..]);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = self.stream.as_mut().poll_write(cx, bytes);
        self.bound(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = self.stream.as_mut().poll_write_vectored(cx, pieces);
        self.bound(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_client_that_does_not_read_loses_its_connection() {
        let (server, client) = tokio::io::duplex(1_024);
        let mut server = Impatient::new(Box::pin(server), LONG, SHORT);
        let ended = server.write_all(&vec![0; 64 << 10]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn a_client_must_show_in_time_which_http_it_speaks() {
        for (said, is_known) in [
            (&b""[..], false),
            (b"P", false),
            (&PREFACE[..PREFACE.len() - 1], false),
            (PREFACE, true),
            (b"G", true),
            (b"POST", true),
        ] {
            let (server, mut client) = tokio::io::duplex(1_024);
            let mut server = Impatient::new(Box::pin(server), SHORT, LONG);
            client.write_all(said).await.unwrap();
            let mut read = vec![0; said.len() + 1];
            let reading = timeout(SHORT * 4, server.read_exact(&mut read)).await;
            let said = String::from_utf8_lossy(said);
            match reading {
                Ok(ended) => {
                    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut, "{said}");
                    assert!(!is_known, "{said}");
                }
                Err(_) => assert!(is_known, "{said}"),
            }
        }
    }
}
