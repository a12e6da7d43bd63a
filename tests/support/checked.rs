//! Made-up results of `memcheck`: figures as they are on a small plan, so that views can be tested without a run.
use dermai::deploy::{Finding, Origin, Severity};
use dermai::memcheck::{
    Band, Budget, Cache, Change, Checked, Choice, Comparison, CpuShare, Enforced, Floor, Point, Requests, Served,
    StagePeak, Subject, Timeline, Verdict,
};
use dermai::memory::{Ended, Mechanism, Outcome, Sample};
use dermai::model::Identity;
use dermai::quantize::Mode;
use dermai::units::Bytes;
use std::time::Duration;

/// What a hostile name may hold: a line break, what tables, elements and commands are made of, and codes for a terminal.
pub const HOSTILE: &str = "evil\n::error::x\r|a|<script>&\"'`*_[x](y)\u{1b}[31m\u{202e}\u{fffe}%,:$\\";

/// Stages as the pipeline has them: name, milliseconds, peak, anonymous and file part in tenths of MB.
const STAGES: [(&str, u64, u64, u64, u64); 9] = [
    ("start", 3, 62, 11, 49),
    ("load runtime", 9, 308, 42, 262),
    ("load model", 41, 689, 207, 475),
    ("decode", 12, 731, 249, 475),
    ("preprocess", 4, 733, 251, 475),
    ("infer", 96, 1124, 391, 722),
    ("explain", 121, 1207, 468, 722),
    ("encode", 18, 1186, 447, 722),
    ("requests", 9_800, 1216, 479, 722),
];

fn tenths(tenths: u64) -> Bytes {
    Bytes(tenths * (1 << 20) / 10)
}

fn milliseconds(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Peaks of the stages.
fn stages() -> Vec<StagePeak> {
    let stage = |&(name, ms, peak, anon, file): &(&str, u64, u64, u64, u64)| StagePeak {
        name: name.into(),
        peak: tenths(peak),
        anon: tenths(anon),
        file: tenths(file),
        resident: tenths(peak - 5),
        elapsed: milliseconds(ms),
        spread: tenths(3),
    };
    STAGES.iter().map(stage).collect()
}

/// A run through the stages, each of which rises to its peak by half of its time and then falls a little; requests go up and down.
fn timeline(stages: &[StagePeak]) -> Timeline {
    let mut timeline = Timeline::default();
    let (mut began, mut from) = (Duration::ZERO, (Bytes(0), Bytes(0)));
    for stage in stages {
        timeline.stages.push((stage.name.clone(), began));
        let points = (stage.elapsed.as_millis() / 4).clamp(2, 400) as u32;
        for point in 0..points {
            let part = f64::from(point) / f64::from(points);
            let wave = if stage.name == "requests" { (f64::from(point) * 0.9).sin() * 0.04 - 0.04 } else { 0.0 };
            let rise = (part * 2.0).min(1.0);
            let of = |from: Bytes, to: Bytes| {
                let to = to.0 as f64 * 0.98;
                Bytes((from.0 as f64 + (to - from.0 as f64) * rise + to * wave) as u64)
            };
            let at = began + stage.elapsed.mul_f64(part);
            timeline.samples.push(Sample { at, total: of(from.0, stage.peak), anon: of(from.1, stage.anon) });
        }
        began += stage.elapsed;
        from = timeline.samples.last().map(|last| (last.total, last.anon)).unwrap_or_default();
    }
    timeline.samples.push(Sample { at: began, total: from.0, anon: from.1 });
    timeline
}

fn choice(name: &str, memory: u64, cpus: f64, peak: u64) -> Choice {
    Choice {
        name: name.into(),
        memory: Bytes::mb(memory),
        cpus: Some(cpus),
        peak: tenths(peak),
        measured: true,
        fits: tenths(peak) <= Bytes::mb(memory),
        first_answer: Some(Duration::from_secs_f64(0.32 / cpus)),
        accuracy_change: None,
        price: Some(0.0),
        mode: None,
        note: None,
        command: None,
    }
}

fn finding(rule: &'static str, severity: Severity, path: &str, message: &str, fix: &str) -> Finding {
    let origin = if path.contains('[') { Origin::Blueprint } else { Origin::Measurement };
    Finding { rule, severity, origin, path: path.into(), message: message.into(), fix: fix.into() }
}

fn point(text: &str, holds: Option<bool>, evidence: &str) -> Point {
    Point { text: text.into(), holds, evidence: evidence.into() }
}

fn options() -> Vec<Choice> {
    vec![
        choice("as it is", 512, 0.1, 1216),
        Choice { price: Some(7.0), ..choice("plan starter", 512, 0.5, 1216) },
        Choice { price: Some(25.0), ..choice("plan standard", 2048, 1.0, 1216) },
        Choice {
            measured: false,
            accuracy_change: Some(-0.4),
            mode: Some(Mode::Int8),
            note: Some("it needs pictures to calibrate with: `--calibrate DIR`".into()),
            command: Some("dermai quantize -o small/ --mode int8 --calibrate DIR".into()),
            ..choice("quantize int8", 512, 0.1, 662)
        },
    ]
}

fn findings() -> Vec<Finding> {
    vec![
        finding(
            "env-value-is-a-string",
            Severity::Error,
            "services[0].envVars[1].value",
            "`true` is a boolean, and Render takes strings only",
            "put it in quotes: `\"true\"`",
        ),
        finding(
            "free-plan-sleeps",
            Severity::Warning,
            "services[0].plan",
            "a free service sleeps after 15 minutes without a request, and the next one waits until it has started",
            "choose `starter` where the first request matters",
        ),
        finding("slow-first-answer", Severity::Note, "load model", "the first answer takes 3.24 s at 0.1 CPU", ""),
    ]
}

fn checklist() -> Vec<Point> {
    vec![
        point("the pipeline fits the plan's memory", Some(true), "121.6 MB of 512 MB"),
        point("every value of an environment variable is a string", Some(false), "services[0].envVars[1].value"),
        point("somebody is told when the service restarts", None, "the dashboard, under Notifications"),
    ]
}

fn comparison() -> Comparison {
    Comparison {
        path: "before.json".into(),
        band: 0.02,
        changes: vec![
            Change { name: "infer".into(), before: Some(tenths(1122)), now: Some(tenths(1124)), grew: false },
            Change { name: "explain".into(), before: Some(tenths(1101)), now: Some(tenths(1207)), grew: true },
            Change { name: "encode".into(), before: None, now: Some(tenths(1186)), grew: false },
            Change { name: "warm up".into(), before: Some(tenths(900)), now: None, grew: false },
            Change { name: "predicted peak".into(), before: Some(tenths(1110)), now: Some(tenths(1216)), grew: true },
        ],
    }
}

/// The default model on the free plan, with everything that can be asked for.
pub fn fitting() -> Checked {
    let stages = stages();
    let peak = tenths(1216);
    Checked {
        subject: Subject::Model {
            identity: Some(Identity {
                name: "ham7-mobilenet".into(),
                sha256: "5f".repeat(32),
                card_sha256: Some("a0".repeat(32)),
                form: "raw".into(),
                runtime: "1.28.0".into(),
                cpu: "avx2".into(),
            }),
            name: "default".into(),
            gradcam: true,
            pictures: vec!["fixtures/images/spot.jpg".into()],
        },
        budget: Budget {
            memory: Bytes::mb(512),
            cpus: Some(0.1),
            source: "render.yaml: service dermai, plan free".into(),
        },
        enforced: Enforced {
            mechanism: Mechanism::CgroupV2,
            limit: Bytes::mb(512),
            swap: false,
            cache: Cache::Cold,
            shared: Bytes(3 << 20),
            estimated: false,
            passed_over: Vec::new(),
            runs: 3,
        },
        outcome: Outcome { ended: Ended::Stopped, stage: "requests".into() },
        timeline: timeline(&stages),
        stages,
        requests: Some(Requests {
            count: 200,
            slope: 25.3,
            ci95: (-110.2, 160.8),
            median: milliseconds(49),
            slowest: milliseconds(83),
            until_full: None,
        }),
        served: Some(Served {
            peak: tenths(1_208),
            kernel_peak: tenths(1_196),
            answered: 58,
            refused: 431,
            nobody: None,
        }),
        cpu: Some(CpuShare {
            share: 0.1,
            enforced: true,
            start: milliseconds(1_310),
            first_answer: Some(milliseconds(3_240)),
            answer: Some(milliseconds(2_050)),
            stopped: None,
            deadline: Duration::from_secs(5),
        }),
        floor: Some(Floor {
            bytes: Bytes::mb(57),
            curve: [
                (56, None),
                (57, Some(9_400)),
                (58, Some(3_100)),
                (60, Some(870)),
                (64, Some(420)),
                (80, Some(305)),
            ]
            .into_iter()
            .chain([(96, Some(298)), (122, Some(296))])
            .map(|(limit, took)| (Bytes::mb(limit), took.map(milliseconds)))
            .collect(),
        }),
        verdict: Verdict {
            band: Band::Healthy,
            fits: true,
            peak,
            peak_stage: "requests".into(),
            anon: tenths(479),
            headroom: Bytes::mb(512).0.cast_signed() - peak.0.cast_signed(),
            advice: vec![
                "most of it is the mapped weights (72.2 MB), which the kernel can reclaim".into(),
                "a plan with 128 MB would do if there were one".into(),
            ],
        },
        options: options(),
        findings: findings(),
        checklist: checklist(),
        comparison: Some(comparison()),
    }
}

/// Another program that is killed while it loads, under a watchdog, with nothing that is optional.
pub fn killed() -> Checked {
    let mut stages = stages();
    stages.truncate(3);
    for (stage, (peak, anon)) in stages.iter_mut().zip([(410, 300), (2_530, 2_020), (9_100, 8_400)]) {
        (stage.peak, stage.anon, stage.file) = (tenths(peak), tenths(anon), tenths(peak - anon));
        stage.elapsed *= 40;
    }
    let mut timeline = timeline(&stages);
    timeline.samples.retain(|sample| sample.total <= Bytes::mb(512));
    Checked {
        subject: Subject::Command { line: "python app.py --port 10000".into() },
        budget: Budget { memory: Bytes::mb(512), cpus: None, source: "--budget 512MB".into() },
        enforced: Enforced {
            mechanism: Mechanism::Watchdog,
            limit: Bytes::mb(512),
            swap: true,
            cache: Cache::Warm,
            shared: Bytes(0),
            estimated: true,
            passed_over: vec![
                "cgroup v2: `/sys/fs/cgroup` is read-only".into(),
                "systemd scope: no session bus".into(),
                "cgroup v1: there is no memory controller".into(),
            ],
            runs: 1,
        },
        outcome: Outcome { ended: Ended::OomKilled, stage: "load model".into() },
        stages,
        requests: None,
        served: None,
        cpu: None,
        floor: None,
        verdict: Verdict {
            band: Band::Critical,
            fits: false,
            peak: tenths(9_100),
            peak_stage: "load model".into(),
            anon: tenths(8_400),
            headroom: Bytes::mb(512).0.cast_signed() - tenths(9_100).0.cast_signed(),
            advice: vec![
                "loading the model takes 840.0 MB of anonymous memory; `dermai quantize` writes a form that is mapped"
                    .into(),
            ],
        },
        options: Vec::new(),
        findings: Vec::new(),
        checklist: Vec::new(),
        timeline,
        comparison: None,
    }
}

/// Memory that grows with each request, stages that run past the budget a little, and a start that takes too long.
pub fn leaking() -> Checked {
    let mut checked = fitting();
    checked.budget.memory = Bytes::mb(120);
    checked.enforced.limit = Bytes::mb(120);
    checked.requests = Some(Requests {
        count: 200,
        slope: 12_400.0,
        ci95: (11_900.0, 12_900.0),
        median: milliseconds(49),
        slowest: milliseconds(83),
        until_full: Some(3_400),
    });
    checked.cpu = checked.cpu.map(|cpu| CpuShare { enforced: false, start: milliseconds(7_200), ..cpu });
    checked.verdict.band = Band::Critical;
    checked.verdict.fits = false;
    checked.verdict.headroom = Bytes::mb(120).0.cast_signed() - checked.verdict.peak.0.cast_signed();
    checked
}

/// A program that ends with status 1 at once: memory has nothing to do with it.
pub fn failing() -> Checked {
    let mut checked = killed();
    checked.subject = Subject::Command { line: "false".into() };
    checked.outcome = Outcome { ended: Ended::Exited(1), stage: "run".into() };
    let peak = tenths(9);
    checked.stages = vec![StagePeak { name: "run".into(), peak, anon: tenths(2), ..StagePeak::default() }];
    let headroom = Bytes::mb(512).0.cast_signed() - peak.0.cast_signed();
    checked.verdict = Verdict { peak, peak_stage: "run".into(), anon: tenths(2), headroom, ..checked.verdict };
    checked
}

/// Everything that comes from outside is hostile.
pub fn hostile() -> Checked {
    let mut checked = fitting();
    let evil = || HOSTILE.to_owned();
    if let Subject::Model { identity, name, pictures, .. } = &mut checked.subject {
        *name = evil();
        *pictures = vec![evil(), evil().repeat(300)];
        *identity = identity.take().map(|identity| Identity { name: evil(), ..identity });
    }
    checked.budget.source = evil();
    checked.enforced.passed_over = vec![evil()];
    checked.outcome = Outcome { ended: Ended::Crashed(11), stage: evil() };
    checked.verdict.fits = false;
    checked.verdict.peak_stage = evil();
    checked.verdict.advice = vec![evil()];
    for name in checked.stages.iter_mut().map(|stage| &mut stage.name) {
        *name = format!("{name} {HOSTILE}");
    }
    for (name, _) in &mut checked.timeline.stages {
        *name = format!("{name} {HOSTILE}");
    }
    for choice in &mut checked.options {
        choice.name = evil();
        choice.note = Some(evil());
    }
    for finding in &mut checked.findings {
        (finding.path, finding.message, finding.fix) = (evil(), evil(), evil());
    }
    for point in &mut checked.checklist {
        (point.text, point.evidence) = (evil(), evil());
    }
    if let Some(comparison) = &mut checked.comparison {
        comparison.path = HOSTILE.into();
        comparison.changes.iter_mut().for_each(|change| change.name = evil());
    }
    checked
}
