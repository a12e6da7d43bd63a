//! A client: it does one act after the other, and judges what comes back.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::mix::{Act, Chance};
use super::tally::{End, REFUSALS};
use crate::load::{Asked, Broken, Connection, Expected, Picture, Reply, head};

/// A slow reader reads slowly for so long, and as it likes from then on.
const SLOW_READING: Duration = Duration::from_secs(6);
/// A slow writer takes about so long …
const SLOW_WRITING: Duration = Duration::from_secs(4);
/// … and sends so many pieces.
const PIECES: usize = 80;
/// Who has stalled waits for so long for a word.
const STALLING: Duration = Duration::from_secs(45);
/// Who reads nothing has asked for so many answers, and stays for so long.
const UNREAD: usize = 300;
const IGNORING: Duration = Duration::from_secs(8);
/// So much of an answer with an overlay is read before its reader goes.
const READ: u64 = 64 << 10;
/// Who was refused comes again after this time, and who takes long by intent so often.
pub const AGAIN: Duration = Duration::from_millis(100);
const TRIES: usize = 50;
const BOUNDARY: &str = "soak-7f3a";

/// Whom the clients ask.
#[derive(Debug)]
pub struct Subject {
    /// Whose server it is.
    pub name: &'static str,
    /// Its programs and models, which are not in the page cache when it starts.
    pub files: Vec<PathBuf>,
    /// Pictures and their right answers.
    pub pictures: Vec<(Picture, Expected)>,
    /// Whether it makes overlays.
    pub maps: bool,
    /// Who takes long by intent takes a place here.
    pub slow: Gate,
}

/// Lets some in at once, and each place rests for as long as it was taken.
#[derive(Debug)]
pub struct Gate(Mutex<Vec<Instant>>);

/// What one client asks with.
pub struct Client<'a> {
    /// Whom it asks.
    pub subject: &'a Subject,
    /// What comes next.
    pub chance: Chance,
}

impl Gate {
    /// For so many at once.
    pub fn of(places: usize) -> Self {
        Self(Mutex::new(vec![Instant::now(); places]))
    }

    /// Does it if there is a place.
    pub fn pass<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let begun = Instant::now();
        {
            let mut places = self.0.lock().ok()?;
            let at = places.iter().position(|free| *free <= begun)?;
            places.swap_remove(at);
        }
        let done = work();
        self.0.lock().ok()?.push(Instant::now() + begun.elapsed());
        Some(done)
    }
}

impl Client<'_> {
    /// Does the next act.
    pub fn step(&mut self, address: SocketAddr) -> (Act, End) {
        loop {
            let act = self.chance.act();
            if !act.is_slow() {
                return (act, self.act(act, address));
            }
            let subject = self.subject;
            if let Some(end) = subject.slow.pass(|| self.insist(act, address)) {
                return (act, end);
            }
        }
    }

    /// Comes again and again while all places are taken.
    fn insist(&mut self, act: Act, address: SocketAddr) -> End {
        let mut end = self.act(act, address);
        for _ in 1..TRIES {
            if end != End::Refused(429) {
                break;
            }
            thread::sleep(AGAIN);
            end = self.act(act, address);
        }
        end
    }

    fn act(&mut self, act: Act, address: SocketAddr) -> End {
        let fitting: Vec<_> =
            self.subject.pictures.iter().filter(|(picture, _)| picture.is_large == act.is_large()).collect();
        let (picture, expected) = fitting[self.chance.below(fitting.len())];
        let request = Request::of(act, &picture.bytes, self.subject.maps);
        let mut connection = match Connection::open(address) {
            Ok(connection) => connection,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return End::Down,
            Err(error) => return End::Broken(format!("cannot connect: {error}")),
        };
        let replied = match act {
            Act::LeavesUpload => return self.leave_upload(&mut connection, &request),
            Act::ReadsNothing => return read_nothing(&mut connection),
            Act::LeavesAnswer => return leave_answer(&mut connection, &request),
            Act::SlowWriter => trickle(&mut connection, &request),
            Act::Stalled => stall(&mut connection, &request),
            _ => {
                if act == Act::SlowReader {
                    connection.read_slowly(SLOW_READING);
                }
                connection.ask(&request.head, &request.body)
            }
        };
        judge(act, &request, expected, replied)
    }

    fn leave_upload(&mut self, connection: &mut Connection, request: &Request) -> End {
        let part = self.chance.below(request.body.len());
        // Whether it arrives is nobody's concern.
        let _ = connection.write(request.head.as_bytes()).and_then(|()| connection.write(&request.body[..part]));
        End::Left
    }
}

/// What is sent.
struct Request {
    head: String,
    body: Vec<u8>,
    asked: Asked,
}

impl Request {
    fn of(act: Act, photo: &[u8], maps: bool) -> Self {
        let asked = match act {
            Act::Map | Act::SmallMap | Act::SlowReader | Act::LeavesAnswer if maps => Asked::Map,
            Act::Png if maps => Asked::Png,
            _ => Asked::Plain,
        };
        let body = body(act, photo);
        let length = if act == Act::Huge { 3 << 40 } else { body.len() as u64 };
        let kind = match act {
            Act::Form | Act::BrokenForm => &format!("multipart/form-data; boundary={BOUNDARY}"),
            Act::Json | Act::BrokenJson => "application/json",
            _ => "image/jpeg",
        };
        let path = asked.path();
        let accept = if asked == Asked::Png { "image/png" } else { "application/json" };
        Self { head: head("POST", path, &[("Content-Type", kind), ("Accept", accept)], length), body, asked }
    }
}

fn body(act: Act, photo: &[u8]) -> Vec<u8> {
    let form = |end: &str| {
        let begin = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
        );
        [begin.as_bytes(), photo, end.as_bytes()].concat()
    };
    match act {
        Act::Form => form(&format!("\r\n--{BOUNDARY}--\r\n")),
        Act::BrokenForm => form(""),
        Act::Json => format!(r#"{{"image":"{}"}}"#, STANDARD.encode(photo)).into_bytes(),
        Act::BrokenJson => format!(r#"{{"image":"{}"#, STANDARD.encode(&photo[..photo.len() / 4])).into_bytes(),
        Act::Text => "no picture at all\n".repeat(5000).into_bytes(),
        Act::Empty => Vec::new(),
        Act::Truncated | Act::Huge => photo[..photo.len() / 2].to_vec(),
        _ => photo.to_vec(),
    }
}

fn leave_answer(connection: &mut Connection, request: &Request) -> End {
    let sent = connection.write(request.head.as_bytes()).and_then(|()| connection.write(&request.body));
    match connection.read_some(READ) {
        Some(status) if status != 200 => End::Refused(status),
        Some(_) => End::Left,
        None => End::Broken(sent.err().map_or("no answer".to_owned(), |error| error.to_string())),
    }
}

fn trickle(connection: &mut Connection, request: &Request) -> Result<Reply, Broken> {
    let piece = request.body.len().div_ceil(PIECES);
    let mut sent = connection.write(request.head.as_bytes());
    for part in request.body.chunks(piece) {
        sent = sent.and_then(|()| connection.write(part));
        thread::sleep(SLOW_WRITING / PIECES as u32);
    }
    // Whoever is refused early is told so.
    connection.read()
}

/// Half of it, and then nothing.
fn stall(connection: &mut Connection, request: &Request) -> Result<Reply, Broken> {
    let half = &request.body[..request.body.len() / 2];
    let _ = connection.write(request.head.as_bytes()).and_then(|()| connection.write(half));
    let _ = connection.wait_at_most(STALLING);
    connection.read()
}

/// Has as much of the server's memory as it can get without a place.
fn read_nothing(connection: &mut Connection) -> End {
    let all = head("GET", "/openapi.json", &[], 0).repeat(UNREAD);
    // It is given up at some time.
    let _ = connection.write(all.as_bytes());
    thread::sleep(IGNORING);
    End::Left
}

fn judge(act: Act, request: &Request, expected: &Expected, replied: Result<Reply, Broken>) -> End {
    let Reply { status, body, .. } = match replied {
        Ok(reply) => reply,
        // It waited, and went.
        Err(broken) if act == Act::Stalled && !broken.begun => return End::Left,
        Err(broken) => {
            let when = if broken.begun { "in the middle of an answer" } else { "before an answer" };
            return End::Broken(format!("{when}: {}", broken.why));
        }
    };
    let said = || String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    match status {
        200 if act.is_malformed() => End::Wrong(format!("200 for what is no picture: {}", said())),
        200 => expected.check(request.asked, &body).map_or_else(End::Wrong, |()| End::Right),
        // A good picture cannot be unreadable.
        400 | 422 if !act.is_malformed() => End::Wrong(format!("{status} for a good picture: {}", said())),
        status if REFUSALS.contains(&status) => End::Refused(status),
        status => End::Wrong(format!("status {status}: {}", said())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(act: Act, status: u16, body: &str) -> End {
        let document = br#"{"results":[{"predictions":[{"index":1,"probability":0.5}]}]}"#;
        let expected = Expected::of(document, [1, 1]).unwrap();
        let request = Request::of(act, b"photo", true);
        judge(act, &request, &expected, Ok(Reply { status, stays: true, body: body.as_bytes().to_vec() }))
    }

    #[test]
    fn an_answer_is_judged_by_what_was_sent() {
        let right = r#"{"results":[{"predictions":[{"index":1,"probability":0.5}]}]}"#;
        assert_eq!(judged(Act::Photo, 200, right), End::Right);
        assert!(matches!(judged(Act::Text, 200, right), End::Wrong(_)));
        assert!(matches!(judged(Act::Photo, 200, &right.replace("0.5", "0.6")), End::Wrong(_)));
        assert!(matches!(judged(Act::Photo, 422, ""), End::Wrong(_)));
        assert_eq!(judged(Act::Text, 422, ""), End::Refused(422));
        assert_eq!(judged(Act::Photo, 429, ""), End::Refused(429));
        assert!(matches!(judged(Act::Text, 500, ""), End::Wrong(_)));
        // The overlay is missing.
        assert!(matches!(judged(Act::Map, 200, right), End::Wrong(_)));
    }

    #[test]
    fn what_is_sent_is_as_broken_as_it_should_be() {
        assert_eq!(body(Act::Photo, b"photo"), b"photo");
        assert!(body(Act::Form, b"photo").ends_with(b"\r\nphoto\r\n--soak-7f3a--\r\n"));
        assert!(body(Act::BrokenForm, b"photo").ends_with(b"\r\nphoto"));
        assert!(serde_json::from_slice::<serde_json::Value>(&body(Act::Json, b"photo")).is_ok());
        assert!(serde_json::from_slice::<serde_json::Value>(&body(Act::BrokenJson, b"photo")).is_err());
        assert!(Request::of(Act::Huge, b"photo", true).head.contains("Content-Length: 3298534883328\r\n"));
    }

    #[test]
    fn a_gate_lets_no_more_in_than_it_has_places() {
        let gate = Gate::of(1);
        let inner = gate.pass(|| gate.pass(|| ()));
        assert_eq!(inner, Some(None));
        assert_eq!(Gate::of(0).pass(|| ()), None);
    }
}
