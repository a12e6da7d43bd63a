//! A running `dermai serve`: its address by its log, requests over real connections, and signals.
use super::program::Program;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Longest wait for what the log has to say.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server, which ends with its owner.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
    log: Receiver<Value>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// That it is an answer.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl Server {
    /// Starts it, and waits until it listens.
    pub fn start(program: Program) -> Self {
        let mut command = program.command;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (to, log) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Warnings before the log begins are text.
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if to.send(value).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into(), log };
        let said = server.wait_for("listening");
        server.address = said["address"].as_str().unwrap().parse().unwrap();
        server
    }

    /// The same, until it takes requests.
    pub fn ready(program: Program) -> Self {
        let server = Self::start(program);
        server.wait_for("ready");
        server
    }

    /// The first line of the log, from where it was read to, with this message.
    #[track_caller]
    pub fn wait_for(&self, message: &str) -> Value {
        let mut before = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line["message"] == message => return line,
                Ok(line) => before.push(line.to_string()),
                Err(error) => panic!("no `{message}` in the log ({error}):\n{}", before.join("\n")),
            }
        }
    }

    /// Lines of the log until it ends.
    pub fn rest(&self) -> Vec<Value> {
        std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok()).collect()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    /// What `/metrics` says now.
    pub fn metrics(&self) -> String {
        String::from_utf8(self.get("/metrics").ok().body).unwrap()
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.send("POST", path, &[], body)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent: ureq::Agent = config.proxy(None).build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent.run(request.body(body).unwrap()).unwrap();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        Reply {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: {
                let mut body = Vec::new();
                response.body_mut().as_reader().read_to_end(&mut body).unwrap();
                body
            },
        }
    }

    /// A connection to which nothing was written yet.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Begins a request whose body does not come.
    pub fn begin(&self, path: &str, length: usize) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
            .unwrap();
        stream
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: i32) {
        // SAFETY: takes two integers.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one response from a connection: its status line, head and body, as far as they come.
pub fn response(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}
