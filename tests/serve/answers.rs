//! What the server answers is what the command line answers, whatever way the picture comes.
use super::{lesion, put_model, server};
use crate::support::models::{CARD, model};
use crate::support::program::{fixture, gradcam_in, predict_in, serve_in};
use crate::support::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dermai::input::write_drawn_photo;
use dermai::units::Size;
use serde_json::{Value, json};
use std::fs;

/// What does not differ from run to run.
fn settled(mut document: Value) -> Value {
    for result in document["results"].as_array_mut().unwrap() {
        let result = result.as_object_mut().unwrap();
        result.remove("milliseconds");
        result["image"].as_object_mut().unwrap().remove("name");
    }
    document
}

const BOUNDARY: &str = "test-7d1f3c5a";

fn form(field: &str, picture: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nx\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), picture, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

/// A form with fields before and behind its picture; its end is read, or the answer would be lost.
#[test]
fn what_stands_behind_a_form_s_picture_is_read_and_forgotten() {
    let server = server(&["--gradcam", "false"]);
    let kind = [("Content-Type", &*format!("multipart/form-data; boundary={BOUNDARY}"))];
    let with = |behind: usize| {
        let mut body = form("image", &lesion());
        body.truncate(body.len() - "--\r\n".len());
        body.extend(b"\r\nContent-Disposition: form-data; name=\"more\"\r\n\r\n");
        body.resize(body.len() + behind, b'x');
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        server.send("POST", "/predict", &kind, &body)
    };
    let predictions = server.post("/predict", &lesion()).ok().json()["results"][0]["predictions"].clone();
    assert_eq!(with(900_000).ok().json()["results"][0]["predictions"], predictions);
    assert_eq!(with(9_000_000).status, 413);
}

#[test]
fn every_way_gives_what_predict_gives() {
    let server = server(&["--gradcam", "false"]);
    let expected = predict_in(&fixture("images"), ["lesion.jpg", "--json"]).run().exits(0).json();
    let expected = settled(expected);
    let (picture, encoded) = (lesion(), STANDARD.encode(lesion()));
    let multipart = format!("multipart/form-data; boundary={BOUNDARY}");
    for (kind, body) in [
        ("image/jpeg", picture.clone()),
        ("application/octet-stream", picture.clone()),
        ("application/x-www-form-urlencoded", picture.clone()), // what curl says of --data-binary
        (&multipart, form("image", &picture)),
        ("application/json", serde_json::to_vec(&json!({ "image": encoded })).unwrap()),
        (
            "application/json",
            serde_json::to_vec(&json!({ "image": format!("data:image/jpeg;base64,{encoded}") })).unwrap(),
        ),
    ] {
        for path in ["/predict", "/predict/"] {
            let reply = server.send("POST", path, &[("Content-Type", kind)], &body).ok();
            assert_eq!(reply.header("Content-Type"), Some("application/json"));
            assert_eq!(settled(reply.json()), expected, "{kind}");
        }
    }
    let all = server.post("/predict?top=0", &picture).ok().json();
    let labels = all["results"][0]["predictions"].as_array().unwrap().len();
    assert_eq!(labels, 7, "{all}");
}

#[test]
fn maps_are_those_of_gradcam_to_the_byte() {
    let server = server(&[]);
    let place = tempfile::tempdir().unwrap();
    for (query, flags) in [
        ("", &[][..]),
        ("&class=mel", &["--class", "mel"]),
        ("&method=layercam&class=0", &["--method", "layercam", "--class", "0"]),
        ("&overlay=heat", &["--heatmap-only"]),
    ] {
        let png = place.path().join("heat.png");
        let usual = ["lesion.jpg", "--json", "-o", png.to_str().unwrap()];
        let told = gradcam_in(&fixture("images"), usual.iter().chain(flags)).run().exits(0).json();
        let expected = fs::read(&png).unwrap();
        let reply = server.post(&format!("/predict?gradcam=1{query}"), &lesion()).ok().json();
        let ours = &reply["results"][0]["explanations"][0];
        for key in ["method", "layer", "score", "class", "map"] {
            assert_eq!(ours[key], told["results"][0]["explanations"][0][key], "{query}: {key}");
        }
        assert_eq!(reply["results"][0]["predictions"], told["results"][0]["predictions"]);
        assert!(STANDARD.decode(ours["png"].as_str().unwrap()).unwrap() == expected, "{query}");
        let accept = [("Accept", "image/png")];
        let direct = server.send("POST", &format!("/predict?gradcam=1{query}"), &accept, &lesion()).ok();
        assert_eq!(direct.header("Content-Type"), Some("image/png"));
        assert!(direct.body == expected, "{query}");
    }
}

#[test]
fn a_bundle_is_served_as_a_model_is() {
    let place = tempfile::tempdir().unwrap();
    let small = place.path().join("small");
    let arguments = ["-o", small.to_str().unwrap(), "--mode", "prepare", "--quiet"];
    crate::support::program::quantize_in(&fixture(""), arguments).run().exits(0);
    let server = Server::ready(serve_in(place.path(), ["--model", "small"]));
    let reply = server.post("/predict?gradcam=1", &lesion()).ok().json();
    assert!(reply["model"]["form"].as_str().unwrap().starts_with("prepare explain."), "{}", reply["model"]);
    assert!(reply["results"][0]["explanations"][0]["png"].is_string());
    let reply = server.post("/predict?gradcam=1&method=layercam", &lesion());
    assert_eq!(reply.status, 400);
}

#[test]
fn what_is_wrong_is_told_as_a_problem() {
    let server = server(&["--max-body", "1MB", "--max-pixels", "1000000"]);
    let truncated = fs::read(fixture("bad/truncated.jpg")).unwrap();
    let text = b"no picture".to_vec();
    let broken_form = format!("multipart/form-data; boundary={BOUNDARY}");
    let form_kind = ("Content-Type", broken_form.as_str());
    let json_kind = ("Content-Type", "application/json");
    for (path, headers, body, status, part) in [
        ("/predict", &[][..], text, 422, "is text"),
        ("/predict", &[], truncated, 422, "JPEG"),
        ("/predict", &[], vec![], 400, "the body is empty"),
        ("/predict", &[], vec![0; (1 << 20) + 1], 413, "`--max-body`"),
        ("/predict", &[form_kind], form("photo", &lesion()), 400, "no field `image`"),
        ("/predict", &[form_kind], b"--nonsense".to_vec(), 400, "the form cannot be read"),
        ("/predict", &[json_kind], b"{\"image\": 1}".to_vec(), 400, "expected `{\"image\""),
        ("/predict", &[json_kind], b"{\"image\": \"?\"}".to_vec(), 400, "no base64"),
        ("/predict?gradcam=1&class=nose", &[], lesion(), 400, "the model has no class `nose`"),
        ("/predict?gradcam=1&method=magic", &[], lesion(), 400, "there is no method `magic`"),
        ("/predict?gradcam=1&layer=nowhere", &[], lesion(), 400, "nowhere"),
        ("/predict?class=mel", &[], lesion(), 400, "add `gradcam=1`"),
        ("/predict?klass=mel", &[], lesion(), 400, "klass"),
        ("/predict?model=other", &[], lesion(), 404, "no model `other`"),
        ("/nothing", &[], vec![], 404, "nothing at `/nothing`"),
        ("/health", &[], vec![], 405, "does not take POST"),
    ] {
        let reply = server.send("POST", path, headers, &body);
        assert_eq!(reply.status, status, "{path}: {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.header("Content-Type"), Some("application/problem+json"), "{path}");
        let problem = reply.json();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().contains(part), "{path}: {problem}");
    }
    // It goes on as if nothing had been.
    server.post("/predict", &lesion()).ok();
    let mut large = std::io::Cursor::new(Vec::new());
    write_drawn_photo(&mut large, Size { width: 1200, height: 900 }).unwrap();
    let large = large.into_inner();
    let reply = server.post("/predict", &large);
    assert_eq!(reply.status, 413, "{}", reply.json());
}

#[test]
fn several_models_are_loaded_as_they_are_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let tiny = model("tiny-nchw-softmax", CARD);
    for (name, from) in [("one", fixture("../models/default")), ("ham-1.0", tiny.path().to_owned())] {
        put_model(&from, &place.path().join("models").join(name));
    }
    let server = Server::ready(serve_in(place.path(), ["--models", "models", "--model", "one"]));
    let loaded = |server: &Server| server.get("/memory/").ok().json()["model_loaded"] == true;
    assert!(!loaded(&server));
    let labels = |path: &str| server.post(path, &lesion()).ok().json()["results"][0]["predictions"].clone();
    assert_eq!(labels("/predict"), labels("/predict?model=one"));
    assert_ne!(labels("/predict"), labels("/predict?model=ham-1.0"));
    assert!(loaded(&server));
    let models = server.get("/models").ok().json();
    assert_eq!(models["models"].as_array().unwrap().len(), 2);
}

#[test]
fn flags_win_over_the_environment() {
    let wrong = serve_in(&fixture(""), ["--gradcam", "flase"]).run().exits(2);
    assert!(wrong.stderr.contains("'flase'"), "{}", wrong.stderr);
    let place = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        put_model(&fixture("../models/default"), &place.path().join("models").join(name));
    }
    let served = |arguments: &[&str], environment: [&str; 2]| {
        let [model, models] = environment;
        let program = serve_in(place.path(), arguments).env("DERMAI_MODEL", model).env("DERMAI_MODELS", models);
        let models = Server::start(program).get("/models").ok().json();
        let names = models["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(served(&[], ["", "models"]), ["one", "two"]);
    assert_eq!(served(&[], ["models/two", "models"]), ["two", "one"]);
    assert_eq!(served(&["--models", "models"], ["models/default", ""]), ["one", "two"]);
    assert_eq!(served(&["--model", "models/two"], ["", "models"]), ["ham7-resnet160"]);
}

#[test]
fn every_answer_forbids_what_it_does_not_need_and_has_an_id() {
    let server = server(&["--cors", "https://example.org"]);
    for path in ["/health", "/health/", "/ready", "/memory/", "/metrics", "/models", "/nothing"] {
        let reply = server.send("GET", path, &[("Origin", "https://example.org")], b"");
        for (name, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("Access-Control-Allow-Origin", "https://example.org"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        assert!(reply.header("X-Request-Id").is_some_and(|id| !id.is_empty()));
    }
    let reply = server.send("GET", "/health", &[("X-Request-Id", "mine-7")], b"");
    assert_eq!(reply.header("X-Request-Id"), Some("mine-7"));
    // What a page's browser asks before it sends JSON (Fetch standard, CORS-preflight request).
    let asks = [
        ("Origin", "https://example.org"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    let reply = server.send("OPTIONS", "/predict", &asks, b"");
    assert_eq!(
        (reply.status, reply.header("Access-Control-Allow-Headers")),
        (200, Some("content-type,inference-header-content-length"))
    );
    let plain = Server::ready(serve_in(&fixture(""), [""; 0]));
    let reply = plain.send("GET", "/health", &[("Origin", "https://example.org")], b"");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), None);
}

#[test]
fn memory_has_the_shape_of_the_replaced_app_and_metrics_count() {
    let server = server(&["--budget", "256MB"]);
    let before = server.get("/memory/").ok().json();
    assert_eq!((&before["status"], &before["model_loaded"]), (&"ok".into(), &false.into()));
    assert_eq!(before["gradcam_enabled"], true);
    let memory = &before["memory"];
    let number = |key: &str| memory[key].as_f64().unwrap_or_else(|| panic!("{key}: {memory}"));
    assert!(number("rss_mb") > 1.0 && number("vms_mb") > number("rss_mb") && number("peak_mb") >= number("rss_mb"));
    assert_eq!(number("budget_mb"), 256.0);
    assert!((number("percent") - number("rss_mb") / 2.56).abs() < 0.02);
    assert_eq!(memory["band"], "healthy");
    server.post("/predict", &lesion()).ok();
    server.post("/predict", b"x");
    assert_eq!(server.get("/memory").ok().json()["model_loaded"], true);
    let reply = server.get("/metrics").ok();
    let text = String::from_utf8(reply.body).unwrap();
    for line in [
        "dermai_http_requests_total{route=\"/predict\",status=\"200\"} 1",
        "dermai_http_requests_total{route=\"/predict\",status=\"422\"} 1",
        "dermai_model_loaded{model=\"ham7-resnet160\"} 1",
        "dermai_memory_budget_bytes 268435456",
        "# EOF",
    ] {
        assert!(text.lines().any(|known| known == line), "no `{line}` in\n{text}");
    }
}
