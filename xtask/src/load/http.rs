//! HTTP/1.1 over a plain connection (RFC 9112): requests in pieces, answers at any pace, and both broken off at will.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for a connection, and for the next byte in either direction.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longest line of a head.
const LINE: u64 = 16 << 10;
/// A slow reader takes so much …
const SIP: usize = 4 << 10;
/// … and then so long nothing.
const REST: Duration = Duration::from_millis(50);

/// A connection to a server.
pub struct Connection {
    reader: BufReader<Paced>,
}

/// A stream that is read slowly for some time.
struct Paced {
    stream: TcpStream,
    slow_until: Option<Instant>,
    /// Bytes that came.
    seen: u64,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status code.
    pub status: u16,
    /// Whether more can be asked on the same connection.
    pub stays: bool,
    /// What it holds.
    pub body: Vec<u8>,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub struct Broken {
    /// Whether some of it had come.
    pub begun: bool,
    /// In words.
    pub why: String,
}

/// The head of a request with these headers; `length` is that of its body.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: u64) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        // Writing to a string does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(Paced { stream, slow_until: None, seen: 0 }) })
    }

    /// Sends some bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().stream.write_all(bytes)
    }

    /// Reads at a trickle for so long.
    pub fn read_slowly(&mut self, time: Duration) {
        self.reader.get_mut().slow_until = Some(Instant::now() + time);
    }

    /// Waits no longer than this for a byte.
    pub fn wait_at_most(&mut self, time: Duration) -> io::Result<()> {
        self.reader.get_mut().stream.set_read_timeout(Some(time))
    }

    /// Reads an answer to its end.
    pub fn read(&mut self) -> Result<Reply, Broken> {
        let before = self.reader.get_ref().seen;
        parse(&mut self.reader).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "nothing more came in time".to_owned(),
                _ => error.to_string(),
            };
            Broken { begun: self.reader.get_ref().seen > before, why }
        })
    }

    /// Reads no more than so many bytes of an answer. Gives its status.
    pub fn read_some(&mut self, most: u64) -> Option<u16> {
        let first = line(&mut self.reader).ok()?;
        // What comes of it, and whether, is nobody's concern.
        let _ = io::copy(&mut (&mut self.reader).take(most), &mut io::sink());
        status(&first)
    }

    /// Sends a whole request and reads its answer. A server may answer and close before it has read all: then the answer counts.
    pub fn ask(&mut self, head: &str, body: &[u8]) -> Result<Reply, Broken> {
        let sent = self.write(head.as_bytes()).and_then(|()| self.write(body));
        match (self.read(), sent) {
            (Err(broken), Err(error)) if !broken.begun => {
                Err(Broken { why: format!("{error} while it was sent; {}", broken.why), ..broken })
            }
            (answered, _) => answered,
        }
    }
}

impl Read for Paced {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let is_slow = self.slow_until.is_some_and(|until| Instant::now() < until);
        let most = if is_slow { into.len().min(SIP) } else { into.len() };
        if is_slow {
            thread::sleep(REST);
        }
        let read = self.stream.read(&mut into[..most])?;
        self.seen += read as u64;
        Ok(read)
    }
}

fn parse(from: &mut impl BufRead) -> io::Result<Reply> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let first = line(from)?;
    let status = status(&first).ok_or_else(|| wrong(&format!("the answer begins with `{first}`")))?;
    let (mut length, mut chunked, mut stays) = (None, false, true);
    loop {
        let header = line(from)?;
        let Some((name, value)) = header.split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse().map_err(|_| wrong("`Content-Length` is no number"))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => stays = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    match (chunked, length) {
        (true, _) => chunks(from, &mut body)?,
        (false, Some(length)) => exactly(from, length, &mut body)?,
        (false, None) => drop(from.read_to_end(&mut body)?),
    }
    Ok(Reply { status, stays, body })
}

fn status(first: &str) -> Option<u16> {
    first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = line(from)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size =
            u64::from_str_radix(digits, 16).map_err(|_| io::Error::other(format!("`{size}` is no chunk's size")))?;
        exactly(from, size, body)?;
        // What ends a chunk, or all of them; nobody sends trailers.
        line(from)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn exactly(from: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(length).read_to_end(body)? as u64;
    if read < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends {} bytes too early", length - read)));
    }
    Ok(())
}

/// A line without its end; the stream's end is an error.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(LINE).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(u16, bool, String), String> {
        let reply = parse(&mut text.as_bytes()).map_err(|error| error.to_string())?;
        Ok((reply.status, reply.stays, String::from_utf8(reply.body).unwrap()))
    }

    #[test]
    fn answers_are_read_by_length_in_chunks_or_to_the_end() {
        let whole = |status, stays, body: &str| Ok((status, stays, body.to_owned()));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc"), whole(200, true, "ab"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parsed(chunked), whole(200, true, "abcd"));
        assert_eq!(parsed("HTTP/1.1 413 \r\nconnection: close\r\n\r\nend"), whole(413, false, "end"));
    }

    #[test]
    fn an_answer_that_stops_early_is_broken() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "SSH-2.0\r\n\r\n",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_head_says_how_long_its_body_is() {
        let head = head("POST", "/predict", &[("Content-Type", "image/jpeg")], 7);
        let expected =
            "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\nContent-Type: image/jpeg\r\n\r\n";
        assert_eq!(head, expected);
    }
}
