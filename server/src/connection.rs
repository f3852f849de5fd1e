//! Serves one connection, or rejects it with 503.

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
use crate::listeners::{Peer, Transport};
use crate::problem::{Code, Rejection};
use crate::settings::Settings;
use crate::stream::Stream;

/// The largest request head, and the most bytes read ahead of the request being
/// served.
const HEAD_MAX: u32 = 32 << 10;

/// The most concurrent streams of one HTTP/2 connection; flow control delays
/// further ones. A remote engine multiplexes all calls of its process over one
/// connection, so it gets more.
const STREAMS_MAX: u32 = 256;
const ENGINE_STREAMS_MAX: u32 = 2_048;

/// The HTTP/2 connection preface.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a rejected client may take to read the 503 response.
const REJECT_TIMEOUT: Duration = Duration::from_secs(1);

type Http = auto::Builder<TokioExecutor>;

/// Serves connections with the protocol settings of their transport.
#[derive(Debug, Clone)]
pub struct ConnectionServer {
    tcp: Http,
    unix: Http,
    detection: Duration,
    write_timeout: Duration,
}

impl ConnectionServer {
    /// Creates it from the settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            tcp: http(settings, STREAMS_MAX),
            unix: http(settings, ENGINE_STREAMS_MAX),
            detection: settings.header_timeout,
            write_timeout: settings.request_timeout,
        }
    }

    /// Serves a connection until either side closes it.
    pub fn serve(
        &self,
        stream: Stream,
        peer: Peer,
        app: &Arc<App>,
        watcher: Watcher,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static {
        let app = Arc::clone(app);
        let service = service_fn(move |request| {
            let app = Arc::clone(&app);
            async move { Ok::<_, Infallible>(App::handle(app, request, peer).await) }
        });
        let stream = TokioIo::new(TimeoutStream::new(stream, self.detection, self.write_timeout));
        let http = match peer.transport {
            Transport::Tcp | Transport::UnixHttp => &self.tcp,
            Transport::Unix => &self.unix,
        };
        watcher.watch(http.serve_connection(stream, service).into_owned())
    }
}

/// Configures hyper to detect HTTP/1 or HTTP/2 from the first bytes.
fn http(settings: &Settings, streams: u32) -> Http {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        // A client that has closed its sending half still waits for the
        // response.
        .half_close(true)
        .max_buf_size(HEAD_MAX as usize);
    http.http2()
        .timer(TokioTimer::new())
        // Ping a silent client, and drop it if it does not respond.
        .keep_alive_interval(settings.header_timeout)
        .keep_alive_timeout(settings.header_timeout)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEAD_MAX);
    http
}

/// Rejects a connection with a complete HTTP response: load shedding at the
/// connection limit.
pub async fn reject(mut stream: Stream, app: &App) {
    let rejection = Rejection::Server(Code::Contention, "too many open connections".into());
    let request_id = app.ids.fresh();
    let body = rejection.body("/", request_id.as_str());
    let mut response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\nretry-after: {}\r\nx-request-id: {}\r\nconnection: close\r\n\r\n",
        body.len(),
        rejection.retry_after_seconds().unwrap_or(1),
        request_id.as_str(),
    )
    .into_bytes();
    response.extend_from_slice(&body);
    let reject_slot = async {
        stream.write_all(&response).await?;
        stream.shutdown().await?;
        // Closing with unread input makes the kernel send RST, which would
        // discard the response before the client reads it.
        let mut unread = [0; 1_024];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the client reads the response does not matter here.
    let _ = timeout(REJECT_TIMEOUT, reject_slot).await;
}

/// A stream with timeouts: it fails when the client does not reveal its
/// protocol, or does not read for too long. Protects against slow-client
/// attacks.
struct TimeoutStream {
    stream: Stream,
    write_timeout: Duration,
    /// Runs while a write is blocked.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs until the protocol is detected.
    detection: Option<Pin<Box<Sleep>>>,
    /// How many bytes of [`PREFACE`] were received so far.
    preface_matched: usize,
}

impl TimeoutStream {
    fn new(stream: Stream, detection: Duration, write_timeout: Duration) -> Self {
        let detection = Some(Box::pin(sleep(detection)));
        Self { stream, write_timeout, stalled: None, detection, preface_matched: 0 }
    }

    /// Inspects received bytes. The first byte that is not the HTTP/2 preface
    /// means HTTP/1, which has its own header timeout.
    fn detect_protocol(&mut self, received: &[u8]) {
        let expected = &PREFACE[self.preface_matched..];
        let alike =
            received.iter().zip(expected).take_while(|(received, of)| received == of).count();
        self.preface_matched += alike;
        if alike < received.len() || self.preface_matched == PREFACE.len() {
            self.detection = None;
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
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(detection) = &mut self.detection else {
            return self.stream.as_mut().poll_read(cx, buffer);
        };
        if detection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let filled = buffer.filled().len();
        let read = ready!(self.stream.as_mut().poll_read(cx, buffer));
        self.detect_protocol(&buffer.filled()[filled..]);
        Poll::Ready(read)
    }
}

impl AsyncWrite for TimeoutStream {
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
    async fn write_times_out_when_the_client_does_not_read() {
        let (server, client) = tokio::io::duplex(1_024);
        let mut server = TimeoutStream::new(Box::pin(server), LONG, SHORT);
        let ended = server.write_all(&vec![0; 64 << 10]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn protocol_detection_times_out() {
        for (said, is_known) in [
            (&b""[..], false),
            (b"P", false),
            (&PREFACE[..PREFACE.len() - 1], false),
            (PREFACE, true),
            (b"G", true),
            (b"POST", true),
        ] {
            let (server, mut client) = tokio::io::duplex(1_024);
            let mut server = TimeoutStream::new(Box::pin(server), SHORT, LONG);
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
