//! A real Chromium without a window, over two pipes (the protocol of its developer tools, `--remote-debugging-pipe`): no driver and no port are needed.
use serde_json::{Value, json};
use std::env;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Set by `.ci/run` once Chromium is there: a test that needs it must not skip then.
const REQUIRED: &str = "DERMAI_REQUIRE_BROWSER";
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// Root has no sandbox to offer, and nothing but the page shall be asked for.
const FLAGS: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--accept-lang=en-US",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe",
];
/// What takes longer hangs.
const LONGEST: Duration = Duration::from_mins(1);

/// A browser with one empty page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// None, and a line that says why, where there is no Chromium.
    pub fn start() -> Option<Self> {
        let Some(program) = find() else {
            assert!(env::var_os(REQUIRED).is_none(), "`{REQUIRED}` is set, and there is no Chromium");
            #[allow(clippy::print_stderr)]
            {
                eprintln!("skipped: no Chromium is installed");
            }
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut folder = std::ffi::OsString::from("--user-data-dir=");
        folder.push(profile.path());
        // The browser reads at 3 and writes at 4.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#, "sh"])
            .arg(program)
            .args(FLAGS)
            .arg(folder)
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser can be started");
        let to = child.stdin.take().unwrap();
        let messages = BufReader::new(child.stdout.take().unwrap());
        let (sender, from) = channel();
        thread::spawn(move || {
            for mut message in messages.split(0).map_while(Result::ok) {
                without_surrogates(&mut message);
                let message = serde_json::from_slice(&message).expect("the browser speaks JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self { child, to, from, session: None, last: 0, events: Vec::new(), _profile: profile };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let session = browser.call("Target.attachToTarget", json!({"targetId": page["targetId"], "flatten": true}));
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Has the browser do something, and waits for what it says.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({"id": id, "method": method});
        message["params"] = parameters;
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser lives");
        loop {
            let mut answer = self.next();
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    #[track_caller]
    fn next(&self) -> Value {
        self.from.recv_timeout(LONGEST).expect("the browser says something")
    }

    /// Parameters of the first event of this kind from event `from` on; waits for it.
    #[track_caller]
    pub fn event(&mut self, method: &str, from: usize) -> Value {
        let mut at = from;
        loop {
            while let Some(event) = self.events.get(at) {
                if event["method"] == method {
                    return event["params"].clone();
                }
                at += 1;
            }
            let event = self.next();
            self.events.push(event);
        }
    }

    /// Events so far.
    pub fn count(&self) -> usize {
        self.events.len()
    }

    /// Parameters of all events of this kind so far.
    pub fn events(&self, method: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["method"] == method).map(|event| &event["params"]).collect()
    }

    /// The value of an expression in the page; a promise is waited for.
    #[track_caller]
    pub fn run(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until a condition holds in the page, looking at each change of it.
    #[track_caller]
    pub fn until(&mut self, condition: &str) {
        let limit = LONGEST.as_millis();
        let held = self.run(&format!(
            "new Promise((done) => {{
                const watcher = new MutationObserver(look);
                const timer = setTimeout(() => end(false), {limit} / 2);
                function end(held) {{
                    watcher.disconnect();
                    clearTimeout(timer);
                    removeEventListener('load', look, true);
                    done(held);
                }}
                function look() {{
                    if ({condition}) end(true);
                }}
                watcher.observe(document, {{ attributes: true, characterData: true, childList: true, subtree: true }});
                addEventListener('load', look, true);
                look();
            }})"
        ));
        if held != true {
            let shown = self.run("document.body.innerText");
            panic!("never came true: {condition}\n{}", shown.as_str().unwrap_or_default());
        }
    }

    /// Opens a page, and waits until it and all that it loads are there.
    pub fn open(&mut self, url: &str) {
        let before = self.count();
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.event("Page.loadEventFired", before);
    }

    /// Chooses a file in the field that `selector` names.
    #[track_caller]
    pub fn choose(&mut self, selector: &str, file: &Path) {
        let expression = format!("document.querySelector('{selector}')");
        let field = self.call("Runtime.evaluate", json!({"expression": expression}));
        let files = json!({"files": [file], "objectId": field["result"]["objectId"]});
        self.call("DOM.setFileInputFiles", files);
    }

    /// Presses a key and lets it go.
    pub fn key(&mut self, key: &str) {
        let (number, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Space" => (32, " "),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            other => panic!("{other}: give it a number here"),
        };
        let named = if key == "Space" { text } else { key };
        let event =
            json!({"type": "keyDown", "key": named, "code": key, "windowsVirtualKeyCode": number, "text": text});
        self.call("Input.dispatchKeyEvent", event);
        let event = json!({"type": "keyUp", "key": named, "code": key, "windowsVirtualKeyCode": number});
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Clicks in the middle of what `selector` names.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let [x, y] = self.middle(selector);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Drops a file of this machine on what `selector` names.
    #[track_caller]
    pub fn drop_file(&mut self, selector: &str, file: &Path) {
        let [x, y] = self.middle(selector);
        for kind in ["dragEnter", "dragOver", "drop"] {
            let data = json!({"items": [], "files": [file], "dragOperationsMask": 1});
            self.call("Input.dispatchDragEvent", json!({"type": kind, "x": x, "y": y, "data": data}));
        }
    }

    #[track_caller]
    fn middle(&mut self, selector: &str) -> [f64; 2] {
        let place = self.run(&format!(
            "(() => {{
                const one = document.querySelector('{selector}');
                one.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const {{ x, y, width, height }} = one.getBoundingClientRect();
                return [x + width / 2, y + height / 2];
            }})()"
        ));
        [0, 1].map(|at| place[at].as_f64().unwrap())
    }

    /// The window is a telephone's.
    pub fn phone(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 2, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Emulation.setTouchEmulationEnabled", json!({"enabled": true}));
    }

    /// What the browser complained of: its console's errors and warnings, and exceptions of scripts.
    pub fn complaints(&self) -> String {
        let mut text = String::new();
        for entry in self.events("Log.entryAdded") {
            let entry = &entry["entry"];
            if entry["level"] == "error" || entry["level"] == "warning" {
                writeln!(text, "{}: {} {}", entry["source"], entry["text"], entry["url"]).unwrap();
            }
        }
        for thrown in self.events("Runtime.exceptionThrown") {
            writeln!(text, "{thrown}").unwrap();
        }
        text
    }

    /// Addresses that were asked, with the method.
    pub fn requests(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let asked = self.events("Network.requestWillBeSent");
        asked.iter().map(|one| (text(&one["request"]["method"]), text(&one["request"]["url"]))).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0"); // it may be gone
        let end = Instant::now() + Duration::from_secs(10);
        while self.from.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() {}
        let _ = self.child.kill(); // it has ended, as a rule
        let _ = self.child.wait();
    }
}

/// The bytes of a picture that is sent are told as UTF-16, halves of characters among them, which JSON in Rust does not take.
fn without_surrogates(message: &mut [u8]) {
    for at in 0..message.len().saturating_sub(5) {
        let escape = &mut message[at..at + 6];
        let is_half = escape.starts_with(b"\\u") && escape[2].eq_ignore_ascii_case(&b'd') && escape[3] > b'7';
        if is_half {
            escape[2..].copy_from_slice(b"fffd");
        }
    }
}

fn find() -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    let mut paths = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.find(|path| path.is_file())
}
