//! Machine formats of `memcheck`'s result: JSON against its published schema, `JUnit` and pictures read back by other libraries.
use crate::support::checked::{HOSTILE, fitting, hostile, killed, leaking};
use dermai::memcheck::Earlier;
use dermai::memcheck::{Checked, Floor, Requests, StagePeak};
use dermai::report::Picture;
use dermai::report::memcheck::{read_earlier, write_json, write_junit, write_plot};
use dermai::units::{Bytes, Size};
use roxmltree::{Document, Node};
use serde_json::{Value, json};
use std::time::Duration;

fn json_of(checked: &Checked) -> Value {
    let mut out = Vec::new();
    write_json(&mut out, checked).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../schemas/dermai.memcheck.1.json")).unwrap()
}

/// Made-up results that differ in what is there.
fn all() -> [(&'static str, Checked); 5] {
    let mut few = killed();
    // As least squares over two points are.
    few.requests = Some(Requests {
        count: 2,
        slope: f64::NAN,
        ci95: (f64::NEG_INFINITY, f64::INFINITY),
        median: Duration::ZERO,
        slowest: Duration::ZERO,
        until_full: None,
    });
    [("fitting", fitting()), ("killed", killed()), ("leaking", leaking()), ("hostile", hostile()), ("few", few)]
}

#[test]
fn what_is_written_is_valid_by_the_published_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, checked) in all() {
        let document = json_of(&checked);
        let errors: Vec<_> = validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn what_is_wrong_is_not_valid() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let good = json_of(&fitting());
    for (at, wrong) in [
        ("/schema", json!("dermai.memcheck/2")),
        ("/budget/bytes", json!("512MB")),
        ("/budget/bytes", json!(-1)),
        ("/enforced/mechanism", json!("prayer")),
        ("/enforced/cache", json!("lukewarm")),
        ("/outcome/ended", json!("bored")),
        ("/stages/0/peak_bytes", json!(0.5)),
        ("/requests/ci95", json!([1.0])),
        ("/verdict/band", json!("fine")),
        ("/verdict/fits", json!("yes")),
        ("/findings/0/severity", json!("fatal")),
        ("/findings/0/origin", json!("hearsay")),
        ("/timeline/total_bytes/0", Value::Null),
        ("/comparison/changes/0/grew", Value::Null),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(at).unwrap_or_else(|| panic!("{at}")) = wrong;
        assert!(!validator.is_valid(&document), "{at}");
    }
    for (at, key) in [("", "verdict"), ("", "floor_bytes"), ("/stages/0", "name"), ("/options/0", "price")] {
        let mut document = good.clone();
        document.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        assert!(!validator.is_valid(&document), "{at} without {key}");
        let mut document = good.clone();
        document.pointer_mut(at).unwrap()["something_else"] = json!(1);
        assert!(!validator.is_valid(&document), "{at} with something else");
    }
}

#[test]
fn the_schema_describes_every_key_and_lets_none_be_left_out() {
    fn walk(at: &str, schema: &Value, seen: &mut usize) {
        assert!(schema["description"].as_str().is_some_and(|text| text.len() >= 8), "{at} is not described");
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], json!(false), "{at}");
            let mut required: Vec<_> =
                schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            required.sort_unstable();
            let mut known: Vec<_> = properties.keys().map(String::as_str).collect();
            known.sort_unstable();
            assert_eq!(required, known, "{at}");
            for (key, schema) in properties {
                *seen += 1;
                let unit =
                    [("_bytes", "byte"), ("milliseconds", "millisecond")].iter().find(|(end, _)| key.ends_with(end));
                let text = schema["description"].as_str().unwrap_or_default();
                assert!(unit.is_none_or(|(_, unit)| text.contains(unit)), "{at}/{key} has no unit: {text}");
                walk(&format!("{at}/{key}"), schema, seen);
            }
        }
        if schema["items"]["type"] == json!("object") {
            walk(&format!("{at}[]"), &schema["items"], seen);
        }
    }
    let mut seen = 0;
    walk("", &schema(), &mut seen);
    assert!(seen > 90, "{seen} keys");
}

#[test]
fn figures_stand_in_json_as_they_were_measured() {
    let document = json_of(&fitting());
    for (at, value) in [
        ("/schema", json!("dermai.memcheck/1")),
        ("/subject/kind", json!("model")),
        ("/budget", json!({"bytes": 512 << 20, "source": "render.yaml: service dermai, plan free", "cpu": 0.1})),
        ("/enforced/mechanism", json!("cgroup-v2")),
        ("/stages/2/milliseconds", json!(41.0)),
        ("/requests/slope_bytes_per_request", json!(25.3)),
        ("/requests/ci95", json!([-110.2, 160.8])),
        ("/serve/answered", json!(58)),
        ("/serve/lets_nobody_in", Value::Null),
        ("/floor_bytes", json!(57 << 20)),
        ("/floor_curve/0", json!({"limit_bytes": 56 << 20, "milliseconds": null})),
        ("/verdict/band", json!("healthy")),
        ("/options/3/accuracy_change", json!(-0.4)),
        ("/findings/1/severity", json!("warning")),
        ("/findings/1/origin", json!("blueprint")),
        ("/findings/2/origin", json!("measurement")),
        ("/checklist/2/holds", Value::Null),
        ("/comparison/grew", json!(true)),
    ] {
        assert_eq!(document.pointer(at), Some(&value), "{at}");
    }
    let budget = document["budget"]["bytes"].as_i64().unwrap();
    assert_eq!(
        document["verdict"]["headroom_bytes"],
        json!(budget - document["verdict"]["peak_bytes"].as_i64().unwrap())
    );

    let killed = json_of(&killed());
    assert_eq!(
        killed["outcome"],
        json!({"ended": "oom_killed", "status": null, "signal": null, "stage": "load model", "survived": false})
    );
    assert_eq!(killed["subject"]["command"], json!("python app.py --port 10000"));
    assert!(killed["verdict"]["headroom_bytes"].as_i64().unwrap() < 0);
    for absent in ["requests", "serve", "cpu", "floor_bytes", "floor_curve", "comparison"] {
        assert_eq!(killed.get(absent), Some(&Value::Null), "{absent}");
    }
}

#[test]
fn an_earlier_report_is_read_back() {
    let checked = fitting();
    let mut out = Vec::new();
    write_json(&mut out, &checked).unwrap();
    let stages = checked.stages.iter().map(|stage: &StagePeak| (stage.name.clone(), stage.peak)).collect();
    assert_eq!(read_earlier(&out).unwrap(), Earlier { stages, peak: checked.verdict.peak });
    // A later version may know more.
    let mut later: Value = serde_json::from_slice(&out).unwrap();
    later["serve"]["more"] = json!({"peak_bytes": 1});
    assert_eq!(read_earlier(later.to_string().as_bytes()).unwrap().peak, checked.verdict.peak);
}

#[test]
fn what_is_no_earlier_report_is_refused() {
    let deep = "[".repeat(100_000);
    for (text, expected) in [
        ("", "not JSON"),
        ("\u{0}\u{1}", "not JSON"),
        (deep.as_str(), "not JSON"),
        ("[]", "no `schema`"),
        (r#"{"a": 1}"#, "no `schema`"),
        (r#"{"schema": "dermai.predict/1"}"#, "`dermai.predict/1`, not `dermai.memcheck/1`"),
        ("{\"schema\": \"\\u001b[31m\\n\"}", "`\\u{1b}[31m\\n`"),
        (r#"{"schema": "dermai.memcheck/1"}"#, "missing field `stages`"),
        (r#"{"schema": "dermai.memcheck/1", "stages": [], "verdict": {"peak_bytes": 1}}"#, "no stages"),
        (
            r#"{"schema": "dermai.memcheck/1", "stages": [{"name": "a", "peak_bytes": -1}], "verdict": {"peak_bytes": 1}}"#,
            "-1",
        ),
    ] {
        let error = format!("{:#}", read_earlier(text.as_bytes()).unwrap_err());
        assert!(error.contains(expected) && error.contains("dermai memcheck --json"), "{error}");
        assert!(error.len() < 400 && !error.contains(char::is_control), "{error}");
    }
}

/// Class, name, and which element says how it went.
fn cases(xml: &str) -> Vec<(String, String, &'static str)> {
    let document = Document::parse(xml).unwrap();
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    let cases: Vec<Node> = suite.children().filter(|node| node.has_tag_name("testcase")).collect();
    let count = |name| cases.iter().filter(|case| case.children().any(|node| node.has_tag_name(name))).count();
    for (attribute, number) in
        [("tests", cases.len()), ("failures", count("failure")), ("skipped", count("skipped")), ("errors", 0)]
    {
        assert_eq!(suite.attribute(attribute), Some(number.to_string().as_str()), "{attribute}");
    }
    let state = |case: &Node| {
        let has = |name| case.children().any(|node| node.has_tag_name(name));
        if has("failure") {
            "failure"
        } else if has("skipped") {
            "skipped"
        } else {
            "passed"
        }
    };
    let text = |case: &Node, name| case.attribute(name).unwrap().to_owned();
    cases.iter().map(|case| (text(case, "classname"), text(case, "name"), state(case))).collect()
}

fn junit_of(checked: &Checked) -> String {
    let mut out = Vec::new();
    write_junit(&mut out, checked).unwrap();
    String::from_utf8(out).unwrap()
}

/// How many cases of each class went how.
fn tally(checked: &Checked) -> Vec<(String, &'static str, usize)> {
    let mut tally: Vec<(String, &'static str, usize)> = Vec::new();
    for (class, _, state) in cases(&junit_of(checked)) {
        match tally.iter_mut().find(|(known, how, _)| *known == class && *how == state) {
            Some((_, _, count)) => *count += 1,
            None => tally.push((class, state, 1)),
        }
    }
    tally
}

#[test]
fn junit_has_a_case_for_everything_that_had_to_hold() {
    let expected = |rows: &[(&str, &'static str, usize)]| {
        rows.iter().map(|&(class, state, count)| (format!("memcheck.{class}"), state, count)).collect::<Vec<_>>()
    };
    assert_eq!(
        tally(&fitting()),
        expected(&[
            ("verdict", "passed", 1),
            ("stages", "passed", 9),
            ("requests", "passed", 1),
            ("serve", "passed", 1),
            ("cpu", "passed", 1),
            ("findings", "failure", 1),
            ("findings", "skipped", 1),
            ("findings", "passed", 1),
            ("comparison", "failure", 1),
        ])
    );
    assert_eq!(
        tally(&killed()),
        expected(&[
            ("verdict", "failure", 1),
            ("stages", "passed", 2),
            ("stages", "failure", 1),
            ("requests", "skipped", 1),
            ("serve", "skipped", 1),
            ("cpu", "skipped", 1),
            ("comparison", "skipped", 1),
        ])
    );
    let leaking = tally(&leaking());
    for class in ["memcheck.requests", "memcheck.cpu"] {
        assert!(leaking.contains(&(class.to_owned(), "failure", 1)), "{leaking:?}");
    }
}

#[test]
fn junit_names_how_it_ended_and_keeps_hostile_names_in_their_place() {
    let xml = junit_of(&killed());
    assert!(xml.contains("OOM-killed in stage `load model`"), "{xml}");
    let xml = junit_of(&hostile());
    // The same cases in the same order, so that no name has opened an element; what XML cannot hold is spelled out.
    let (hostile, harmless) = (cases(&xml), cases(&junit_of(&fitting())));
    assert_eq!(hostile.len(), harmless.len());
    assert!(hostile.iter().zip(&harmless).all(|(a, b)| a.0 == b.0));
    assert!(
        hostile[1].1.contains(r"evil\n::error::x\r|a|<script>") && hostile[1].1.contains(r"\u{1b}[31m"),
        "{hostile:?}"
    );
}

fn svg_of(checked: &Checked) -> (String, Size) {
    let mut out = Vec::new();
    let size = write_plot(&mut out, checked, Picture::Svg).unwrap();
    (String::from_utf8(out).unwrap(), size)
}

/// The texts of a picture, in order.
fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn a_picture_names_every_stage_and_the_budget() {
    for (name, checked) in [("fitting", fitting()), ("killed", killed()), ("leaking", leaking())] {
        let (svg, size) = svg_of(&checked);
        let texts = texts(&svg);
        let document = Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("width"), Some(size.width.to_string().as_str()));
        assert_eq!(root.attribute("height"), Some(size.height.to_string().as_str()));
        for stage in &checked.stages {
            assert!(texts.contains(&stage.name), "{name}: no {} in {texts:?}", stage.name);
            assert!(texts.contains(&stage.peak.to_string()), "{name}: no {} in {texts:?}", stage.peak);
        }
        assert!(texts.contains(&format!("budget {}", checked.budget.memory)), "{name}: {texts:?}");
        assert_eq!(texts.iter().any(|text| text.contains("least that it survives")), checked.floor.is_some());
        let ended = texts.iter().any(|text| text == "was OOM-killed in stage `load model`");
        assert_eq!(ended, !checked.outcome.survived(), "{name}: {texts:?}");
    }
}

#[test]
fn pixels_have_the_size_that_was_said_and_are_drawn_on() {
    for checked in [fitting(), killed()] {
        let mut out = Vec::new();
        let size = write_plot(&mut out, &checked, Picture::Png).unwrap();
        assert_eq!(size, svg_of(&checked).1);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&out)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (size.width, size.height));
        assert_eq!(info.color_type, png::ColorType::Rgb);
        let count = |color: [u8; 3]| pixels.as_chunks::<3>().0.iter().filter(|&&pixel| pixel == color).count();
        // The anonymous part is a large area, the budget a line of dashes from side to side.
        assert!(count([0x1f, 0x4e, 0x79]) > 20_000, "{}", count([0x1f, 0x4e, 0x79]));
        assert!((500..20_000).contains(&count([0xc0, 0x20, 0x20])), "{}", count([0xc0, 0x20, 0x20]));
    }
}

#[test]
fn the_same_result_gives_the_same_picture() {
    let draw = |picture| {
        let mut out = Vec::new();
        write_plot(&mut out, &fitting(), picture).unwrap();
        out
    };
    assert_eq!(draw(Picture::Png), draw(Picture::Png));
    assert_eq!(draw(Picture::Svg), draw(Picture::Svg));
}

#[test]
fn a_picture_bears_anything() {
    let (svg, _) = svg_of(&hostile());
    let shown = texts(&svg);
    assert!(shown.iter().any(|text| text.contains(r"evil\n::error::x\r|a|<script>")), "{shown:?}");
    let document = Document::parse(&svg).unwrap();
    let known = ["svg", "rect", "text", "polyline", "polygon", "line"];
    assert!(document.descendants().filter(Node::is_element).all(|node| known.contains(&node.tag_name().name())));

    // Nothing measured, no time gone by, a thousand stages, figures at the ends of their types.
    let mut nothing = killed();
    (nothing.stages, nothing.timeline) = Default::default();
    let mut still = fitting();
    still.timeline.samples.iter_mut().for_each(|sample| sample.at = Duration::ZERO);
    still.timeline.stages.iter_mut().for_each(|(_, began)| *began = Duration::ZERO);
    let mut many = fitting();
    many.timeline.stages = (0..1000).map(|n| (format!("stage {n} {HOSTILE}"), Duration::from_millis(n))).collect();
    let mut extreme = fitting();
    extreme.budget.memory = Bytes(u64::MAX);
    extreme.stages[0].peak = Bytes(u64::MAX);
    extreme.stages[1].elapsed = Duration::MAX;
    extreme.floor =
        Some(Floor { bytes: Bytes(0), curve: vec![(Bytes(u64::MAX), Some(Duration::MAX)), (Bytes(0), None)] });
    let mut zero = fitting();
    zero.budget.memory = Bytes(0);
    for (name, checked) in
        [("nothing", nothing), ("still", still), ("many", many), ("extreme", extreme), ("zero", zero)]
    {
        let (svg, size) = svg_of(&checked);
        assert!(!texts(&svg).is_empty(), "{name}");
        assert!(size.height < 2000, "{name}: {size}");
        write_plot(&mut Vec::new(), &checked, Picture::Png).unwrap();
    }
}
