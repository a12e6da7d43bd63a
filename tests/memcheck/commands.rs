//! Any command: its peaks with its children, how it ends, and its endpoint driven over HTTP.
use super::{mb, memcheck, stages};
use crate::support::program::{fixture, memcheck_in};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Says to a process of this program that it is what is measured: a server, or a hog.
const SERVER: &str = "DERMAI_TEST_SERVER";

#[test]
fn a_band_may_be_too_near() {
    // A process that holds 100 MB, because other tests have the model's files in the page cache meanwhile.
    if std::env::var(SERVER).is_ok() {
        drop(std::hint::black_box(vec![1u8; 100 << 20]));
        return;
    }
    let own = std::env::current_exe().unwrap();
    let hog = ["--", own.to_str().unwrap(), "memcheck::commands::a_band_may_be_too_near", "--exact"];
    let at = |budget: &str, more: &[&str]| {
        memcheck(&[&["--budget", budget, "--json", "-q"], more, &hog].concat()).env(SERVER, "hog").run()
    };
    let peak = mb(&at("512MB", &[]).exits(0).json()["verdict"]["peak_bytes"]);
    let budget = format!("{}MB", (peak / 0.78).round());
    let report = at(&budget, &[]).exits(0).json();
    assert_eq!(report["verdict"]["band"], "warning", "{}", report["verdict"]);
    at(&budget, &["--fail-on", "warning"]).exits(1);
    at(&budget, &["--fail-on", "danger"]).exits(0);
}

#[test]
fn any_command_is_measured_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    // A shell's variable is memory: 64 MB in a child, after a word that begins a stage.
    let script = "echo first; echo now the load; (x=$(head -c 64000000 /dev/zero | tr '\\0' x); echo ${#x}); echo done";
    let run = |budget: &str| {
        let arguments = ["--budget", budget, "--stage", "load=now the load", "--json", "--", "sh", "-c", script];
        memcheck_in(folder.path(), arguments).run()
    };
    let outcome = run("512MB").exits(0);
    let report = outcome.json();
    assert_eq!(stages(&report), ["run", "load"]);
    assert!(mb(&report["stages"][1]["peak_bytes"]) > mb(&report["stages"][0]["peak_bytes"]) + 55.0, "{report}");
    assert!(outcome.stderr.contains("64000000"), "its output is passed on: {}", outcome.text());
    let report = run("40MB").exits(1).json();
    assert_eq!((&report["outcome"]["ended"], &report["outcome"]["stage"]), (&"oom_killed".into(), &"load".into()));
}

#[test]
fn a_command_that_fails_is_no_fit() {
    let folder = tempfile::tempdir().unwrap();
    let report =
        memcheck_in(folder.path(), ["--budget", "512MB", "--json", "--", "sh", "-c", "exit 3"]).run().exits(1).json();
    assert_eq!((&report["outcome"]["ended"], &report["outcome"]["status"]), (&"exited".into(), &3.into()));
    assert_eq!(report["verdict"]["fits"], false);
}

#[test]
fn a_server_is_driven_over_http() {
    if let Ok(kind) = std::env::var(SERVER) {
        return serve(&kind);
    }
    let own = std::env::current_exe().unwrap();
    let name = "memcheck::commands::a_server_is_driven_over_http";
    let run = |kind: &str, more: &[&str]| {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (url, place) = (format!("http://127.0.0.1:{port}/predict"), format!("{kind} {port}"));
        let server = ["--", own.to_str().unwrap(), name, "--exact", "--nocapture"];
        let usual = ["--budget", "512MB", "--json", "-q", "--http", &url];
        // Nobody is at the proxy's address.
        memcheck(&[&usual, more, &server].concat()).env(SERVER, place).env("http_proxy", "http://127.0.0.1:1").run()
    };
    let report = run("well", &["--field", "image"]).exits(0).json();
    assert_eq!(stages(&report), ["start until it answers", "requests", "two at once"]);
    assert_eq!(report["requests"]["count"], 10);
    assert_eq!(report["outcome"]["ended"], "stopped");
    let one = run("well", &["--field", "image", "--one-at-a-time"]).exits(0).json();
    assert_eq!(stages(&one), ["start until it answers", "requests"]);
    for runs in ["1", "2"] {
        let more = ["--field", "image", "--cpu", "0.2", "--requests", "2", "--runs", runs];
        let cpu = run("well", &more).exits(0).json()["cpu"].clone();
        assert!(cpu["first_answer_milliseconds"].as_f64().unwrap() > 0.0, "{cpu}");
        assert!(runs == "2" || cpu["enforced"] == false, "run once, so scaled: {cpu}");
    }
    // Without the field it gets no form, and says so.
    let outcome = run("well", &[]).exits(2);
    assert!(outcome.stderr.contains("400") && outcome.stderr.contains("no form"), "{}", outcome.text());
    // Where an answer points to, and a proxy, are not talked to.
    let outcome = run("away", &["--field", "image"]).exits(2);
    assert!(outcome.stderr.contains("302"), "{}", outcome.text());
}

/// A server that takes forms; one that is `away` answers with another address.
fn serve(place: &str) {
    let (kind, port) = place.split_once(' ').unwrap();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    for stream in listener.incoming() {
        let _ = answer(stream.unwrap(), kind == "away");
    }
}

fn answer(stream: TcpStream, is_away: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut is_form) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let line = line.to_ascii_lowercase();
        is_form |= line.starts_with("content-type: multipart/form-data");
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let photo = fs::read(fixture("images/lesion.jpg"))?;
    let holds = body.windows(photo.len()).any(|window| window == photo);
    let (status, text) = if is_away {
        ("302 Found\r\nLocation: http://127.0.0.1:1/elsewhere", "")
    } else if is_form && holds {
        ("200 OK", "{}")
    } else {
        ("400 Bad Request", "no form")
    };
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())
}
