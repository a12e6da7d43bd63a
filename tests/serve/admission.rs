//! Who is let in: what does not fit is refused at once, and nothing keeps a health check waiting.
use super::{lesion, server};
use crate::support::pictures::png;
use crate::support::program::{fixture, serve_in};
use crate::support::server::{Server, response};
use dermai::units::Size;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[test]
fn who_finds_no_place_is_told_when_to_come_again() {
    let server = server(&["--queue", "1"]);
    let workers = server.get("/ready").ok().json()["workers"].as_u64().unwrap() as usize;
    // So many are in: their bodies do not come.
    let picture = lesion();
    let mut inside: Vec<_> = (0..=workers).map(|_| server.begin("/predict", picture.len())).collect();
    let refused = || {
        let reply = server.post("/predict", &picture);
        (reply.status == 429).then_some(reply)
    };
    let begun = Instant::now();
    let reply = std::iter::repeat_with(refused).flatten().next().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(reply.header("Retry-After").unwrap().parse::<u64>().unwrap() >= 1);
    let asked = Instant::now();
    server.get("/health").ok();
    assert!(asked.elapsed() < Duration::from_secs(1));
    // Those that are in are answered.
    for stream in &mut inside {
        stream.write_all(&picture).unwrap();
        let said = response(stream);
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
    server.post("/predict", &picture).ok();
}

/// More than there are places for, each kept open: by pages that look now and then, or by somebody who means no good.
#[test]
fn idle_connections_do_not_keep_a_health_check_waiting() {
    let server = server(&[]);
    let mut held: Vec<_> = (0..70).map(|_| server.connect()).collect();
    for stream in held.iter_mut().step_by(2) {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    }
    let begun = Instant::now();
    server.get("/health").ok();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(held);
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let server = server(&[]);
    let mut stream = server.connect();
    // Of the second request: the first one was answered.
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    let begun = Instant::now();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: te").unwrap();
    response(&mut stream);
    assert!((9..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

/// Memory is taken as a body comes, not for the longest one that might.
#[test]
fn a_body_that_does_not_say_its_length_leaves_room_for_others() {
    let server = server(&["--budget", "96MB", "--max-body", "100MB"]);
    let chunked = |body: &[u8]| {
        let mut stream = server.connect();
        stream
            .write_all(b"POST /predict HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        for piece in body.chunks(50_000) {
            // It may have said its word already.
            let _ = stream.write_all(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        stream
    };
    let picture = lesion();
    let stalled = chunked(&picture);
    let admitted = || server.metrics().contains("requests_admitted 1");
    while !admitted() {}
    server.post("/predict", &picture).ok();
    drop(stalled);
    // Behind the picture's end nothing is looked at.
    let ended = |length: usize| {
        let mut body = picture.clone();
        body.resize(length, 0);
        let mut stream = chunked(&body);
        let _ = stream.write_all(b"0\r\n\r\n");
        response(&mut stream)
    };
    let said = ended(3_000_000);
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let said = ended(60_000_000);
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = server(&["--max-body", "1MB"]);
    let mut stream = server.begin("/predict", 2 << 20);
    let said = response(&mut stream);
    assert!(said.starts_with("HTTP/1.1 413") && said.contains("`--max-body`"), "{said}");
}

#[test]
fn who_still_sends_gets_the_refusal_all_the_same() {
    let server = server(&["--max-body", "1MB"]);
    // More than the kernel takes on its own.
    let body = vec![0; 16 << 20];
    let mut stream = server.begin("/predict", body.len());
    stream.write_all(&body).unwrap();
    let said = response(&mut stream);
    assert!(said.starts_with("HTTP/1.1 413") && said.contains("`--max-body`"), "{said}");
}

/// Wide or high pictures of few pixels: what they take goes with their sides.
#[test]
fn long_sides_are_refused_though_the_file_is_small() {
    let server = server(&["--budget", "64MB"]);
    for size in [Size { width: 2_000_000, height: 1 }, Size { width: 1, height: 2_000_000 }] {
        let file = png(&vec![0; size.pixels() as usize * 3], size, None);
        assert!(file.len() < 64 << 10, "{} bytes", file.len());
        let reply = server.post("/predict", &file);
        assert_eq!(reply.status, 413, "{size}: {}", reply.json());
    }
    server.post("/predict", &lesion()).ok();
}

/// What comes before a form's picture is searched for boundaries, so there may not be much of it.
#[test]
fn a_form_that_does_not_come_to_its_picture_is_given_up() {
    let server = server(&["--max-body", "2MB"]);
    let mut stream = server.connect();
    let head = "POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b'a'; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..64 {
        // It may have said its word already.
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let said = response(&mut stream);
    assert!(said.starts_with("HTTP/1.1 413"), "{said}");
}

#[test]
fn a_map_that_takes_more_memory_than_there_is_is_refused_before_it_is_made() {
    let usual = Server::start(serve_in(&fixture(""), &[] as &[&str]));
    let one = usual.wait_for("measured")["one"].as_u64().unwrap();
    drop(usual);
    // 4 MB are kept back, and half of the rest is for bodies; the measuring child has room for a usual map beside the server itself.
    let budget = (one + (17 << 20)).to_string();
    let server = server(&["--budget", &budget]);
    let ask = |what: &str| server.post(&format!("/predict?gradcam=1{what}"), &lesion());
    let before = ask("").ok().json();
    // The first layer's map has 80 times as many elements.
    let layers = server.get("/models").ok().json()["models"][0]["layers"].clone();
    let first = format!("&method=eigencam&layer={}", layers[0].as_str().unwrap());
    for _ in 0..2 {
        let reply = ask(&first);
        assert_eq!(reply.status, 422, "{}", reply.json());
        let why = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            why.contains("`eigencam` takes ") && why.contains("than a usual one") && why.contains("this server has "),
            "{why}"
        );
    }
    let other = ask("&method=layercam").ok().json();
    assert_eq!(other["results"][0]["explanations"][0]["method"], "layercam");
    assert_eq!(ask("").ok().json()["results"][0]["explanations"], before["results"][0]["explanations"]);
}

#[test]
fn a_budget_that_is_too_small_is_told_and_nobody_is_let_in() {
    let server = Server::start(serve_in(&fixture(""), ["--budget", "20MB"]));
    server.wait_for("no request fits");
    let reply = server.get("/ready");
    assert_eq!(reply.status, 503);
    let why = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(why.contains("the budget is 20 MB") && why.contains("dermai quantize"), "{why}");
    assert_eq!(server.post("/predict", &lesion()).status, 503);
    server.get("/health").ok();
}

#[test]
fn an_idle_model_is_unloaded_and_comes_back() {
    let server = server(&["--idle-unload", "1s"]);
    server.post("/predict", &lesion()).ok();
    let is_loaded = || server.get("/memory").ok().json()["model_loaded"] == true;
    let begun = Instant::now();
    while is_loaded() {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    server.post("/predict", &lesion()).ok();
}
