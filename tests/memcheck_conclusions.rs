//! What follows from measurements: findings, advice, options and the checklist, from made-up results.
use crate::support::checked::{failing, fitting, killed, leaking};
use dermai::deploy::{Blueprint, Origin, Severity, WebService};
use dermai::memcheck::{Checked, Choice, Point};
use dermai::memory::Ended;
use dermai::quantize::Mode;
use dermai::units::Bytes;
use std::fs;
use std::time::Duration;

/// The only service of a blueprint, on plan `starter`.
fn service(kind: &str) -> WebService {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("render.yaml");
    fs::write(&path, format!("services: [{{type: {kind}, name: a, runtime: rust, plan: starter}}]")).unwrap();
    Blueprint::read(&path).unwrap().service_with_plan(None).unwrap()
}

fn plans() -> Vec<Choice> {
    let choices = fitting().options;
    let plan = |mut choice: Choice| {
        choice.measured = choice.name == "as it is";
        choice
    };
    choices.into_iter().map(plan).collect()
}

fn advice(checked: &Checked) -> String {
    checked.verdict.advice.join("\n")
}

fn point<'a>(checked: &'a Checked, text: &str) -> Option<&'a Point> {
    checked.checklist.iter().find(|point| point.text == text)
}

#[test]
fn a_plan_is_recommended_only_where_memory_is_why() {
    for (ended, says) in [
        (Ended::Exited(1), "fails by itself"),
        (Ended::Crashed(11), "fails by itself"),
        (Ended::TimedOut, "give it longer with `--timeout`"),
    ] {
        let mut checked = failing();
        checked.outcome.ended = ended;
        checked.options = plans();
        checked.options[0].fits = false;
        let checked = checked.with_conclusions(None);
        assert!(advice(&checked).contains(says) && !advice(&checked).contains("would do"), "{}", advice(&checked));
        assert!(checked.options.iter().all(|choice| !choice.fits), "{:?}", checked.options);
    }
    let mut checked = killed();
    checked.options = plans();
    checked.options[0].fits = false;
    checked.options[1].fits = false;
    // A program that hangs and wants more than there is hangs for want of memory.
    for ended in [Ended::OomKilled, Ended::TimedOut] {
        checked.outcome.ended = ended;
        let checked = checked.clone().with_conclusions(None);
        assert!(advice(&checked).contains("plan standard would do: 2048 MB"), "{}", advice(&checked));
        assert!(!advice(&checked).contains("not why") && checked.options.len() == 4);
    }
}

#[test]
fn a_form_that_fits_is_recommended_before_a_plan() {
    let mut checked = killed();
    checked.options = plans();
    checked.options.iter_mut().for_each(|choice| choice.fits = false);
    let form = |mode: Mode, fits| Choice {
        mode: Some(mode),
        measured: false,
        fits,
        command: Some(format!("dermai quantize -o small/ --mode {mode}")),
        ..checked.options[3].clone()
    };
    let forms = [form(Mode::Prepare, false), form(Mode::Fp16, true), form(Mode::Int8Weights, true)];
    checked.options.splice(1.., forms);
    let said = advice(&checked.clone().with_conclusions(None));
    assert!(
        said.contains(
            "`dermai quantize -o small/ --mode fp16` would do: peak 66.2 MB, estimated; then `--model small/`"
        ),
        "{said}"
    );
    assert!(!said.contains("int8-weights") && !said.contains("no plan"), "{said}");
    // A plan that fits is still named.
    checked.options.push(Choice { fits: true, ..plans().remove(2) });
    let said = advice(&checked.clone().with_conclusions(None));
    assert!(said.contains("--mode fp16` would do") && said.contains("plan standard would do"), "{said}");
    checked.options.iter_mut().for_each(|choice| choice.fits = false);
    let said = advice(&checked.with_conclusions(None));
    assert!(said.contains("no plan in the table has enough memory"), "{said}");
}

#[test]
fn how_it_ended_is_left_to_the_outcome() {
    let said = advice(&killed().with_conclusions(None));
    assert!(!said.contains("killed"), "{said}");
}

#[test]
fn what_nobody_counted_is_an_estimate() {
    let mut checked = fitting();
    assert!(checked.clone().with_conclusions(None).options[0].measured);
    checked.enforced.estimated = true;
    let checked = checked.with_conclusions(None);
    assert!(checked.options.iter().all(|choice| !choice.measured), "{:?}", checked.options);
    let finding = checked.findings.iter().find(|finding| finding.rule == "estimated").unwrap();
    let how = if cfg!(target_os = "linux") { "from /proc" } else { "resident size" };
    assert!(finding.message.contains(how), "{finding:?}");
}

#[test]
fn a_measured_error_is_none_of_the_blueprint_s() {
    let mut checked = leaking();
    checked.findings.retain(|finding| finding.severity != Severity::Error);
    let checked = checked.with_conclusions(Some(&service("web")));
    let measured: Vec<_> = checked.findings.iter().filter(|f| f.origin == Origin::Measurement).collect();
    let errors: Vec<_> = measured.iter().filter(|f| f.severity == Severity::Error).map(|f| f.rule).collect();
    assert_eq!(errors, ["memory-grows", "slow-start"]);
    assert_eq!(point(&checked, "the blueprint has no errors").unwrap().holds, Some(true));

    let checked = fitting().with_conclusions(Some(&service("web")));
    assert_eq!(point(&checked, "the blueprint has no errors").unwrap().holds, Some(false));
}

#[test]
fn only_a_web_service_is_asked_for_a_health_check() {
    let checked = |kind| fitting().with_conclusions(Some(&service(kind)));
    assert_eq!(point(&checked("web"), "a health check is set").unwrap().holds, Some(false));
    assert_eq!(point(&checked("worker"), "a health check is set"), None);
    // A cron job does not run all month.
    assert!(checked("worker").options[1].price.is_some() && checked("cron").options[1].price.is_none());
}

#[test]
fn a_start_at_the_deadline_is_in_time() {
    let mut cpu = fitting().cpu.unwrap();
    cpu.start = cpu.deadline;
    assert!(cpu.in_time());
    cpu.start += Duration::from_millis(1);
    assert!(!cpu.in_time());
}

#[test]
fn memory_is_wanted_where_more_is_predicted_than_there_is() {
    let mut checked = fitting();
    assert!(!checked.wants_memory());
    (checked.verdict.fits, checked.budget.memory) = (false, Bytes::mb(100));
    assert!(checked.wants_memory() && killed().wants_memory() && !failing().wants_memory());
}
