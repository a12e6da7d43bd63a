//! Drives somebody's server over HTTP while it is measured: waits until it answers, then sends pictures to its endpoint.
use super::pipeline::{REQUESTS, TWO};
use crate::memory::{Event, Teller};
use anyhow::{Context, Result, bail, ensure};
use std::io::{self, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::thread;
use std::time::Duration;
use ureq::http::Uri;

/// The stage from the start until the endpoint answers.
pub const LISTEN: &str = "start until it answers";
/// Between two attempts to connect to a server that is starting.
const AGAIN: Duration = Duration::from_millis(20);
/// A request that takes longer is a failed one.
const LONGEST: Duration = Duration::from_mins(1);
/// Bytes of an answer that may tell why it is none.
const SAID: u64 = 2048;
/// Marks the parts of a form; no picture holds it.
const BOUNDARY: &str = "dermai-memcheck-7d1f3c5a9b2e4068";

/// How a server is driven.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Its endpoint, `http://` only.
    pub url: String,
    /// Pictures that are sent in turn, with their names.
    pub pictures: Vec<(String, Vec<u8>)>,
    /// The form field that takes the picture; none: the picture is the body.
    pub field: Option<String>,
    /// Requests, one after the other.
    pub requests: usize,
    /// Whether two requests at once follow.
    pub at_once: bool,
}

impl Drive {
    /// Checks, before the server is started, that the URL can be driven and that nobody listens there yet.
    ///
    /// # Errors
    /// When the URL is not a plain `http://` one, or another server has its port.
    pub fn check(&self) -> Result<()> {
        let (host, port) = self.address()?;
        ensure!(
            !listens(&host, port),
            "`--http {}`: a server listens there already; end it, or use another port",
            self.url
        );
        Ok(())
    }

    fn address(&self) -> Result<(String, u16)> {
        let uri: Uri = self.url.parse().with_context(|| format!("`--http {}` is not a URL", self.url))?;
        ensure!(
            uri.scheme_str() == Some("http"),
            "`--http {}`: only `http://` is spoken, such as `http://127.0.0.1:10000/predict`",
            self.url
        );
        let host = uri.host().with_context(|| format!("`--http {}` names no host", self.url))?;
        Ok((host.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(80)))
    }
}

/// Drives the server, and tells its stages and steps; at the end the server is to be stopped. A failed request ends the drive.
pub fn drive(plan: &Drive, teller: &Teller) {
    // When nobody listens the server has ended, and how is seen elsewhere.
    teller.tell(match talk(plan, teller) {
        Ok(()) => Event::Stop,
        Err(error) => Event::Failed(format!("{error:#}")),
    });
}

fn talk(plan: &Drive, teller: &Teller) -> Result<()> {
    let (host, port) = plan.address()?;
    while !listens(&host, port) {
        // A server that never listens is ended by the patience of who watches it.
        if teller.is_over() {
            return Ok(());
        }
        thread::sleep(AGAIN);
    }
    let endpoint = Endpoint::new(plan.url.clone(), plan.field.clone());
    let send = |picture| match endpoint.send(picture)? {
        Answered::Well => Ok(()),
        Answered::Otherwise(status, said) => bail!("`{}` answers {status}: {said}", plan.url),
    };
    teller.tell(Event::Stage(REQUESTS.to_owned()));
    for picture in plan.pictures.iter().cycle().take(plan.requests) {
        send(picture)?;
        if !teller.tell(Event::Step) {
            return Ok(());
        }
    }
    if !plan.at_once {
        return Ok(());
    }
    teller.tell(Event::Stage(TWO.to_owned()));
    thread::scope(|scope| {
        let one = || plan.pictures.first().map_or(Ok(()), send);
        let other = scope.spawn(one);
        let own = one();
        other.join().map_err(|_| anyhow::anyhow!("a request panicked"))?.and(own)
    })
}

fn listens(host: &str, port: u16) -> bool {
    let mut addresses = (host, port).to_socket_addrs().into_iter().flatten();
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}

/// Where pictures are sent to.
pub struct Endpoint {
    url: String,
    /// The form field that takes the picture; none: the picture is the body.
    field: Option<String>,
    agent: ureq::Agent,
}

/// What came back.
pub enum Answered {
    /// A status of success.
    Well,
    /// Another status, and the begin of what it says.
    Otherwise(u16, String),
}

impl Endpoint {
    /// Talks to this address and to nobody else: through no proxy, and wherever an answer points to.
    pub fn new(url: String, field: Option<String>) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(LONGEST)).http_status_as_error(false);
        let agent = config.proxy(None).max_redirects(0).max_redirects_will_error(false).build().into();
        Self { url, field, agent }
    }

    /// Sends a picture with its name, and reads the answer to its end.
    pub fn send(&self, (name, picture): &(String, Vec<u8>)) -> Result<Answered> {
        let is_png = Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
        let kind = format!("image/{}", if is_png { "png" } else { "jpeg" });
        let form = self.field.as_ref().map(|field| form(field, name, &kind, picture));
        let kind = form.as_ref().map_or(kind, |_| format!("multipart/form-data; boundary={BOUNDARY}"));
        let response = self.agent.post(&self.url).content_type(kind).send(form.as_ref().unwrap_or(picture));
        let mut response = response.with_context(|| format!("`{}` does not answer", self.url))?;
        let status = response.status();
        let mut said = Vec::new();
        let mut body = response.body_mut().as_reader();
        let read = body.by_ref().take(SAID).read_to_end(&mut said).and_then(|_| io::copy(&mut body, &mut io::sink()));
        read.with_context(|| format!("`{}` does not end its answer", self.url))?;
        if status.is_success() {
            return Ok(Answered::Well);
        }
        let text = String::from_utf8_lossy(&said);
        let first: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
        Ok(Answered::Otherwise(status.as_u16(), first))
    }
}

/// A form with one file (RFC 7578).
fn form(field: &str, name: &str, kind: &str, picture: &[u8]) -> Vec<u8> {
    let plain = |text: &str| text.replace(['"', '\r', '\n'], "_");
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {kind}\r\n\r\n",
        plain(field),
        plain(name)
    );
    [head.as_bytes(), picture, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}
