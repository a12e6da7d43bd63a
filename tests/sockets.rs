//! No command opens an internet socket unless that is its purpose: the kernel would end it at once.
#![cfg(unix)]
use crate::support::models::{CARD, folder, model};
use crate::support::program::{predict, predict_in};
use crate::support::watched::{forbid_connections, forbid_internet};
use std::env;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// Says to the process of the control what it shall open.
const WHAT: &str = "DERMAI_TEST_OPENS";

/// The control: a filter ends a process that does what it forbids, and lets one live that does something else.
#[test]
fn filters_end_a_process_that_does_what_they_forbid() {
    if let Ok(what) = env::var(WHAT) {
        return open(&what);
    }
    let name = "sockets::filters_end_a_process_that_does_what_they_forbid";
    // Whether it opens an internet socket, and whether it connects or could send without that.
    for (what, is_ended) in [
        ("nothing", [false, false]),
        ("unix", [false, false]),
        ("ipv4", [true, false]),
        ("udp", [true, true]),
        ("ipv6", [true, false]),
        ("connects", [true, true]),
        ("connects to a file", [false, true]),
        ("in a thread", [true, true]),
        ("in a child", [true, true]),
    ] {
        let control = || {
            let mut command = Command::new(env::current_exe().expect("this program"));
            command.args([name, "--exact"]).env(WHAT, what);
            command
        };
        let free = control().output().expect("a process");
        assert!(free.status.success(), "{what}, unwatched: {}", String::from_utf8_lossy(&free.stdout));
        let filters = [forbid_internet as fn(&mut Command) -> bool, forbid_connections];
        for (forbid, is_ended) in filters.into_iter().zip(is_ended) {
            let mut command = control();
            if !forbid(&mut command) {
                return;
            }
            let status = command.output().expect("a process").status;
            if what == "in a child" {
                assert!(!status.success(), "{what}: {status}");
            } else {
                let signal = if is_ended { Some(libc::SIGSYS) } else { None };
                assert_eq!(status.signal(), signal, "{what}: {status}");
            }
        }
    }
}

/// Binding to a port of this machine is enough, and needs no network.
fn open(what: &str) {
    match what {
        "nothing" => {}
        "unix" => drop(UnixStream::pair().expect("a socket")),
        "ipv4" => drop(TcpListener::bind("127.0.0.1:0").expect("a socket")),
        "udp" => drop(UdpSocket::bind("127.0.0.1:0").expect("a socket")),
        // Not every machine has IPv6, but socket(2) comes before bind(2).
        "ipv6" => drop(TcpListener::bind("[::1]:0")),
        "connects" => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
            drop(TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection"));
        }
        // There is none, but who asks has called connect(2).
        "connects to a file" => drop(UnixStream::connect("/absent")),
        "in a thread" => std::thread::spawn(|| open("connects")).join().expect("a thread"),
        "in a child" => {
            let mut command = Command::new(env::current_exe().expect("this program"));
            let status = command.args(env::args().skip(1)).env(WHAT, "connects").status().expect("a process");
            assert!(status.success(), "{status}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn predict_opens_no_internet_socket() {
    let tiny = model("tiny-nchw-softmax", CARD);
    let place = folder(&[
        ("photos/a.jpg", "images/lesion.jpg"),
        ("photos/b.jpg", "bad/truncated.jpg"),
        ("photos/c.png", "images/png-rgb8.png"),
    ]);
    for (program, code) in [
        (predict(["images/lesion.jpg"]), 0),
        (predict(["images/lesion.jpg", "--threads", "2", "--json", "--model"]).args([tiny.path()]), 0),
        (predict(["images/lesion.jpg", "--model", "onnx/tiny-names.onnx"]), 0),
        (predict_in(place.path(), ["photos", "--jsonl", "out.jsonl", "--resume"]), 2),
        (predict_in(place.path(), ["photos", "--csv", "out.csv", "--shard", "1/2"]), 0),
        (predict(["bad/text.jpg"]), 2),
        (predict(["images/lesion.jpg", "--model", "onnx/unknown-op.onnx"]), 2),
        (predict(["--help"]), 0),
    ] {
        let mut program = program;
        if !forbid_internet(&mut program.command) {
            return;
        }
        let outcome = program.run();
        assert_eq!(outcome.status.signal(), None, "a socket was opened: {}", outcome.text());
        outcome.exits(code);
    }
}
