//! The async engine behind a small HTTP server of hyper:
//! `cargo run -p stockade --example async_hyper`, then
//! `curl -X POST http://127.0.0.1:8081/products/1/holds/2`.
//!
//! All connections share one engine, so requests that wait for the same product
//! are decided in one transaction.

use std::convert::Infallible;
use std::error::Error as StdError;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use stockade::{AsyncEngine, Error, ErrorKind, HoldRequest, NewProduct, ProductId};
use tokio::net::TcpListener;

const ADDRESS: &str = "127.0.0.1:8081";

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let engine = AsyncEngine::open("sqlite::memory:").await?;
    engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 100)).await?;

    let listener = TcpListener::bind(ADDRESS).await?;
    println!("listening on http://{ADDRESS}");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(serve(engine.clone(), TokioIo::new(stream)));
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    // Drains requests in flight, then closes the store.
    engine.close().await;
    Ok(())
}

/// Serves one connection. A client that disconnects drops its request's future,
/// which leaves nothing half done.
async fn serve(engine: AsyncEngine, stream: TokioIo<tokio::net::TcpStream>) {
    let service = service_fn(move |request| {
        let engine = engine.clone();
        async move { Ok::<_, Infallible>(respond(&engine, &request).await) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(stream, service).await {
        eprintln!("connection failed: {error}");
    }
}

/// Routes a request to a call of the engine.
async fn respond(engine: &AsyncEngine, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let segments: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    let result = match (request.method(), segments.as_slice()) {
        (&Method::GET, ["products", id]) => product(engine, id).await,
        (&Method::POST, ["products", id, "holds", quantity]) => hold(engine, id, quantity).await,
        _ => return json(StatusCode::NOT_FOUND, r#"{"code":"not_found"}"#.to_owned()),
    };
    match result {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => json(status(error.kind()), format!(r#"{{"code":"{}"}}"#, error.code())),
    }
}

async fn product(engine: &AsyncEngine, id: &str) -> Result<String, Error> {
    let product = engine.product(parse_id(id)?).await?;
    Ok(format!(r#"{{"stock":{},"held":{}}}"#, product.stock, product.held))
}

async fn hold(engine: &AsyncEngine, id: &str, quantity: &str) -> Result<String, Error> {
    let quantity = stockade::parse_quantity(quantity)?;
    let hold = engine.create_hold(HoldRequest::new(parse_id(id)?, quantity)).await?.value;
    // The answer that makes a hold is the only one that shows its token.
    let token = hold.token.map(|token| token.to_string()).unwrap_or_default();
    Ok(format!(r#"{{"id":{},"token":"{token}"}}"#, hold.id))
}

fn parse_id(text: &str) -> Result<ProductId, Error> {
    let id = text.parse::<u64>();
    id.map(ProductId::from).map_err(|_| Error::invalid_argument("the id must be a whole number"))
}

/// The HTTP status of an error. docs/http.md has the statuses of every code.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::QuantityLimit => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::InsufficientStock => StatusCode::CONFLICT,
        ErrorKind::Contention | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}
