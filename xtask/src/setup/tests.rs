//! `Plan::carry_out` against pip and npm stand-ins and archives of a few bytes: no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::digest::Pin;
use super::fetch::Registry;
use super::pins::Release;
use super::plan::{Plan, Ready};

/// A process started while another thread has a script open for writing inherits that, and the script
/// cannot be run for as long: tests that start programs take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The library in every archive here.
const LIBRARY: &[u8] = b"not really a shared library";

/// A machine of its own: a folder for runtimes, one to look for programs in, and one for what the programs need.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["bin", "files"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A plan for this machine with the pins of archives that are made here and now.
    fn plan(&self) -> Plan {
        let (wheel, package) = (self.path("files/fake.whl"), self.path("files/fake.tgz"));
        fs::write(&wheel, zipped(&[("onnxruntime/LICENSE", b"free"), ("onnxruntime/capi/lib.so", LIBRARY)])).unwrap();
        fs::write(&package, tarred("package/bin/lib.so", LIBRARY)).unwrap();
        let library = self.path("files/lib.so");
        fs::write(&library, LIBRARY).unwrap();
        let release = Release {
            platform: "here",
            version: "1.28.0",
            registry: Registry::Pip { package: "onnxruntime==1.28.0", tag: "any" },
            archive: Pin::of(&wheel).unwrap(),
            member: "onnxruntime/capi/lib.so",
            library: "lib.so",
            pin: Pin::of(&library).unwrap(),
        };
        let second = Release {
            version: "1.27.0",
            registry: Registry::Npm { package: "onnxruntime-node@1.27.0" },
            archive: Pin::of(&package).unwrap(),
            member: "package/bin/lib.so",
            ..release
        };
        Plan {
            folder: self.path("runtimes"),
            platform: "here".into(),
            releases: vec![release, second],
            own_library: None,
            search: self.path("bin").into(),
        }
    }

    /// What there is of runtimes, relative to their folder and without the lock.
    fn runtimes(&self) -> Vec<String> {
        let folder = self.path("runtimes");
        let mut files = files_below(&folder);
        files.retain(|path| !path.ends_with("lock"));
        let relative = |path: &PathBuf| path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
        files.iter().map(relative).collect()
    }
}

/// All files and empty folders below `folder`, sorted.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let below = files_below(&path);
        if below.is_empty() { all.push(path) } else { all.extend(below) }
    }
    all.sort();
    all
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tarred(name: &str, content: &[u8]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn error(plan: &Plan) -> String {
    match plan.carry_out() {
        Ok(ready) => panic!("ended well: {ready}"),
        Err(err) => format!("{err:#}"),
    }
}

/// `text` with every one of `parts` in it.
fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

#[test]
fn an_own_library_is_used_and_nothing_is_fetched() {
    let machine = Machine::new();
    let mut plan = machine.plan();
    plan.own_library = Some(machine.path("files/lib.so"));
    assert!(matches!(plan.carry_out(), Ok(Ready::Own(path)) if path == machine.path("files/lib.so")));
    assert!(!plan.folder.exists());
}

#[test]
fn an_own_library_that_is_missing_is_named() {
    let machine = Machine::new();
    let mut plan = machine.plan();
    plan.own_library = Some(machine.path("nowhere.so"));
    assert_names(&error(&plan), &["ORT_DYLIB_PATH", "nowhere.so`, which is not a file", "unset"]);
}

#[test]
fn an_unknown_platform_is_named_with_the_known_ones() {
    let mut plan = Machine::new().plan();
    plan.platform = "plan9-mips".into();
    let expected =
        "no ONNX Runtime is pinned for `plan9-mips`, only for here: set ORT_DYLIB_PATH to a library of your own";
    assert_eq!(error(&plan), expected);
}

#[test]
fn without_pip_and_npm_it_says_what_to_install() {
    let _turn = turn();
    let machine = Machine::new();
    let expected = "cannot fetch ONNX Runtime: there is no pip, there is no npm: install Python with pip, or Node.js \
                    with npm, or set ORT_DYLIB_PATH to a library of your own";
    assert_eq!(error(&machine.plan()), expected);
    assert_eq!(machine.runtimes(), [""; 0]);
}

/// Tests that start stand-ins, which are shell scripts.
#[cfg(unix)]
mod with_programs {
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use super::*;

    impl Machine {
        /// Puts a program on the search path; it writes its arguments into `files/calls` before it runs `body`.
        fn program(&self, name: &str, body: &str) {
            let path = self.path("bin").join(name);
            let files = self.path("files");
            let files = files.display();
            fs::write(&path, format!("#!/bin/sh\nfiles='{files}'\necho \"{name} $*\" >> \"$files/calls\"\n{body}\n"))
                .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }

        /// A client that brings `archive` from `files/` to the folder after its option `flag`.
        fn client(&self, name: &str, flag: &str, archive: &str) {
            let find = format!("while [ \"$1\" != {flag} ]; do shift; done");
            self.program(name, &format!("{find}\n/bin/cp \"$files/{archive}\" \"$2/\""));
        }

        fn calls(&self) -> Vec<String> {
            fs::read_to_string(self.path("files/calls")).unwrap_or_default().lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn pip_brings_the_library_and_its_licence_once() {
        let _turn = turn();
        let machine = Machine::new();
        let plan = machine.plan();
        machine.client("pip", "-d", "fake.whl");
        assert!(matches!(plan.carry_out(), Ok(Ready::Installed("1.28.0", _))));
        assert_eq!(machine.runtimes(), ["1.28.0/here/LICENSE", "1.28.0/here/lib.so"]);
        assert_eq!(fs::read(machine.path("runtimes/1.28.0/here/lib.so")).unwrap(), LIBRARY);
        assert!(matches!(plan.carry_out(), Ok(Ready::There("1.28.0", _))));
        let calls = machine.calls();
        assert_eq!(calls.len(), 1);
        assert_names(&calls[0], &["pip download onnxruntime==1.28.0 --no-deps", "--abi cp312 --platform any"]);
    }

    #[test]
    fn a_python_without_pip_and_a_shim_without_python_are_passed_over() {
        let _turn = turn();
        let machine = Machine::new();
        let plan = machine.plan();
        machine.program("python3", "echo 'python3: No module named pip' >&2; exit 1");
        machine.program("python", "echo 'shim: python: command not found' >&2; exit 127");
        machine.client("pip3", "-d", "fake.whl");
        assert!(matches!(plan.carry_out(), Ok(Ready::Installed("1.28.0", _))));
        assert_eq!(machine.calls().len(), 3);
    }

    #[test]
    fn without_pip_npm_brings_its_own_version() {
        let _turn = turn();
        let machine = Machine::new();
        let plan = machine.plan();
        machine.client("npm", "--pack-destination", "fake.tgz");
        assert!(matches!(plan.carry_out(), Ok(Ready::Installed("1.27.0", _))));
        assert_eq!(machine.runtimes(), ["1.27.0/here/lib.so"]);
        assert!(matches!(plan.carry_out(), Ok(Ready::There("1.27.0", _))));
    }

    #[test]
    fn a_failing_pip_is_quoted_and_leaves_nothing() {
        let _turn = turn();
        let machine = Machine::new();
        let plan = machine.plan();
        let said = "WARNING: Failed to establish a new connection\nERROR: No matching distribution found";
        machine.program("python3", &format!("echo 'Looking in links'; printf '{said}\\n' >&2; exit 1"));
        let expected = "cannot fetch ONNX Runtime: `python3 -m pip` failed (`ERROR: No matching distribution found`), \
                        there is no npm: there seems to be no network; connect and try again, or set ORT_DYLIB_PATH \
                        to a library of your own";
        assert_eq!(error(&plan), expected);
        assert_eq!(machine.runtimes(), [""; 0]);
    }

    #[test]
    fn an_archive_with_the_wrong_hash_leaves_nothing() {
        let _turn = turn();
        let machine = Machine::new();
        let plan = machine.plan();
        machine.client("pip", "-d", "fake.whl");
        fs::write(machine.path("files/fake.whl"), "abc").unwrap();
        let got = "got sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad (3 bytes)";
        let expected = format!("expected {}", plan.releases[0].archive);
        assert_names(&error(&plan), &["`fake.whl` is not the pinned file", &expected, got, "nothing was installed"]);
        assert_eq!(machine.runtimes(), [""; 0]);
    }

    #[test]
    fn a_library_with_the_wrong_hash_leaves_nothing() {
        let _turn = turn();
        let machine = Machine::new();
        let mut plan = machine.plan();
        machine.client("pip", "-d", "fake.whl");
        plan.releases[0].pin = plan.releases[0].archive;
        assert_names(&error(&plan), &["`lib.so` is not the pinned file", "expected", "got", "nothing was installed"]);
        assert_eq!(machine.runtimes(), [""; 0]);
    }

    #[test]
    fn a_spoilt_library_and_the_leavings_of_a_killed_run_are_replaced() {
        let _turn = turn();
        let machine = Machine::new();
        let plan = machine.plan();
        machine.client("pip", "-d", "fake.whl");
        fs::create_dir_all(machine.path("runtimes/1.28.0/here")).unwrap();
        fs::write(machine.path("runtimes/1.28.0/here/lib.so"), "half").unwrap();
        fs::create_dir_all(machine.path("runtimes/tmp-killed/npm-cache")).unwrap();
        assert!(matches!(plan.carry_out(), Ok(Ready::Installed("1.28.0", _))));
        assert_eq!(machine.runtimes(), ["1.28.0/here/LICENSE", "1.28.0/here/lib.so"]);
    }

    #[test]
    fn two_runs_at_once_fetch_once() {
        let _turn = turn();
        let machine = Machine::new();
        let plan = machine.plan();
        machine.client("pip", "-d", "fake.whl");
        thread::scope(|scope| {
            let runs = [(); 2].map(|()| scope.spawn(|| plan.carry_out().map(|ready| ready.to_string())));
            for run in runs {
                assert_names(&run.join().unwrap().unwrap(), &["1.28.0"]);
            }
        });
        assert_eq!(machine.calls().len(), 1);
    }
}
