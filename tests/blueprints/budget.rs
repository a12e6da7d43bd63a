//! Which service of a blueprint gives the budget, and what its process will find.
use super::{folder, read};
use dermai::deploy::{Blueprint, Kind, Plan};
use dermai::units::Bytes;
use std::time::Duration;

#[test]
fn a_web_service_is_what_its_process_will_find() {
    let text = "services:
  - type: web
    name: one
    runtime: docker
    plan: pro_plus
    healthCheckPath: /health
    maxShutdownDelaySeconds: 60
    envVars:
      - {key: PORT, value: 8080}
      - fromGroup: shared
      - {key: MODE, value: own}
      - {key: HIDDEN, sync: false}
      - {key: ENABLE_GRADCAM, value: true}
  - {type: web, name: two, runtime: rust}
  - {type: web, name: site, runtime: static}
  - {type: worker, name: jobs, runtime: rust}
envVarGroups:
  - {name: shared, envVars: [{key: MODE, value: group}, {key: LEVEL, value: info}, {key: HIDDEN, value: group}]}
";
    let blueprint = read(text).unwrap();
    let one = blueprint.service_with_plan(Some("one")).unwrap();
    assert_eq!((one.plan.id, one.plan.memory, one.plan.cpu, one.plan_given), ("pro plus", Bytes::mb(8192), 4.0, true));
    assert_eq!((one.port().unwrap(), one.path.as_str(), one.runtime.as_deref()), (8080, "services[0]", Some("docker")));
    assert_eq!((one.health_check_path.as_deref(), one.shutdown_delay), (Some("/health"), Duration::from_mins(1)));
    let env: Vec<_> = one.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(env, [("ENABLE_GRADCAM", "true"), ("LEVEL", "info"), ("MODE", "own"), ("PORT", "8080")]);

    let two = blueprint.service_with_plan(Some("two")).unwrap();
    assert_eq!((two.plan, two.plan_given, two.port().unwrap()), (Plan::DEFAULT, false, 10_000));
    assert_eq!(two.shutdown_delay, Duration::from_secs(30));

    for (name, expected) in [
        (None, "has 2 web services, `one`, `two`; say which one with `--service`"),
        (Some("site"), "has no service `site` with a plan; it has `one`, `two`"),
        (Some("nobody"), "has no service `nobody` with a plan"),
    ] {
        let error = format!("{:#}", blueprint.service_with_plan(name).expect_err(expected));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn any_service_with_a_plan_gives_a_budget() {
    let text = "services:
  - {type: worker, name: jobs, runtime: rust, plan: standard}
  - {type: pserv, name: inner, runtime: rust, plan: pro}
  - {type: cron, name: nightly, runtime: rust, plan: starter}
  - {type: keyvalue, name: store, plan: free}
";
    let only = read("services: [{type: worker, name: jobs, runtime: rust, plan: standard}]").unwrap();
    assert_eq!(only.service_with_plan(None).unwrap().plan.memory, Bytes::mb(2048));
    let blueprint = read(text).unwrap();
    for (name, kind, plan) in
        [("jobs", Kind::Worker, "standard"), ("inner", Kind::Private, "pro"), ("nightly", Kind::Cron, "starter")]
    {
        let service = blueprint.service_with_plan(Some(name)).unwrap();
        assert_eq!((service.kind, service.plan.id), (kind, plan), "{name}");
    }
    let error = format!("{:#}", blueprint.service_with_plan(None).unwrap_err());
    assert!(error.contains("has 3 services, `jobs`, `inner`, `nightly`; say which one with `--service`"), "{error}");
    let error = format!("{:#}", blueprint.service_with_plan(Some("store")).unwrap_err());
    assert!(error.contains("no service `store` with a plan"), "{error}");
    // A web service is what most people mean.
    let with_web = read(&format!("{text}  - {{type: web, name: site, runtime: rust, plan: free}}\n")).unwrap();
    assert_eq!(with_web.service_with_plan(None).unwrap().name, "site");
    assert_eq!(with_web.service_with_plan(Some("jobs")).unwrap().name, "jobs");
}

#[test]
fn a_name_in_a_message_stays_on_its_line() {
    let text = "services: [{type: web, name: \"a\\u202e\\e[31m\"}, {type: web, name: b}]";
    let error = format!("{:#}", read(text).unwrap().service_with_plan(None).unwrap_err());
    assert!(error.contains(r"`a\u{202e}\u{1b}[31m`"), "{error}");
}

#[test]
fn a_web_service_in_a_project_is_found() {
    let blueprint = Blueprint::read(&folder().join("clean-projects.yaml")).unwrap();
    let service = blueprint.service_with_plan(Some("app-staging")).unwrap();
    assert_eq!(service.path, "projects[0].environments[1].services[0]");
}

#[test]
fn what_is_no_web_service_to_check_says_so() {
    for (text, expected) in [
        ("services: []\n", "has no service with a plan (a web service, a private service,"),
        ("services: [{type: web, name: a, plan: huge}]\n", "`services[0].plan` is none of Render's plans: `free`"),
        ("services: [{type: web, name: a, plan: [1]}]\n", "`services[0].plan` is none of Render's plans"),
    ] {
        let error = format!("{:#}", read(text).unwrap().service_with_plan(None).expect_err(text));
        assert!(error.contains(expected) && error.contains("render.yaml"), "{error}");
    }
    let port = read("services: [{type: web, name: a, envVars: [{key: PORT, value: http}]}]\n").unwrap();
    let error = port.service_with_plan(None).unwrap().port().expect_err("no port").to_string();
    assert!(error.contains("`PORT` of `a` is not a number"), "{error}");
}
