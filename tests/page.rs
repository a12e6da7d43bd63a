//! The page at `/`, in a real Chromium, against a real `dermai serve` of the default model.
#![cfg(unix)]
use crate::support::browser::Browser;
use crate::support::jpegs::{Kind, jpeg, texture, turn};
use crate::support::program::{fixture, serve_in};
use crate::support::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dermai::units::Size;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// All is answered: bars stand, and the heat lies over the picture.
const ANSWERED: &str = "!document.querySelector('#answer').hidden && document.querySelector('#busy').hidden && \
                        !document.querySelector('#heat').hidden && document.querySelector('#heat').naturalWidth > 0";
/// Something went wrong, in words.
const REFUSED: &str = "!document.querySelector('#error').hidden && document.querySelector('#busy').hidden";
/// The list of models has arrived.
const READY: &str = "document.documentElement.lang && document.querySelector('#busy').hidden";

/// A page that has the list of models; none without Chromium.
fn page() -> Option<(Server, Browser)> {
    page_of(&[])
}

/// The same of a server that is started so.
fn page_of(arguments: &[&str]) -> Option<(Server, Browser)> {
    let mut browser = Browser::start()?;
    let server = Server::ready(serve_in(&fixture(""), arguments));
    browser.open(&server.url("/"));
    browser.until(READY);
    Some((server, browser))
}

/// What is written in all that `selector` names.
fn texts(browser: &mut Browser, selector: &str) -> Vec<String> {
    let texts = browser.run(&format!("[...document.querySelectorAll('{selector}')].map((one) => one.textContent)"));
    serde_json::from_value(texts).unwrap()
}

fn text(browser: &mut Browser, selector: &str) -> String {
    texts(browser, selector).join(" ")
}

/// Queries of the questions that were asked, in order.
fn questions(browser: &Browser) -> Vec<String> {
    let posts = browser.requests().into_iter().filter(|(method, _)| method == "POST");
    posts.map(|(_, url)| url.split_once('?').map_or("", |(_, query)| query).to_owned()).collect()
}

/// Nothing was asked of anybody else, and the browser had nothing to complain of but the `known`.
#[track_caller]
fn kept_to_itself(browser: &Browser, server: &Server, known: &str) {
    let own = server.url("/");
    for (_, url) in browser.requests() {
        let is_own = url.starts_with(&own) || url.starts_with("data:image/png;base64,") || url.starts_with("blob:");
        assert!(is_own, "asked elsewhere: {url}");
    }
    let complaints = browser.complaints();
    let unknown: Vec<_> = complaints.lines().filter(|line| known.is_empty() || !line.contains(known)).collect();
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn a_picture_is_ranked_and_explained() {
    let Some((server, mut browser)) = page() else { return };
    browser.choose("#file", &fixture("images/lesion.jpg"));
    browser.until(ANSWERED);
    assert_eq!(questions(&browser), ["model=ham7-resnet160&top=0&gradcam=1&overlay=heat"]);

    let predicted = server.post("/predict?top=0", &fs::read(fixture("images/lesion.jpg")).unwrap()).ok().json();
    let predicted = predicted["results"][0]["predictions"].as_array().unwrap().clone();
    let labels = texts(&mut browser, "#bars .bar");
    let shares: Vec<_> = predicted.iter().map(|one| 100.0 * one["probability"].as_f64().unwrap()).collect();
    assert_eq!(labels.len(), 7);
    assert_eq!(labels[0], format!("Melanocytic nevus {:.1}%", shares[0]));
    assert_eq!(labels[1], format!("Melanoma {:.1}%", shares[1]));
    let widths =
        browser.run("[...document.querySelectorAll('.bar-fill')].map((one) => parseFloat(one.style.inlineSize))");
    for (width, share) in widths.as_array().unwrap().iter().zip(&shares) {
        assert!((width.as_f64().unwrap() - share).abs() < 0.01, "{width} is drawn for {share}");
    }
    assert!(text(&mut browser, "#facts").contains("not a diagnosis"));
    assert!(text(&mut browser, "#news").contains("Most likely Melanocytic nevus"));

    // The heat is as large as the photo and lies exactly over it.
    let places = browser.run(
        "['photo', 'heat'].map((id) => {
            const one = document.getElementById(id);
            const { x, y, width, height } = one.getBoundingClientRect();
            return [one.naturalWidth, one.naturalHeight, x, y, width, height];
        })",
    );
    assert_eq!(places[0], places[1]);
    assert_eq!((places[0][0].as_u64(), places[0][1].as_u64()), (Some(600), Some(450)));

    slide(&mut browser);
    choose_otherwise(&mut browser);
    speak_vietnamese(&mut browser);
    kept_to_itself(&browser, &server, "");
    refuse_what_is_foreign(&mut browser);
}

/// The slider is the heat's opacity, and what lies on the screen follows.
fn slide(browser: &mut Browser) {
    browser.run("document.querySelector('#opacity').focus()");
    let mut drawn = Vec::new();
    for (key, opacity) in [("Home", "0"), ("End", "1")] {
        browser.key(key);
        assert_eq!(browser.run("getComputedStyle(document.querySelector('#heat')).opacity"), json!(opacity));
        let place = browser.run(
            "(() => {
                const { x, y, width, height } = document.querySelector('#photo').getBoundingClientRect();
                return { x, y: y + scrollY, width, height, scale: 1 };
            })()",
        );
        let shot = browser.call("Page.captureScreenshot", json!({"clip": place, "captureBeyondViewport": true}));
        drawn.push(blueness(&STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()));
    }
    // The lesion is brown on skin; a jet map is blue in most places.
    assert!(drawn[1] > drawn[0] + 40.0, "blue less red was {drawn:?} without and with the heat");
    browser.key("Home");
    assert_eq!(text(browser, "#opacity-value"), "0%");
}

/// Mean of blue less red.
fn blueness(png: &[u8]) -> f64 {
    let picture = image_of(png);
    let sum: f64 = picture.chunks(3).map(|pixel| f64::from(pixel[2]) - f64::from(pixel[0])).sum();
    sum / (picture.len() / 3) as f64
}

/// RGB.
fn image_of(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let step = info.color_type.samples();
    pixels.chunks(step).flat_map(|pixel| pixel[..3].to_vec()).collect()
}

/// Another method, layer or class is asked for anew, and shown.
fn choose_otherwise(browser: &mut Browser) {
    let shown = "document.querySelector('#heat').src";
    let mut before = browser.run(shown);
    let mut select = |browser: &mut Browser, act: &str, expected: &str, asked: &str| {
        browser.run(act);
        browser.until(&format!("document.querySelector('#explained').textContent.includes('{expected}')"));
        browser.until(ANSWERED);
        let last = questions(browser).pop().unwrap();
        assert!(last.contains(asked), "{last}");
        let now = browser.run(shown);
        assert!(now != before, "{asked}: the map is the same");
        before = now;
    };
    let set = |id: &str, value: &str| {
        format!(
            "{{ const list = document.querySelector('#{id}'); list.value = {value}; list.dispatchEvent(new Event('change')); }}"
        )
    };
    select(browser, &set("method", "'gradcam++'"), "Grad-CAM++", "method=gradcam%2B%2B");
    select(browser, &set("layer", "list.options[2].value"), "layer /stem/stem.2/Relu_output_0", "layer=%2Fstem");
    select(browser, "document.querySelectorAll('#bars button')[1].click()", "Melanoma", "class=mel");
    let pressed = "[...document.querySelectorAll('#bars button')].map((one) => one.getAttribute('aria-pressed'))";
    assert_eq!(browser.run(pressed), json!(["false", "true", "false", "false", "false", "false", "false"]));
    assert_eq!(questions(browser).len(), 4);
}

/// Everything is said in the other language without asking the server, and it stays so.
fn speak_vietnamese(browser: &mut Browser) {
    let before = questions(browser).len();
    browser.click("[data-language=vi]");
    assert_eq!(browser.run("document.documentElement.lang"), json!("vi"));
    assert!(text(browser, "#notice").contains("Đây không phải là chẩn đoán."));
    let first = texts(browser, "#bars .bar").remove(0);
    assert!(first.starts_with("Nốt ruồi (nơ-vi hắc tố) ") && first.contains(','), "{first}");
    assert_eq!(questions(browser).len(), before);
    let from = browser.count();
    browser.call("Page.reload", json!({}));
    browser.event("Page.loadEventFired", from);
    browser.until(READY);
    assert_eq!(browser.run("document.documentElement.lang"), json!("vi"));
}

/// The control of all that is said of other origins: the browser does refuse them, and says so.
fn refuse_what_is_foreign(browser: &mut Browser) {
    let outcome = browser.run(
        "(async () => {
            const script = document.createElement('script');
            script.textContent = 'window.foreign = 1';
            document.head.append(script);
            const asked = await fetch('http://127.0.0.1:1/').then(() => 'answered', () => 'refused');
            return [String(window.foreign), asked];
        })()",
    );
    assert_eq!(outcome, json!(["undefined", "refused"]));
    let complaints = browser.complaints();
    assert!(complaints.contains("Content Security Policy"), "{complaints}");
}

#[test]
fn the_keyboard_is_enough() {
    let Some((server, mut browser)) = page() else { return };
    let first = stops(&mut browser);
    assert_eq!(first, ["skip", "en", "vi", "drop", "camera"]);

    // Enter on the drop zone opens the dialog for files.
    browser.call("Page.setInterceptFileChooserDialog", json!({"enabled": true}));
    browser.run("document.querySelector('#drop').focus()");
    let before = browser.count();
    browser.key("Enter");
    let chooser = browser.event("Page.fileChooserOpened", before);
    let files = [fixture("images/lesion.jpg")];
    let node = chooser["backendNodeId"].clone();
    browser.call("DOM.setFileInputFiles", json!({"files": files, "backendNodeId": node}));
    browser.until(ANSWERED);
    // The drop zone is gone: the focus is where another picture is chosen.
    assert_eq!(browser.run("document.activeElement.id"), json!("choose"));

    browser.run("document.querySelector('.skip').focus()");
    let with_answer = stops(&mut browser);
    let classes = ["nv", "mel", "bkl", "akiec", "bcc", "df", "vasc"];
    let before = ["en", "vi", "remove", "opacity", "choose", "camera"];
    let expected: Vec<_> = before.into_iter().chain(classes).chain(["method", "layer"]).collect();
    assert_eq!(with_answer, expected);

    for (at, key, name, class) in [(2, "Space", "Benign keratosis", "bkl"), (1, "Enter", "Melanoma", "mel")] {
        browser.run(&format!("document.querySelectorAll('#bars button')[{at}].focus()"));
        browser.key(key);
        browser.until(&format!("document.querySelector('#explained').textContent.includes('{name}')"));
        browser.until(ANSWERED);
        assert_eq!(browser.run("document.activeElement.dataset.class"), json!(class));
    }
    named(&mut browser);
    kept_to_itself(&browser, &server, "");
}

/// Where Tab stops from here on, until it leaves the page; every stop is seen.
#[track_caller]
fn stops(browser: &mut Browser) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..40 {
        browser.key("Tab");
        let stop = browser.run(
            "(() => {
                const one = document.activeElement;
                if (one === document.body || one === document.documentElement) return null;
                const { outlineStyle, outlineWidth } = getComputedStyle(one);
                const name = one.dataset.class ?? one.dataset.language ?? (one.id || one.className);
                return [name, outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2];
            })()",
        );
        if stop.is_null() || all.first() == stop[0].as_str().map(str::to_owned).as_ref() {
            return all;
        }
        assert_eq!(stop[1], true, "{stop}: its focus is not seen");
        all.push(stop[0].as_str().unwrap().to_owned());
    }
    panic!("Tab never comes round: {all:?}");
}

/// All that can be operated or looked at has a name for those who do not see it.
#[track_caller]
fn named(browser: &mut Browser) {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        let is_meant = ["button", "slider", "combobox", "image", "img", "meter", "link", "note", "status", "region"];
        if node["ignored"] == false && is_meant.contains(&role) {
            let name = node["name"]["value"].as_str().unwrap_or_default().to_owned();
            found.entry(role.to_owned()).or_default().push(name);
        }
    }
    for (role, names) in &found {
        let may_be_unnamed = ["note", "status"].contains(&role.as_str());
        assert!(may_be_unnamed || names.iter().all(|name| !name.trim().is_empty()), "{role}: {names:?}");
    }
    for role in ["button", "slider", "combobox", "meter", "note", "status"] {
        assert!(found.contains_key(role), "no {role} in {found:?}");
    }
    let has = |name: &str| found.values().flatten().any(|known| known.contains(name));
    assert!(has("Heat map over your picture: where the network looked for Melanoma (Grad-CAM)"), "{found:?}");
    assert!(found["button"].iter().any(|name| name.starts_with("Melanocytic nevus ")), "{:?}", found["button"]);
}

#[test]
fn what_goes_wrong_is_said_in_words() {
    let Some((server, mut browser)) = page() else { return };
    browser.choose("#file", &fixture("bad/text.jpg"));
    browser.until(REFUSED);
    assert_eq!(text(&mut browser, "#error-title"), "This is no picture that the server can read.");
    assert!(!text(&mut browser, "#error-detail").is_empty());
    assert_eq!(browser.run("document.querySelector('#error').getAttribute('role')"), json!("alert"));
    browser.click("[data-language=vi]");
    assert_eq!(text(&mut browser, "#error-title"), "Đây không phải là ảnh mà máy chủ đọc được.");
    browser.click("[data-language=en]");

    // A busy server is waited for, and the picture gets its answer.
    answer_next_with(&mut browser, 429, 1, |browser| {
        browser.drop_file("#frame", &fixture("images/lesion.jpg"));
    });
    browser.until("document.querySelector('#busy').innerText.includes('The server is busy')");
    browser.until(ANSWERED);
    assert_eq!(browser.run("document.querySelector('#error').hidden"), json!(true));

    // A map that the server cannot make; the answer stays, and the next picture is asked about as usual.
    answer_next_with(&mut browser, 422, 1, |browser| {
        browser.run(
            "{ const list = document.querySelector('#method'); list.value = 'scorecam'; list.dispatchEvent(new Event('change')); }",
        );
    });
    browser.until(REFUSED);
    assert_eq!(text(&mut browser, "#error-title"), "The server cannot make this map.");
    assert_eq!(browser.run("document.querySelector('#answer').hidden"), json!(false));
    assert!(questions(&browser).pop().unwrap().contains("method=scorecam"));
    browser.choose("#file", &fixture("images/lesion.jpg"));
    browser.until(ANSWERED);
    assert!(!questions(&browser).pop().unwrap().contains("method="));

    // What takes too long is given up.
    answer_next_with(&mut browser, 503, 30, |browser| {
        browser.run("document.querySelectorAll('#bars button')[2].click()");
    });
    browser.until("document.querySelector('#busy-left').textContent.includes('30')");
    browser.click("#cancel");
    assert_eq!(browser.run("document.querySelector('#busy').hidden"), json!(true));
    assert_eq!(text(&mut browser, "#news"), "Cancelled.");
    let pressed = "document.querySelector('#bars [aria-pressed=true]').dataset.class";
    assert_eq!(browser.run(pressed), json!("nv"), "what is marked is not what is shown");

    // A server that is gone.
    browser.call(
        "Network.emulateNetworkConditions",
        json!({"offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}),
    );
    browser.run("document.querySelectorAll('#bars button')[1].click()");
    browser.until(REFUSED);
    assert_eq!(text(&mut browser, "#error-title"), "The server cannot be reached.");
    browser.call(
        "Network.emulateNetworkConditions",
        json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}),
    );
    browser.click("#again");
    browser.until("document.querySelector('#explained').textContent.includes('Melanoma')");
    kept_to_itself(&browser, &server, "Failed to load resource");
}

/// A picture over the limit of pixels is offered to be sent as a smaller copy, once.
#[test]
fn what_is_too_large_is_sent_smaller() {
    let Some((server, mut browser)) = page_of(&["--max-pixels", "2000000"]) else { return };
    let place = tempfile::tempdir().unwrap();
    let photo = |name: &str, size: Size, orientation: u8| {
        let kind = Kind { quality: 85.0, halved: true, progressive: false };
        let mut file = jpeg(size, kind, Vec::new(), texture(size));
        turn(&mut file, orientation);
        let path = place.path().join(name);
        fs::write(&path, file).unwrap();
        path
    };
    let is_shown = |browser: &mut Browser, id: &str| {
        browser.run(&format!("document.querySelector('#{id}').checkVisibility()")) == json!(true)
    };
    // Stored lying down, as a phone does; the copy has 1600 pixels along the longer side and is upright.
    browser.choose("#file", &photo("upright.jpg", Size { width: 2000, height: 1500 }, 6));
    browser.until(REFUSED);
    assert_eq!(text(&mut browser, "#error-title"), "The picture is too large for this server.");
    assert!(text(&mut browser, "#error-detail").contains("`--max-pixels`"));
    // The same picture again would be refused again.
    assert_eq!(["smaller", "again"].map(|id| is_shown(&mut browser, id)), [true, false]);
    browser.run("document.querySelector('#smaller').focus()");
    browser.key("Space");
    browser.until(ANSWERED);
    assert_eq!(["error", "smaller"].map(|id| is_shown(&mut browser, id)), [false, false]);
    assert_eq!(browser.run("document.activeElement.id"), json!("choose"));
    let facts = text(&mut browser, "#facts");
    assert!(facts.contains("1200 × 1600") && facts.contains("a smaller copy"), "{facts}");
    let sizes = browser.run(
        "['photo', 'heat'].map((id) => {
            const one = document.getElementById(id);
            const { x, y, width, height } = one.getBoundingClientRect();
            return [[one.naturalWidth, one.naturalHeight], [x, y, width, height]];
        })",
    );
    assert_eq!((&sizes[0][0], &sizes[1][0]), (&json!([1500, 2000]), &json!([1200, 1600])));
    assert_eq!(sizes[0][1], sizes[1][1], "the heat does not lie over the picture");
    assert_eq!(questions(&browser).len(), 2);

    // Of a square picture the copy is too large as well, and no other is offered.
    browser.choose("#file", &photo("square.jpg", Size { width: 1700, height: 1700 }, 1));
    browser.until(REFUSED);
    browser.click("#smaller");
    browser.until(&format!("document.querySelector('#smaller').hidden && {REFUSED}"));
    assert!(text(&mut browser, "#error-detail").contains("1600x1600"));
    assert_eq!(["again", "answer"].map(|id| is_shown(&mut browser, id)), [false, false]);
    assert_eq!(questions(&browser).len(), 4);

    // The next picture is sent as it is.
    browser.choose("#file", &fixture("images/lesion.jpg"));
    browser.until(ANSWERED);
    let facts = text(&mut browser, "#facts");
    assert!(facts.contains("600 × 450") && !facts.contains("a smaller copy"), "{facts}");
    kept_to_itself(&browser, &server, "Failed to load resource");
}

/// The next question gets this instead of the server's answer.
fn answer_next_with(browser: &mut Browser, status: u16, seconds: u32, ask: impl Fn(&mut Browser)) {
    browser.call("Fetch.enable", json!({"patterns": [{"urlPattern": "*/predict?*"}]}));
    let before = browser.count();
    ask(browser);
    let paused = browser.event("Fetch.requestPaused", before);
    let body = STANDARD.encode(json!({"status": status, "detail": "not now"}).to_string());
    let headers = json!([{"name": "Retry-After", "value": seconds.to_string()}]);
    let answer =
        json!({"requestId": paused["requestId"], "responseCode": status, "responseHeaders": headers, "body": body});
    browser.call("Fetch.fulfillRequest", answer);
    browser.call("Fetch.disable", json!({}));
}

#[test]
fn a_telephone_shows_all_of_it() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::ready(serve_in(&fixture(""), [] as [&str; 0]));
    let agent = browser.run("navigator.userAgent");
    browser.call("Emulation.setUserAgentOverride", json!({"userAgent": agent, "acceptLanguage": "vi-VN"}));
    for width in [360, 320] {
        browser.phone(width, 640);
        browser.open(&server.url("/"));
        browser.until(READY);
        assert_eq!(browser.run("document.documentElement.lang"), json!("vi"));
        fits(&mut browser, width);
        browser.choose("#file", &fixture("bad/text.jpg"));
        browser.until(REFUSED);
        fits(&mut browser, width);
        // A phone's own camera program takes the picture; it is stored lying down.
        browser.choose("#snap", &fixture("images/exif-6.jpg"));
        browser.until(ANSWERED);
        fits(&mut browser, width);
        let sizes = "['photo', 'heat'].map((id) => document.getElementById(id)).map((one) => [one.naturalWidth, one.naturalHeight])";
        let sizes = browser.run(sizes);
        assert_eq!(sizes[0], sizes[1], "the heat lies over the picture as it was stored");
    }
    kept_to_itself(&browser, &server, "Failed to load resource");
}

/// Nothing is beside the screen, fingers hit what they aim at, and the notice is in sight wherever one has scrolled to.
#[track_caller]
fn fits(browser: &mut Browser, width: u32) {
    let measured = browser.run(
        "(() => {
            scrollTo(0, document.documentElement.scrollHeight);
            const { top, bottom } = document.querySelector('#notice').getBoundingClientRect();
            const all = [...document.querySelectorAll('button, select, input[type=range]')].filter((one) => one.checkVisibility());
            const small = all.filter((one) => one.getBoundingClientRect().height < 43.5).map((one) => one.id);
            const beyond = [...document.querySelectorAll('main *')].filter((one) => one.checkVisibility())
                .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.frame, .for-ears'))
                .map((one) => one.id || one.className);
            return { width: document.documentElement.scrollWidth, small, beyond, noticed: top >= 0 && bottom <= innerHeight };
        })()",
    );
    assert_eq!(measured, json!({"width": width, "small": [], "beyond": [], "noticed": true}));
}

#[test]
fn pictures_come_from_the_camera_and_the_clipboard_too() {
    let Some((server, mut browser)) = page() else { return };
    browser.click("#camera");
    browser.until("document.querySelector('#camera-dialog').open && !document.querySelector('#capture').disabled");
    browser.click("#capture");
    browser.until(ANSWERED);
    assert_eq!(browser.run("document.querySelector('#camera-dialog').open"), json!(false));
    assert_eq!(browser.run("document.querySelector('#video').srcObject"), Value::Null, "the camera is still on");
    browser.click("#remove");
    assert_eq!(browser.run("document.querySelector('#drop').checkVisibility()"), json!(true));
    assert_eq!(browser.run("document.querySelector('#heat').getAttribute('src')"), Value::Null);

    let bytes = STANDARD.encode(fs::read(fixture("images/png-rgb8.png")).unwrap());
    browser.run(&format!(
        "(() => {{
            const bytes = Uint8Array.from(atob('{bytes}'), (one) => one.charCodeAt(0));
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([bytes], 'a.png', {{ type: 'image/png' }}));
            document.body.dispatchEvent(new ClipboardEvent('paste', {{ clipboardData, bubbles: true, cancelable: true }}));
        }})()"
    ));
    browser.until(ANSWERED);
    kept_to_itself(&browser, &server, "");
}

#[test]
fn its_files_are_part_of_the_program() {
    let server = Server::start(serve_in(&fixture(""), [] as [&str; 0]));
    let html = server.get("/").ok();
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = html.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(html.header("permissions-policy").unwrap().contains("camera=(self)"));
    let text = String::from_utf8(html.body).unwrap();
    assert!(!text.contains("style=") && !text.contains("onclick"), "something inline");
    let named = text.split(['"', '\'']).filter(|part| part.starts_with("page/"));
    let named: std::collections::BTreeSet<_> = named.chain(["page/texts.js", "page/ask.js"]).collect();
    assert!(named.len() >= 5, "{named:?}");
    for name in named {
        let path = format!("/{name}");
        let file = server.get(&path).ok();
        let tag = file.header("etag").unwrap().to_owned();
        assert_eq!(file.header("cache-control"), Some("no-cache"), "{path}");
        let again = server.send("GET", &path, &[("if-none-match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let elsewhere = String::from_utf8(file.body).unwrap();
        let elsewhere = elsewhere.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path} names an address");
    }
    assert_eq!(server.get("/page/nothing.js").status, 404);
}

/// Both languages say the same things, with the same figures in them, and the page asks for none that is not there.
#[test]
fn both_languages_are_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/page");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let source = read("texts.js");
    let (english, vietnamese) = source.split_once("\n  vi: {").unwrap();
    let vietnamese = vietnamese.split_once("\n};").unwrap().0;
    let (english, vietnamese) = (table(english), table(vietnamese));
    assert!(english.len() > 60, "{}", english.len());
    assert_eq!(english.keys().collect::<Vec<_>>(), vietnamese.keys().collect::<Vec<_>>());
    for (key, text) in &english {
        assert_eq!(fields(text), fields(&vietnamese[key]), "{key}");
    }
    let html = read("index.html");
    let asked = html.split("data-text=\"").chain(html.split("data-label=\"")).skip(1);
    for key in asked.filter_map(|part| part.split_once('"')).map(|(key, _)| key).filter(|key| !key.contains(['<', ' ']))
    {
        assert!(english.contains_key(key), "`{key}` is in no language");
    }
}

fn table(source: &str) -> BTreeMap<String, String> {
    let entries = source.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": \""));
    entries.map(|(key, text)| (key.trim_matches('"').to_owned(), text.to_owned())).collect()
}

/// What is filled in, sorted.
fn fields(text: &str) -> Vec<&str> {
    let mut all: Vec<_> = text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
    all.sort_unstable();
    all
}
