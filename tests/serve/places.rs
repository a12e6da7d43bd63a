//! Where it runs: as any user, where nothing can be written, without a connection to anybody, and where not all models fit.
use super::{lesion, put_model};
use crate::support::nobody::{NOBODY, belongings, confine, give_to_nobody, is_refused, is_root};
use crate::support::program::{fixture, serve_in};
use crate::support::server::Server;
use crate::support::watched::forbid_connections;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Names the places that it can write to.
const WRITE: &str = "for place in . /tmp /dev/shm; do \
                     echo x > $place/dermai-writes && rm $place/dermai-writes && echo $place; done; true";

#[test]
#[allow(clippy::print_stderr)] // why it was skipped
fn it_runs_as_any_user_on_a_read_only_file_system() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let folder = belongings();
    give_to_nobody(folder.path());
    // The control: the folder is the user's own, and it is the file system that keeps everything from being written.
    let writing = || {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WRITE]).current_dir(folder.path()).env("LC_ALL", "C");
        command
    };
    let free = writing().uid(NOBODY).gid(NOBODY).output().unwrap();
    assert!(free.stdout.starts_with(b".\n"), "{free:?}");
    let mut confined = writing();
    confine(&mut confined);
    let confined = match confined.output() {
        Err(error) if is_refused(&error) => {
            eprintln!("skipped: a process cannot have its own mounts here: {error}");
            return;
        }
        outcome => outcome.unwrap(),
    };
    assert!(confined.stdout.is_empty(), "{confined:?}");
    assert!(String::from_utf8_lossy(&confined.stderr).contains("Read-only file system"), "{confined:?}");

    let program = serve_in(folder.path(), [""; 0]).copied(&folder.path().join("dermai"));
    let mut program = program.env("ORT_DYLIB_PATH", folder.path().join("libonnxruntime.so"));
    confine(&mut program.command);
    let mut server = Server::ready(program);
    let said = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", server.child.id())).unwrap();
    let (status, mounts) = (said("status"), said("mounts"));
    assert!(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{status}");
    let is_read_only = |line: &str| line.split(' ').nth(3).is_some_and(|options| options.split(',').any(|o| o == "ro"));
    assert!(mounts.lines().all(is_read_only), "{mounts}");

    let reply = server.send("POST", "/predict?gradcam=1", &[("Accept", "image/png")], &lesion()).ok();
    assert_eq!(reply.header("Content-Type"), Some("image/png"));
    assert!(reply.body.starts_with(b"\x89PNG\r\n\x1a\n"));
    let reply = server.post("/predict?gradcam=1", &lesion()).ok().json();
    assert!(reply["results"][0]["explanations"][0]["png"].is_string(), "{reply}");
    server.get("/memory/").ok();
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

/// The kernel would end the server, or the child that measures; that it does is seen in tests/sockets.rs.
#[test]
fn it_opens_no_socket_but_to_listen() {
    let mut program = serve_in(&fixture(""), [""; 0]);
    if !forbid_connections(&mut program.command) {
        return;
    }
    let mut server = Server::ready(program);
    let picture = lesion();
    server.post("/predict?gradcam=1", &picture).ok();
    let input = json!({"name": "image", "shape": [1], "datatype": "BYTES", "data": [STANDARD.encode(&picture)]});
    let asked = serde_json::to_vec(&json!({"inputs": [input]})).unwrap();
    server.post("/v2/models/ham7-resnet160/infer", &asked).ok();
    for path in ["/v2/models/ham7-resnet160/ready", "/", "/models", "/memory", "/metrics", "/openapi.json"] {
        server.get(path).ok();
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

/// A budget under which two models like the default one can be loaded, and not three.
fn budget_of_two() -> String {
    let server = Server::start(serve_in(&fixture(""), ["--gradcam", "false"]));
    let cost = server.wait_for("measured");
    let [idle, loaded, one] = ["idle", "loaded", "one"].map(|key| cost[key].as_u64().unwrap());
    // 4 MB are kept back; of what a request leaves, one half is for models that are loaded besides: as much as one and a half of them take.
    (one + (4 << 20) + 3 * (loaded - idle)).to_string()
}

#[test]
fn the_least_recently_used_model_goes_when_the_budget_demands_it() {
    let place = tempfile::tempdir().unwrap();
    let (models, aside) = (place.path().join("models"), place.path().join("aside"));
    for name in ["one", "two", "three"] {
        put_model(&fixture("../models/default"), &models.join(name));
    }
    let budget = budget_of_two();
    let arguments = ["--models", "models", "--gradcam", "false", "--workers", "1", "--budget", &budget];
    let server = Server::ready(serve_in(place.path(), arguments));
    let ask = |model: &str| server.post(&format!("/predict?model={model}"), &lesion());
    let classes = |model: &str| ask(model).ok().json()["results"][0]["predictions"].clone();
    let has_loaded = |loaded: &[&str]| {
        let metrics = server.metrics();
        for name in ["one", "two", "three"] {
            let line = format!("dermai_model_loaded{{model=\"{name}\"}} {}", u8::from(loaded.contains(&name)));
            assert!(metrics.lines().any(|known| known == line), "no `{line}` in\n{metrics}");
        }
    };
    let first = classes("one");
    has_loaded(&["one"]);
    let before = classes("two");
    has_loaded(&["one", "two"]);
    assert_eq!(classes("one"), first);
    classes("three");
    has_loaded(&["one", "three"]);
    // A model that is loaded needs its files no more; one that is not cannot be loaded without them.
    fs::rename(&models, &aside).unwrap();
    assert_eq!(["one", "three", "two"].map(|model| ask(model).status), [200, 200, 500]);
    fs::rename(&aside, &models).unwrap();
    assert_eq!(classes("two"), before);
}
