//! The deployment checklist: what this program can tell, and what a person has to look at.
use super::pipeline::TWO;
use super::{Checked, Point, Subject};
use crate::deploy::{Kind, Origin, Severity, WebService};
use crate::units::Difference;

/// The points, in the order in which a deployment goes wrong.
pub fn points(checked: &Checked, service: Option<&WebService>) -> Vec<Point> {
    let point = |text: &str, holds: Option<bool>, evidence: String| Point { text: text.to_owned(), holds, evidence };
    let verdict = &checked.verdict;
    let budget = checked.budget.memory;
    let mut all = vec![
        point(
            "it fits the memory",
            Some(verdict.fits),
            format!("predicted peak {} of {budget}, {}", verdict.peak, verdict.band),
        ),
        point(
            "it was measured with the kernel's own limit and a cold page cache",
            Some(!checked.enforced.estimated && checked.enforced.cache == super::Cache::Cold),
            checked.enforced.mechanism.to_string(),
        ),
    ];
    if let Some(requests) = &checked.requests {
        let evidence = format!(
            "{} a request over {} requests (95 %: {} to {})",
            Difference(requests.slope as i64),
            requests.count,
            Difference(requests.ci95.0 as i64),
            Difference(requests.ci95.1 as i64)
        );
        all.push(point("memory does not grow with requests", Some(!requests.leaks()), evidence));
    }
    if let Some(stage) = checked.stages.iter().find(|stage| stage.name == TWO) {
        all.push(point(
            "two requests at once fit",
            Some(checked.outcome.survived() && stage.peak <= budget),
            format!("peak {}", stage.peak),
        ));
    }
    if let Some(served) = &checked.served {
        let evidence = format!(
            "{} requests answered and {} refused, peak {}",
            served.answered, served.refused, served.kernel_peak
        );
        let holds = checked.outcome.survived() && served.nobody.is_none();
        all.push(point("the server lives under more requests than it can answer", Some(holds), evidence));
    }
    if let Some(cpu) = &checked.cpu {
        let how = if cpu.enforced { "measured" } else { "scaled from a whole processor" };
        let evidence = format!(
            "{:.2} s at {} CPU ({how}), {} s allowed",
            cpu.start.as_secs_f64(),
            cpu.share,
            cpu.deadline.as_secs()
        );
        all.push(point("it starts before the health check gives up", Some(cpu.in_time()), evidence));
    }
    if let Some(service) = service {
        let errors = checked
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error && finding.origin == Origin::Blueprint)
            .count();
        let gated = !checked.findings.iter().any(|finding| finding.rule == "auto-deploy-not-gated");
        all.push(point("the blueprint has no errors", Some(errors == 0), format!("{errors} errors")));
        if service.kind == Kind::Web {
            let path = service.health_check_path.as_deref();
            let evidence = path.unwrap_or("`healthCheckPath` is missing").to_owned();
            all.push(point("a health check is set", Some(path.is_some()), evidence));
        }
        all.push(point("a deploy waits for CI", Some(gated), "`autoDeployTrigger: checksPass`".to_owned()));
    }
    if let Subject::Model { identity: Some(identity), .. } = &checked.subject {
        let hash = identity.card_sha256.is_some();
        all.push(point(
            "the model has a card",
            Some(hash),
            format!("{}, {} form, ONNX Runtime {}", identity.name, identity.form, identity.runtime),
        ));
    }
    all.push(point("users read that it is not a diagnosis", None, "look at what they are shown".to_owned()));
    all.push(point("the model's licence and its data allow this use", None, "the card's `about`".to_owned()));
    all.push(point(
        "photos of people are neither stored nor logged",
        None,
        "the service in front of it, too".to_owned(),
    ));
    all
}
