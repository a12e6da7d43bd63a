//! The program as a process: started in a clean environment, and what came of it as one text for a snapshot.
use assert_cmd::Command;
use serde_json::Value;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

/// A process that takes longer hangs: the slowest test takes a few seconds.
const LONGEST: Duration = Duration::from_mins(2);

/// What would change an answer or its words.
const VARIABLES: [&str; 8] =
    ["DERMAI_MODEL", "LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"];

/// What differs from one machine or run to the next, and what a snapshot shows instead.
pub const FILTERS: [(&str, &str); 7] = [
    (r"\b[0-9a-f]{64}\b", "[SHA256]"),
    (r"ONNX Runtime \d+\.\d+\.\d+", "ONNX Runtime [VERSION]"),
    (r#""runtime":( ?)"\d+\.\d+\.\d+""#, r#""runtime":$1"[VERSION]""#),
    (r#""dermai":( ?)"\d+\.\d+\.\d+""#, r#""dermai":$1"[VERSION]""#),
    (r#""cpu":( ?)"(avx512|avx2|neon|any)""#, r#""cpu":$1"[CPU]""#),
    (r#""(decode|preprocess|infer)":( ?)[0-9.]+"#, r#""$1":$2[MS]"#),
    // The last digits depend on the CPU's instructions.
    (r"\b0\.(\d{3})\d+(e-\d+)?", "0.$1…"),
];

/// Compares an outcome with the text behind `@`.
macro_rules! snapshot {
    ($outcome:expr, @$expected:literal) => {
        insta::with_settings!({ filters => $crate::support::program::FILTERS.to_vec() }, {
            insta::assert_snapshot!($outcome.text(), @$expected);
        })
    };
}
pub(crate) use snapshot;

/// A file of the repository.
pub fn fixture(name: &str) -> PathBuf {
    super::shared::root().join("fixtures").join(name)
}

/// `dermai predict` in the folder `at`.
pub fn predict_in<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Program {
    command_in("predict", at, arguments)
}

/// `dermai gradcam` in the folder `at`.
pub fn gradcam_in<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Program {
    command_in("gradcam", at, arguments)
}

/// `dermai memcheck` in the folder `at`, outside any CI.
pub fn memcheck_in<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Program {
    let mut program = command_in("memcheck", at, arguments);
    program.command.env_remove("GITHUB_ACTIONS");
    program
}

/// `dermai quantize` in the folder `at`.
pub fn quantize_in<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Program {
    command_in("quantize", at, arguments)
}

/// `dermai serve` in the folder `at`, at a free port of this machine.
pub fn serve_in<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Program {
    let mut program = command_in("serve", at, ["--host", "127.0.0.1", "--port", "0"]).args(arguments);
    for variable in ["PORT", "ENABLE_GRADCAM", "DERMAI_MODELS"] {
        program.command.env_remove(variable);
    }
    program
}

fn command_in<A: AsRef<OsStr>>(name: &str, at: &Path, arguments: impl IntoIterator<Item = A>) -> Program {
    let mut command = process::Command::new(env!("CARGO_BIN_EXE_dermai"));
    command.current_dir(at).arg(name).args(arguments).env("TERM", "xterm-256color");
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    Program { command, input: Vec::new(), longest: LONGEST }
}

/// `dermai predict` among the fixtures.
pub fn predict<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Program {
    predict_in(&fixture(""), arguments)
}

/// The program, about to start.
pub struct Program {
    /// To be changed, or started by hand.
    pub command: process::Command,
    input: Vec<u8>,
    longest: Duration,
}

impl Program {
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Bytes on standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// The kernel refuses the program more private memory than `bytes` (getrlimit(2), `RLIMIT_DATA`).
    pub fn within(self, bytes: u64) -> Self {
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::process::CommandExt;
            let Self { mut command, input, longest } = self;
            // SAFETY: setrlimit is async-signal-safe and only reads the limit.
            unsafe {
                command.pre_exec(move || {
                    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
                    if libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) == 0 {
                        Ok(())
                    } else {
                        Err(std::io::Error::last_os_error())
                    }
                });
            }
            Self { command, input, longest }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = bytes;
            self
        }
    }

    /// It joins a cgroup, whose file of processes is `door`, before it runs.
    pub fn inside(self, door: &Path) -> Self {
        let mut command = process::Command::new("sh");
        command.args(["-c", r#"echo 0 > "$0" && exec "$@""#]).arg(door).arg(self.command.get_program());
        self.by(command)
    }

    /// A copy of it is started.
    pub fn copied(self, to: &Path) -> Self {
        self.by(process::Command::new(to))
    }

    /// The arguments, variables and folder are handed to another command.
    fn by(self, mut command: process::Command) -> Self {
        command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Self { command, ..self }
    }

    /// It may take so long.
    pub fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    pub fn run(self) -> Outcome {
        let output = Command::from_std(self.command)
            .write_stdin(self.input)
            .timeout(self.longest)
            .output()
            .expect("the program can be started");
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Outcome { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// How the program ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: process::ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Exit status and both streams.
    pub fn text(&self) -> String {
        let mut text = self.status.code().map_or_else(|| self.status.to_string(), |code| format!("exit status {code}"));
        for (name, stream) in [("out", &self.stdout), ("error", &self.stderr)] {
            if !stream.is_empty() {
                let _ = write!(text, "\n--- {name} ---\n{stream}");
            }
        }
        text
    }

    /// Checks the exit status; the text tells more than the number.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.text());
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// The one line on standard error.
    #[track_caller]
    pub fn one_error(&self) -> &str {
        let line = self.stderr.strip_suffix('\n').unwrap_or(&self.stderr);
        assert!(!line.contains('\n') && line.starts_with("error: "), "not one line of error: {}", self.text());
        line
    }
}

#[track_caller]
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// A value's keys with the types behind them, one a line, lists by their first element.
pub fn shape(value: &Value) -> String {
    let mut lines = String::new();
    walk("", value, &mut lines);
    lines
}

fn walk(place: &str, value: &Value, lines: &mut String) {
    let kind = match value {
        Value::Object(map) => {
            return map.iter().for_each(|(key, inner)| walk(&format!("{place}.{key}"), inner, lines));
        }
        Value::Array(items) => match items.first() {
            Some(first) => return walk(&format!("{place}[]"), first, lines),
            None => "empty list",
        },
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "text",
    };
    let _ = writeln!(lines, "{} {kind}", place.trim_start_matches('.'));
}
