//! `JUnit` XML, which every CI server shows: what had to hold as test cases.
use super::words::{self, ticks};
use crate::deploy::{Finding, Severity};
use crate::memcheck::{Checked, StagePeak};
use crate::text::xml_line;
use crate::units::Bytes;
use anyhow::Result;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::io::Write;

/// Writes what had to hold as one suite: it fits, each stage does, memory does not grow, it is ready in time, no finding is an error, and it
/// takes no more than in an earlier report. What was not looked at is skipped.
pub fn write_junit(out: &mut dyn Write, checked: &Checked) -> Result<()> {
    let mut suite = TestSuite::new("memcheck");
    suite.set_time(checked.stages.iter().map(|stage| stage.elapsed).sum());
    suite.add_test_case(fits(checked));
    suite.add_test_cases(checked.stages.iter().map(|part| stage(checked, part)));
    suite.add_test_cases([requests(checked), served(checked), health(checked)]);
    suite.add_test_cases(checked.findings.iter().map(finding));
    suite.add_test_case(comparison(checked));
    let mut report = Report::new("dermai memcheck");
    report.add_test_suite(suite);
    report.serialize(&mut *out)?;
    out.flush()?;
    Ok(())
}

fn fits(checked: &Checked) -> TestCase {
    let mut verdict = words::verdict(checked);
    if let Some(ending) = words::ending(checked) {
        verdict = format!("{ending}; {verdict}");
    }
    let why = if checked.wants_memory() { "over budget" } else { "failed" };
    let mut case = judged("verdict", "fits the budget", checked.verdict.fits, why, &verdict);
    let facts = [words::subject(&checked.subject), words::budget(checked), words::enforced(checked)];
    let lines = facts.iter().chain(&checked.verdict.advice).map(|line| xml_line(line));
    case.set_system_out(lines.collect::<Vec<_>>().join("\n"));
    case
}

fn stage(checked: &Checked, stage: &StagePeak) -> TestCase {
    let budget = checked.budget.memory;
    let text = format!("{} of {budget}, {} of it anonymous", stage.peak, stage.anon);
    let name = format!("stage {} is within the budget", ticks(&stage.name));
    let mut case = judged("stages", &name, stage.peak <= budget, "over budget", &text);
    case.set_time(stage.elapsed);
    case
}

fn requests(checked: &Checked) -> TestCase {
    let name = "memory does not grow over requests";
    match &checked.requests {
        Some(requests) => judged("requests", name, !requests.leaks(), "growth", &words::requests(requests)),
        None => skipped("requests", name, "there were no requests to look at"),
    }
}

fn served(checked: &Checked) -> TestCase {
    let name = "the server lets requests in";
    match &checked.served {
        Some(served) => judged("serve", name, served.nobody.is_none(), "lets nobody in", &words::served(served)),
        None => skipped("serve", name, "the server was not measured"),
    }
}

fn health(checked: &Checked) -> TestCase {
    let name = "is ready before a health check gives up";
    match &checked.cpu {
        Some(cpu) => judged("cpu", name, cpu.in_time(), "too late", &words::cpu(cpu)),
        None => skipped("cpu", name, "the budget has no CPU share"),
    }
}

/// An error fails; a warning counts as skipped, so that it is seen; a note is only text.
fn finding(finding: &Finding) -> TestCase {
    let Finding { rule, severity, message, fix, .. } = finding;
    let name = words::place(finding).map_or_else(|| (*rule).to_owned(), |place| format!("{rule} {place}"));
    let text = if fix.is_empty() { message.clone() } else { format!("{message}; fix: {fix}") };
    match severity {
        Severity::Error => judged("findings", &name, false, rule, &text),
        Severity::Warning => skipped("findings", &name, &text),
        Severity::Note => judged("findings", &name, true, rule, &text),
    }
}

fn comparison(checked: &Checked) -> TestCase {
    let name = "takes no more memory than before";
    let Some(comparison) = &checked.comparison else {
        return skipped("comparison", name, "there is no earlier report to compare with");
    };
    let grown = comparison.changes.iter().filter(|change| change.grew).map(|change| {
        let size = |bytes: Option<_>| bytes.map_or_else(|| "nothing".to_owned(), |bytes: Bytes| bytes.to_string());
        format!("{} from {} to {}", ticks(&change.name), size(change.before), size(change.now))
    });
    let grown: Vec<_> = grown.collect();
    let text = if grown.is_empty() { "nothing grew".to_owned() } else { format!("grew: {}", grown.join(", ")) };
    judged("comparison", name, !comparison.grew(), "growth", &text)
}

/// A case whose text is why it failed, or what was seen.
fn judged(group: &str, name: &str, holds: bool, kind: &str, text: &str) -> TestCase {
    let text = xml_line(text);
    let mut status =
        if holds { TestCaseStatus::success() } else { TestCaseStatus::non_success(NonSuccessKind::Failure) };
    if !holds {
        status.set_type(kind).set_message(text.as_str());
    }
    let mut case = case(group, name, status);
    if holds {
        case.set_system_out(text.as_str());
    }
    case
}

fn skipped(group: &str, name: &str, why: &str) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(xml_line(why));
    case(group, name, status)
}

fn case(group: &str, name: &str, status: TestCaseStatus) -> TestCase {
    // The library drops what XML cannot hold; spelled out, it can be seen.
    let mut case = TestCase::new(xml_line(name), status);
    case.set_classname(format!("memcheck.{group}"));
    case
}
