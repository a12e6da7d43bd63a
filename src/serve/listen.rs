//! Connections: accepted while the server runs, each with time limits, and finished when it ends.
use super::linger::Lingering;
use super::shutdown::{Shutdown, Stage};
use axum::Router;
use axum::http::header::CONNECTION;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_http::normalize_path::NormalizePathLayer;

/// Connections at once; others wait in the kernel's queue.
const MOST: usize = 128;
/// The head of a request arrives within this time; so long may a connection be idle, too.
const HEAD: Duration = Duration::from_secs(10);
/// What hyper reads ahead, and the longest head: a photo's is a few hundred bytes.
const BUFFER: usize = 16 << 10;
/// After a failed `accept` (no descriptors, no memory) it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// What the kernel holds of an answer that is not read yet. It counts to the memory of a container; and the megabytes that it would hold
/// otherwise are freed in lumps for which a slow reader takes longer than we wait.
const UNREAD: u32 = 128 << 10;
/// Connections that wait in the kernel's queue.
const BACKLOG: u32 = 1024;

/// Opens the door.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // On Windows it would mean that others may listen there, too.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    // Connections have what their listener has.
    socket.set_send_buffer_size(UNREAD)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until the end, and for `grace` longer if requests are under way. Gives whether all of them were finished.
pub async fn serve(listener: TcpListener, app: Router, shutdown: &Shutdown, grace: Duration) -> bool {
    let connections = Arc::new(Semaphore::new(MOST));
    let graceful = GracefulShutdown::new();
    let begin = |stream: TcpStream, permit| {
        let _ = stream.set_nodelay(true);
        let app = NormalizePathLayer::trim_trailing_slash().layer(app.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
        let closes = Arc::new(AtomicBool::new(false));
        let stream = Lingering::new(stream, Arc::clone(&closes));
        let noting = ServiceExt::<Request<Incoming>>::map_response(app, move |response: Response| {
            closes.store(response.headers().contains_key(CONNECTION), Ordering::Relaxed);
            response
        });
        let service = TowerToHyperService::new(noting);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _ = connection.await; // a client that breaks off is no fault of ours
            drop(permit);
        });
    };
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit.ok(),
            () = shutdown.reached(Stage::Draining) => break,
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => begin(stream, permit),
                Err(_) => sleep(AGAIN).await,
            },
            () = shutdown.reached(Stage::Draining) => break,
        }
    }
    // Whoever has connected already gets an answer, too.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        begin(stream, None);
    }
    drop(listener);
    tokio::select! {
        finished = timeout(grace, graceful.shutdown()) => finished.is_ok(),
        () = shutdown.reached(Stage::Over) => false,
    }
}
