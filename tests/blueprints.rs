//! Render's `render.yaml`: every rule of the lint shown by a file, clean files, the project's own, hostile ones, and what a web service is granted.
mod budget;

use crate::support::shared::root;
use dermai::deploy::{Blueprint, RULES, Severity, lint};
use dermai::units::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn folder() -> PathBuf {
    root().join("fixtures/blueprints")
}

/// The blueprints in `fixtures/`, sorted by name.
fn fixtures() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    assert!(files.len() > RULES.len(), "each rule has a file");
    files
}

/// Findings as `severity rule path`, sorted.
fn findings(file: &Path, folder: &Path) -> Vec<String> {
    let blueprint = Blueprint::read(file).unwrap_or_else(|error| panic!("{error:#}"));
    let mut found: Vec<_> = lint(&blueprint, folder)
        .iter()
        .map(|finding| {
            assert!(!finding.message.is_empty() && !finding.fix.is_empty(), "{finding:?}");
            let severity = serde_json::to_value(finding.severity).unwrap();
            format!("{} {} {}", severity.as_str().unwrap(), finding.rule, finding.path).trim_end().to_owned()
        })
        .collect();
    found.sort();
    found
}

/// What the comments at the head of a fixture announce, sorted.
fn announced(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Reads text as a blueprint.
fn read(text: &str) -> anyhow::Result<Blueprint> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("render.yaml");
    fs::write(&file, text).unwrap();
    Blueprint::read(&file)
}

fn error(text: &str) -> String {
    format!("{:#}", read(text).map(|_| ()).expect_err(text))
}

#[test]
fn each_file_gives_exactly_the_findings_that_it_announces() {
    let mut wrong = String::new();
    for file in fixtures() {
        let (found, expected) = (findings(&file, &folder().join("repository")), announced(&file));
        if found != expected {
            writeln!(wrong, "{}:\n  found     {found:#?}\n  announced {expected:#?}", file.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn clean_files_announce_nothing_and_every_rule_is_shown() {
    let (clean, other): (Vec<_>, Vec<_>) =
        fixtures().into_iter().partition(|file| file.file_name().unwrap().to_str().unwrap().starts_with("clean-"));
    assert!(clean.len() >= 4, "{clean:?}");
    for file in clean {
        assert!(announced(&file).is_empty(), "{}", file.display());
    }
    let shown: BTreeSet<_> = other.iter().flat_map(|file| announced(file)).collect();
    let shown: BTreeSet<_> = shown.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let rules: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(rules.difference(&shown).collect::<Vec<_>>(), Vec::<&&str>::new(), "rules that no file shows");
}

#[test]
fn the_blueprint_of_the_project_is_clean_and_starts_this_server() {
    let file = root().join("render.yaml");
    let only = "note free-sleeps services[0].plan".to_owned();
    assert_eq!(findings(&file, root()), [only]);
    let service = Blueprint::read(&file).unwrap().service_with_plan(None).unwrap();
    let env: Vec<_> = service.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(env, [("DERMAI_MODEL", "models/default"), ("ENABLE_GRADCAM", "true")]);
    assert_eq!((service.name.as_str(), service.plan.memory), ("dermai", Bytes::mb(512)));
    assert!(root().join("models/default/model.yaml").is_file());
}

#[test]
fn a_finding_is_what_the_machine_format_says() {
    let blueprint = read("services:\n  - {type: web, name: a, runtime: rust, plan: fre}\n").unwrap();
    let finding = lint(&blueprint, Path::new(".")).into_iter().find(|finding| finding.rule == "unknown-plan").unwrap();
    assert_eq!(
        serde_json::to_value(&finding).unwrap(),
        json!({
            "rule": "unknown-plan",
            "severity": "error",
            "origin": "blueprint",
            "path": "services[0].plan",
            "message": "Render has no `fre` here",
            "fix": "did you mean `free`?",
        })
    );
}

#[test]
fn the_worst_comes_first() {
    let blueprint =
        read("services:\n  - {type: web, name: a, runtime: rust, plan: free, healthCheckPath: x}\n").unwrap();
    let severities: Vec<_> = lint(&blueprint, Path::new(".")).iter().map(|finding| finding.severity).collect();
    assert!(severities.is_sorted());
    assert_eq!((severities.first(), severities.last()), (Some(&Severity::Error), Some(&Severity::Note)));
}

#[test]
fn messages_keep_secrets_to_themselves() {
    let text = "services:\n  - type: web\n    envVars:\n      - {key: DB_PASSWORD, value: 31415926}\n      - {key: URL, value: 'redis://me:31415926@host'}\n";
    let found = lint(&read(text).unwrap(), Path::new("."));
    assert!(found.iter().any(|finding| finding.rule == "secret-in-clear"));
    assert!(!format!("{found:?}").contains("31415926"), "{found:?}");
}

#[test]
fn what_is_no_blueprint_is_an_error_with_the_place() {
    for (text, expected) in [
        ("", "the Blueprint is empty"),
        ("# nothing\n", "the Blueprint is empty"),
        ("[]\n", "not a block of keys"),
        ("services: [\n", "not valid YAML: did not find expected node content"),
        ("services:\n  - type: web\n   name: x\n", "line 3 column 4"),
        ("services: []\nservices: []\n", "the key `services` stands twice in one block"),
        ("services:\n  - <<: 1\n", "`<<` has to stand before a block"),
        ("a: !tag 1\n", "a tag"),
        ("\u{feff}a: \u{1}\n", "not valid YAML"),
    ] {
        let error = error(text);
        assert!(error.contains(expected) && error.contains("render.yaml"), "{text:?}: {error}");
    }
    let missing = format!("{:#}", Blueprint::read(Path::new("nowhere/render.yaml")).expect_err("no file"));
    assert!(missing.contains("`nowhere/render.yaml`: the Blueprint cannot be opened"), "{missing}");
    assert!(Blueprint::read(&folder()).is_err(), "a folder");
}

#[test]
fn hostile_files_end_quickly() {
    let start = Instant::now();
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for i in 1..40 {
        writeln!(bomb, "a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 9].join(", ")).unwrap();
    }
    for (text, expected) in [
        ("x".repeat(200_000), "more than 128 KB are too many"),
        (bomb, "aliases stand for far more than the file holds"),
        (format!("a: &a [{}]\nb: [{}]\n", "1,".repeat(20_000), "*a,".repeat(20_000)), "aliases stand for far more"),
        ("[".repeat(120_000), "more than 500 brackets are open at once"),
        ("{a: ".repeat(30_000), "more than 500 brackets are open at once"),
        // Brackets in quotes count against the depth, so this one gets past the count and is stopped by the size of the file alone.
        ("[\"]\",".repeat(25_000), "not valid YAML"),
        ("- ".repeat(60_000), "recursion limit"),
    ] {
        let error = error(&text);
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // These are read, and the lint has to cope with them.
    let mut keys = String::new();
    (0..9_000).for_each(|i| writeln!(keys, "key{i}: 1").unwrap());
    let services = format!("services: [{}]\n", "{},".repeat(40_000));
    let names = format!("services: [{}]\n", "{name: a},".repeat(10_000));
    let mut references = "services:\n- type: web\n  envVars:\n".to_owned();
    (0..2_000).for_each(|i| writeln!(references, "  - {{key: a, fromDatabase: {{name: b{i}}}}}").unwrap());
    references.push_str("databases:\n");
    (0..2_000).for_each(|i| writeln!(references, "- name: c{i}").unwrap());
    let long = format!("? {}\n: 1\n", "k".repeat(100_000));
    for text in [keys, services, names, references, long] {
        let found = lint(&read(&text).unwrap(), Path::new("."));
        assert!((1..=1000).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|finding| finding.path.len() < 300 && finding.message.len() < 500));
    }
    // Without the limits it would be minutes, or the machine's memory.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn no_file_outside_the_repository_is_looked_for() {
    let outside = tempfile::tempdir().unwrap();
    let repository = outside.path().join("repository");
    fs::create_dir(&repository).unwrap();
    fs::write(outside.path().join("Dockerfile"), "").unwrap();
    let absolute = outside.path().join("Dockerfile").display().to_string();
    for path in ["../Dockerfile", "a/../../Dockerfile", &absolute] {
        let text = format!("services: [{{type: web, name: a, runtime: docker, dockerfilePath: {path}}}]\n");
        let found = lint(&read(&text).unwrap(), &repository);
        let finding = found.iter().find(|finding| finding.rule == "missing-file").expect(path);
        assert!(finding.message.contains("outside the repository"), "{finding:?}");
    }
}

/// Keys and words that lead into the rules rather than past them.
const WORDS: &[&str] = &[
    "services",
    "databases",
    "envVarGroups",
    "projects",
    "environments",
    "ungrouped",
    "previews",
    "generation",
    "type",
    "name",
    "runtime",
    "env",
    "plan",
    "region",
    "envVars",
    "key",
    "value",
    "sync",
    "fromDatabase",
    "fromService",
    "fromGroup",
    "property",
    "envVarKey",
    "disk",
    "mountPath",
    "scaling",
    "minInstances",
    "maxInstances",
    "targetCPUPercent",
    "numInstances",
    "schedule",
    "image",
    "url",
    "rootDir",
    "dockerfilePath",
    "healthCheckPath",
    "domains",
    "ipAllowList",
    "source",
    "autoDeploy",
    "branch",
    "autoDeployTrigger",
    "readReplicas",
    "diskSizeGB",
    "maxShutdownDelaySeconds",
    "maintenanceMode",
    "uri",
    "PORT",
    "web",
    "pserv",
    "worker",
    "cron",
    "keyvalue",
    "redis",
    "static",
    "docker",
    "free",
    "starter",
    "rust",
    "../x",
    "/",
    "0 0 * * 8",
    "${A}",
    "1.2.3.4/",
];

fn tree() -> impl Strategy<Value = Value> {
    let word = || prop_oneof![9 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_tree_of_values_panics(service in tree(), database in tree(), whole in tree()) {
        let roots = [json!({"services": [service, {"type": "web"}], "databases": [database], "envVarGroups": [whole]}), whole];
        for root in roots {
            // JSON is YAML, but for a few texts that YAML does not allow.
            if let Ok(blueprint) = read(&root.to_string()) {
                lint(&blueprint, Path::new("."));
                let _ = blueprint.service_with_plan(None).map(|service| service.port());
            }
        }
    }

    #[test]
    fn no_text_panics(text in "(services:|- |type: web|\\*a|&a |\\[|\\{|\\}|\\]|<<: |\n|  |name: |env|\"|'|\\||\\PC){0,60}") {
        if let Ok(blueprint) = read(&text) {
            lint(&blueprint, Path::new("."));
        }
    }
}
