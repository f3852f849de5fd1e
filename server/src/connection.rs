//! One connection: served, or told to come back later.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

use crate::app::App;
use crate::problem::{Code, Refusal};
use crate::settings::Settings;

/// The most bytes the head of a request may have.
const HEAD_MAX: usize = 32 << 10;

/// The most bytes read ahead of what is worked on.
const BUFFER_MAX: usize = 64 << 10;

/// How long a client that was told to come back later may take to read so.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves connections in one way.
#[derive(Debug, Clone)]
pub struct Serving {
    http: http1::Builder,
    patience: Duration,
}

impl Serving {
    /// The way that the settings ask for.
    pub fn new(settings: &Settings) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(settings.header_timeout)
            .max_header_size(HEAD_MAX)
            .max_buf_size(BUFFER_MAX);
        Self { http, patience: settings.request_timeout }
    }

    /// Serves a connection until either side closes it.
    pub fn serve(
        &self,
        stream: TcpStream,
        app: &Arc<App>,
        watcher: Watcher,
    ) -> impl Future<Output = Result<(), hyper::Error>> + Send + 'static {
        let app = Arc::clone(app);
        let service = service_fn(move |request| {
            let app = Arc::clone(&app);
            async move { Ok::<_, Infallible>(app.answer(request).await) }
        });
        let stream = TokioIo::new(Impatient::new(stream, self.patience));
        watcher.watch(self.http.serve_connection(stream, service))
    }
}

/// Tells a client that there is no room, as a whole HTTP response.
pub async fn turn_away(mut stream: TcpStream, app: &App) {
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

/// A stream whose writes fail when the other side reads nothing for too long,
/// so that nobody keeps a connection by refusing its answers.
struct Impatient {
    stream: TcpStream,
    patience: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, stalled: None }
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
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bound(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.bound(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_client_that_does_not_read_loses_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut server = Impatient::new(server, Duration::from_millis(50));
        let ended = server.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
