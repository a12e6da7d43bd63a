//! Connections: accepted while the server runs, each with time limits, and finished when it ends.
use super::linger::{Lingering, Progress};
use super::shutdown::{Shutdown, Stage};
use axum::Router;
use axum::http::header::CONNECTION;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_http::normalize_path::NormalizePathLayer;

/// Connections at once; others wait in the kernel's queue, until one that is idle has made place.
const MOST: usize = 64;
/// A connection has so much time to ask before it counts as idle.
const YOUNG: Duration = Duration::from_secs(1);
/// A connection may be idle for so long: a proxy that keeps one must not send a request while we close it, so that this is longer than usual
/// proxies keep theirs (nginx 60 s, cloud load balancers 60 s).
const IDLE: Duration = Duration::from_secs(75);
/// What hyper reads ahead, and the longest head: a photo's is a few hundred bytes.
const BUFFER: usize = 16 << 10;
/// After a failed `accept` (no descriptors, no memory) it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// What the kernel holds of an answer that is not read yet. It counts to the memory of a container; and the megabytes that it would hold
/// otherwise are freed in lumps for which a slow reader takes longer than we wait. A client gets no more than this in the time that its
/// acknowledgement takes: from the other side of the earth, a quarter of a second, half a megabyte a second.
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
    let (alive, mut gone) = mpsc::channel(1);
    let house = House { app, places: Arc::new(Semaphore::new(MOST)), crowded: Arc::default(), alive };
    loop {
        let place = tokio::select! {
            place = house.place() => place,
            () = shutdown.reached(Stage::Draining) => break,
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => house.begin(stream, place, Some(shutdown.clone())),
                Err(_) => sleep(AGAIN).await,
            },
            () = shutdown.reached(Stage::Draining) => break,
        }
    }
    // Whoever has connected already, and may have asked, gets an answer, too, as far as there are places.
    while let Ok(place) = Arc::clone(&house.places).try_acquire_owned()
        && let Some(Ok((stream, _))) = listener.accept().now_or_never()
    {
        house.begin(stream, place, None);
    }
    drop(listener);
    drop(house);
    tokio::select! {
        finished = timeout(grace, gone.recv()) => finished.is_ok(),
        () = shutdown.reached(Stage::Over) => false,
    }
}

/// What connections have in common.
struct House {
    app: Router,
    places: Arc<Semaphore>,
    /// Tells them that others wait for a place.
    crowded: Arc<Notify>,
    /// Each holds one; when all are dropped, the receiver knows.
    alive: mpsc::Sender<Infallible>,
}

impl House {
    /// Waits for a place. Who has one and does not use it is asked to leave.
    async fn place(&self) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return place;
        }
        loop {
            self.crowded.notify_waiters();
            if let Ok(Ok(place)) = timeout(YOUNG, Arc::clone(&self.places).acquire_owned()).await {
                return place;
            }
        }
    }

    /// Serves a connection; at the end of the server it is ended after its answer, or after the first one where no end is told.
    fn begin(&self, stream: TcpStream, place: OwnedSemaphorePermit, end: Option<Shutdown>) {
        let _ = stream.set_nodelay(true);
        let app = NormalizePathLayer::trim_trailing_slash().layer(self.app.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).max_buf_size(BUFFER).keep_alive(end.is_some());
        // Who has not asked when it comes to the end is not waited for.
        http.header_read_timeout(if end.is_some() { IDLE } else { YOUNG });
        let progress = Arc::new(Progress::default());
        let stream = Lingering::new(stream, Arc::clone(&progress));
        let begins = Arc::clone(&progress);
        let app = ServiceExt::<Request<Incoming>>::map_request(app, move |request| {
            begins.asked();
            request
        });
        let noting = ServiceExt::<Request<Incoming>>::map_response(app, move |response: Response| {
            progress.answers(response.headers().contains_key(CONNECTION));
            response
        });
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(noting));
        let (crowded, alive) = (Arc::clone(&self.crowded), self.alive.clone());
        tokio::spawn(async move {
            let _held = (place, alive);
            let (mut connection, begun) = (pin!(connection), Instant::now());
            let told = async {
                match end {
                    Some(end) => end.reached(Stage::Draining).await,
                    None => pending().await,
                }
            };
            let asked = async {
                loop {
                    crowded.notified().await;
                    if begun.elapsed() >= YOUNG {
                        break;
                    }
                }
            };
            tokio::select! {
                // A client that breaks off is no fault of ours.
                _ = connection.as_mut() => return,
                () = told => {}
                () = asked => {}
            }
            // At once where nothing is asked, else after the answer.
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        });
    }
}
