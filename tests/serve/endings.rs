//! The end: what was accepted is answered, a second signal ends at once, and a log holds nothing of a picture.
use super::{lesion, server};
use crate::support::server::response;
use serde_json::Value;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn what_was_accepted_is_answered_before_the_end() {
    let mut server = server(&[]);
    let picture = lesion();
    let mut inside = server.begin("/predict", picture.len());
    let mut idle = server.connect(); // an open connection does not keep it
    // In, as the counters say.
    let is_in = || server.metrics().contains("requests_admitted 1");
    while !is_in() {}
    server.signal(libc::SIGTERM);
    server.wait_for("ending: accepted requests are finished");
    inside.write_all(&picture).unwrap();
    let said = response(&mut inside);
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(response(&mut idle), "");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = server(&[]);
    let _inside = server.begin("/predict", 1000);
    let is_in = || server.metrics().contains("requests_admitted 1");
    while !is_in() {}
    server.signal(libc::SIGTERM);
    server.wait_for("ending: accepted requests are finished");
    let begun = Instant::now();
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(2));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_body_that_does_not_come_does_not_hold_up_the_end() {
    let mut server = server(&[]);
    let mut inside = server.begin("/predict", 500_000);
    let is_in = || server.metrics().contains("requests_admitted 1");
    while !is_in() {}
    server.signal(libc::SIGTERM);
    let said = response(&mut inside);
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn who_takes_nothing_of_its_answers_does_not_hold_up_the_end() {
    let mut server = server(&[]);
    let mut stream = server.connect();
    // More than the kernel holds for a reader.
    for _ in 0..300 {
        stream.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    }
    server.get("/health").ok();
    let begun = Instant::now();
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(stream);
}

/// Clients that go on asking see an answer, or a connection that was never taken.
#[test]
fn no_accepted_request_is_lost_under_load() {
    let mut server = server(&[]);
    let (picture, address) = (lesion(), server.address);
    let ask = move || {
        let mut answered = 0;
        loop {
            let Ok(mut stream) = std::net::TcpStream::connect(address) else { return Ok(answered) };
            let head = format!(
                "POST /predict HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                picture.len()
            );
            if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&picture)).is_err() {
                return Ok(answered);
            }
            let said = response(&mut stream);
            match said.get(..12) {
                Some("HTTP/1.1 200") if said.trim_end().ends_with('}') => answered += 1,
                Some("HTTP/1.1 429" | "HTTP/1.1 503") => {}
                // Never accepted: the listener was gone.
                None if said.is_empty() => return Ok(answered),
                _ => return Err(said),
            }
        }
    };
    let clients: Vec<_> = (0..4).map(|_| thread::spawn(ask.clone())).collect();
    while !server.metrics().contains("status=\"200\"} 1") {}
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    let answered: usize = clients.into_iter().map(|client| client.join().unwrap().unwrap()).sum();
    let logged = server.rest().iter().filter(|line| line["route"] == "/predict" && line["status"] == 200).count();
    assert!(answered > 0);
    assert!(logged <= answered, "{logged} were answered, and {answered} arrived");
}

#[test]
fn the_log_is_json_without_pictures() {
    let mut server = server(&[]);
    let kind = [("Content-Type", "application/json")];
    server.send("POST", "/predict?gradcam=1", &kind, b"{\"image\": \"c2VjcmV0IHRleHQ=\", \"name\": \"mrs-smith.jpg\"}");
    server.post("/predict", &lesion()).ok();
    server.signal(libc::SIGTERM);
    server.wait();
    let lines = server.rest();
    let requests: Vec<_> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 2, "{lines:?}");
    for line in &requests {
        assert!(line["id"].is_string() && line["milliseconds"].is_number() && line["method"] == "POST", "{line}");
    }
    assert_eq!((&requests[0]["status"], &requests[1]["status"]), (&422.into(), &200.into()));
    assert!(lines.iter().all(Value::is_object), "{lines:?}");
    let all = lines.iter().map(ToString::to_string).collect::<String>();
    assert!(!all.contains("c2VjcmV0") && !all.contains("secret") && !all.contains("smith"), "{all}");
}
