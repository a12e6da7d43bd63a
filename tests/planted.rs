//! Defects planted in the real pipeline, each of which `memcheck` has to find and to name with the stage that it lies in.
#![cfg(target_os = "linux")]
use crate::support::program::fixture;
use dermai::memcheck::pipeline::{self, DECODE, ENCODE, EXPLAIN, MODEL, REQUESTS, Work};
use dermai::memcheck::protocol::{Marks, ToParent};
use dermai::memcheck::{self, Band, Budget, Checked, Config, Rig};
use dermai::memory::{Ended, Ladder, Mechanism};
use dermai::units::Bytes;
use std::collections::BTreeSet;
use std::env;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Says to a child of [`rig`] which work to do, and what is wrong with it.
const WORK: &str = "DERMAI_TEST_WORK";
const DEFECT: &str = "DERMAI_TEST_DEFECT";
/// The test that a child runs.
const CHILD: &str = "planted::a_child_does_its_work";

#[test]
fn a_child_does_its_work() {
    let Ok(work) = env::var(WORK) else { return };
    let defect = env::var(DEFECT).expect("a defect");
    if defect == "a forked child" && work.is_empty() {
        hold(100);
        return;
    }
    let work: Work = serde_json::from_str(&work).expect("a work");
    let mut marks = Planted { defect, inner: ToParent };
    pipeline::run(&work, &mut marks).expect("the pipeline runs");
}

/// Marks of a pipeline with a defect.
struct Planted {
    defect: String,
    inner: ToParent,
}

impl Marks for Planted {
    fn stage(&mut self, name: &str) -> anyhow::Result<()> {
        self.inner.stage(name)?;
        match (self.defect.as_str(), name) {
            ("spike", EXPLAIN) => hold(100),
            ("hang", DECODE) => loop {
                std::thread::park();
            },
            ("a forked child", ENCODE) => {
                let status =
                    again(Command::new(env::current_exe()?)).env(WORK, "").env(DEFECT, &self.defect).status()?;
                assert!(status.success(), "{status}");
            }
            ("a large model", MODEL) => {
                Box::leak(filled(200).into_boxed_slice());
            }
            ("crash", MODEL) => std::process::abort(),
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self) -> anyhow::Result<()> {
        match self.defect.as_str() {
            "leak" => drop(Box::leak(filled(1).into_boxed_slice())),
            "small leak" => drop(Box::leak(black_box(vec![1u8; 32 << 10]).into_boxed_slice())),
            _ => {}
        }
        self.inner.step()
    }

    fn note(&mut self, text: &str) -> anyhow::Result<()> {
        self.inner.note(text)
    }
}

/// So many MB of memory that is really there.
fn filled(mb: usize) -> Vec<u8> {
    black_box(vec![1; mb << 20])
}

/// Holds so many MB for a millisecond.
fn hold(mb: usize) {
    let memory = filled(mb);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1) {}
    drop(black_box(memory));
}

/// This very program, to run [`CHILD`].
fn again(mut command: Command) -> Command {
    command.args([CHILD, "--exact", "--nocapture", "--quiet"]).stdout(Stdio::null());
    command
}

fn check(mechanism: Option<Mechanism>, defect: &'static str, budget: Bytes, requests: usize) -> Checked {
    let ladder = Ladder::climb(Path::new("/"), mechanism).expect("some way to enforce a budget");
    let start = move |work: &Work| {
        let mut command = again(Command::new(env::current_exe()?));
        command.env(WORK, serde_json::to_string(work)?).env(DEFECT, defect);
        Ok(command)
    };
    // Short, because a child that hangs does so for ever.
    let patience = Duration::from_secs(if defect == "hang" { 2 } else { 60 });
    let mut rig = Rig::new(ladder, Box::new(start), &BTreeSet::new(), patience);
    let config = Config {
        work: Work {
            model: fixture("../models/default"),
            pictures: vec![fixture("images/lesion.jpg")],
            gradcam: true,
            layer: None,
            threads: 1,
            memory: budget.0,
            requests,
            at_once: false,
        },
        model: "default".into(),
        pictures: Vec::new(),
        budget: Budget { memory: budget, cpus: None, source: "a test".into() },
        service: None,
        findings: Vec::new(),
        runs: 1,
        floor: false,
        measure_options: false,
        forms: None,
    };
    memcheck::check(&mut rig, &config, &mut ()).expect("a check")
}

/// The strongest way that works here, and the weakest.
fn ways() -> [Option<Mechanism>; 2] {
    [None, Some(Mechanism::Watchdog)]
}

/// What a stage takes more than its neighbours.
fn peak_mb(checked: &Checked, name: &str) -> f64 {
    checked.stages.iter().find(|stage| stage.name == name).unwrap_or_else(|| panic!("no stage `{name}`")).peak.as_mb()
}

#[test]
fn without_a_defect_nothing_is_found() {
    for way in ways() {
        let checked = check(way, "none", Bytes::mb(512), 30);
        assert!(checked.verdict.fits && checked.verdict.band == Band::Healthy, "{:?}", checked.verdict);
        assert!(!checked.requests.as_ref().unwrap().leaks(), "{:?}", checked.requests);
        assert!(!checked.findings.iter().any(|finding| finding.rule == "memory-grows"));
    }
}

#[test]
fn a_leak_of_one_megabyte_a_request_is_measured() {
    for way in ways() {
        let checked = check(way, "leak", Bytes::mb(512), 30);
        let requests = checked.requests.as_ref().unwrap();
        let slope = requests.slope / f64::from(1 << 20);
        assert!(requests.leaks() && (slope - 1.0).abs() < 0.1, "{requests:?}");
        let finding = checked.findings.iter().find(|finding| finding.rule == "memory-grows").expect("a finding");
        assert_eq!(finding.path, REQUESTS);
        assert_eq!(checked.verdict.peak_stage, REQUESTS);
        let left = checked.verdict.headroom as f64 / requests.slope;
        assert!((requests.until_full.unwrap() as f64 - left).abs() < left * 0.2, "{requests:?}");
    }
}

/// Less than a cgroup's counters tell at a time.
#[test]
fn a_leak_of_a_few_pages_is_measured() {
    for way in ways() {
        let checked = check(way, "small leak", Bytes::mb(512), 40);
        let requests = checked.requests.as_ref().unwrap();
        assert!(requests.leaks() && (requests.slope / 32_768.0 - 1.0).abs() < 0.2, "{requests:?}");
    }
}

#[test]
fn a_spike_of_a_millisecond_is_seen_in_its_stage() {
    for way in ways() {
        let checked = check(way, "spike", Bytes::mb(512), 0);
        let over = peak_mb(&checked, EXPLAIN) - peak_mb(&checked, MODEL);
        assert!((80.0..120.0).contains(&over), "{over} MB by {:?}: {:?}", way, checked.stages);
        assert_eq!(checked.verdict.peak_stage, EXPLAIN);
    }
}

#[test]
fn a_model_over_the_budget_is_killed_where_it_is_loaded_and_its_want_is_told() {
    for way in ways() {
        let checked = check(way, "a large model", Bytes::mb(150), 0);
        assert_eq!(checked.outcome.ended, Ended::OomKilled, "{:?}", checked.outcome);
        assert_eq!(checked.outcome.stage, MODEL);
        // What it holds from then on is its peak, which a later stage may raise by some pages.
        let highest = checked.stages.iter().max_by_key(|stage| stage.peak).unwrap();
        assert!(highest.name == checked.verdict.peak_stage && highest.peak > Bytes::mb(200), "{highest:?}");
        assert!(!checked.verdict.fits && checked.verdict.band == Band::Critical);
        assert!(checked.verdict.peak > Bytes::mb(200), "what it wants, not what it got: {}", checked.verdict.peak);
        assert!(checked.verdict.headroom < 0);
        assert_eq!(checked.options[0].first_answer, None, "under this budget there is no answer");
    }
}

#[test]
fn a_hang_is_ended_and_named() {
    for way in ways() {
        let checked = check(way, "hang", Bytes::mb(512), 0);
        assert_eq!((checked.outcome.ended, checked.outcome.stage.as_str()), (Ended::TimedOut, DECODE));
        assert!(!checked.verdict.fits);
    }
}

#[test]
fn a_crash_is_no_fit() {
    let checked = check(None, "crash", Bytes::mb(512), 0);
    assert_eq!((checked.outcome.ended, checked.outcome.stage.as_str()), (Ended::Crashed(libc::SIGABRT), MODEL));
    assert!(!checked.verdict.fits);
}

#[test]
fn memory_of_a_forked_child_counts() {
    let checked = check(None, "a forked child", Bytes::mb(512), 0);
    let over = peak_mb(&checked, ENCODE) - peak_mb(&checked, EXPLAIN);
    assert!((80.0..140.0).contains(&over), "{over} MB: {:?}", checked.stages);
    let killed = check(None, "a forked child", Bytes::mb(90), 0);
    assert_eq!((killed.outcome.ended, killed.outcome.stage.as_str()), (Ended::OomKilled, ENCODE));
}
