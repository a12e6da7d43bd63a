//! What the measurements found, and what to do about the verdict.
use super::pipeline::{DECODE, ENCODE, EXPLAIN, INFER, MODEL, REQUESTS, START, TWO};
use super::{Cache, Checked, Choice, StagePeak, serve};
use crate::deploy::{Finding, Origin, Severity};
use crate::memory::Ended;
use crate::units::Bytes;

/// Who looked at memory where no cgroup counted it.
const ESTIMATED: (&str, &str) = if cfg!(target_os = "linux") {
    ("from /proc", "run it as root, in a container with a writable cgroup, or where systemd runs")
} else {
    ("from the resident size, which is looked at now and then", "measure on Linux, where the kernel counts")
};

/// What is wrong by the measurements, as the lint would say it.
pub fn findings(checked: &Checked) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |rule, severity, path: &str, message: String, fix: &str| {
        let origin = Origin::Measurement;
        found.push(Finding { rule, severity, origin, path: path.to_owned(), message, fix: fix.to_owned() });
    };
    if let Some(requests) = checked.requests.as_ref().filter(|requests| requests.leaks()) {
        let growth = Bytes(requests.slope as u64);
        let full =
            requests.until_full.map_or_else(String::new, |n| format!("; the budget is used up after about {n} more"));
        let message = format!("memory grows by {growth} with each request{full}");
        add(
            "memory-grows",
            Severity::Error,
            REQUESTS,
            message,
            "find what each request leaves behind; until then restart the service before the budget is used up",
        );
    }
    if let Some(cpu) = checked.cpu.as_ref().filter(|cpu| !cpu.in_time()) {
        let message = format!(
            "the process takes {:.1} s to start at {} CPU; a health check waits {} s",
            cpu.start.as_secs_f64(),
            cpu.share,
            cpu.deadline.as_secs()
        );
        add("slow-start", Severity::Error, START, message, "take a plan with more CPU");
    }
    if let Some((cpu, stopped)) = checked.cpu.as_ref().and_then(|cpu| Some((cpu, cpu.stopped.as_ref()?))) {
        let message =
            format!("it did not live to its end at {} CPU: it was ended in stage `{}`", cpu.share, stopped.stage);
        add(
            "cpu-share-too-small",
            Severity::Error,
            START,
            message,
            "take a plan with more CPU, or give it longer with `--timeout`",
        );
    }
    let answers = checked.cpu.as_ref().filter(|cpu| cpu.in_time()).and_then(|cpu| Some((cpu, cpu.first_answer?)));
    if let Some((cpu, first)) = answers.filter(|(cpu, first)| *first > cpu.deadline) {
        let message = format!("the first answer takes {:.1} s at {} CPU", first.as_secs_f64(), cpu.share);
        add(
            "slow-first-answer",
            Severity::Note,
            MODEL,
            message,
            "load the model before the first request, answer health checks without it, or take a plan with more CPU",
        );
    }
    if let Some(why) = checked.served.as_ref().and_then(|served| served.nobody.as_ref()) {
        add("serves-nobody", Severity::Error, serve::MEASURE, why.clone(), "a larger budget, or a smaller model");
    }
    if checked.enforced.swap {
        add(
            "swap-possible",
            Severity::Warning,
            "",
            "this machine has swap, and it could not be kept out of the measurement".to_owned(),
            "turn swap off (`swapoff -a`) and measure again, or measure on a machine without it",
        );
    }
    if checked.enforced.cache == Cache::Warm {
        add(
            "warm-cache",
            Severity::Warning,
            "",
            "some of the files were in the page cache and are charged to others: the peak is too low by as much"
                .to_owned(),
            "let no other process use the model, the runtime or this program while it is measured",
        );
    }
    if checked.enforced.estimated {
        let (how, fix) = ESTIMATED;
        let message =
            format!("no cgroup could be used: peaks are estimated {how}, and the budget was enforced by polling");
        add("estimated", Severity::Note, "", message, fix);
    }
    found
}

/// That there is no floor although it was asked for.
pub fn no_floor() -> Finding {
    Finding {
        rule: "no-floor",
        severity: Severity::Note,
        origin: Origin::Measurement,
        path: String::new(),
        message: "a watchdog takes no page back, so the smallest limit that is survived cannot be found".to_owned(),
        fix: ESTIMATED.1.to_owned(),
    }
}

/// That a bundle runs otherwise than it was made to, and why.
pub fn portable_form(why: &str) -> Finding {
    Finding {
        rule: "portable-form",
        severity: Severity::Warning,
        origin: Origin::Measurement,
        path: MODEL.to_owned(),
        message: why.to_owned(),
        fix: "check it where it will run: memory and time are those of the portable form".to_owned(),
    }
}

/// That a command was not held to the CPU share of its budget.
pub fn share_not_held() -> Finding {
    Finding {
        rule: "cpu-share-not-held",
        severity: Severity::Note,
        origin: Origin::Measurement,
        path: String::new(),
        message:
            "the command ran at full speed: only a server that is driven is measured at its plan's share of a processor"
                .to_owned(),
        fix: "drive it with `--http URL`".to_owned(),
    }
}

/// What takes most, and what to do.
pub fn sentences(checked: &Checked) -> Vec<String> {
    let verdict = &checked.verdict;
    let mut all = Vec::new();
    if let Some(stage) = checked.stages.iter().max_by_key(|stage| stage.peak) {
        all.push(largest(stage));
    }
    if !verdict.fits && !checked.wants_memory() {
        all.push(alone(checked.outcome.ended).to_owned());
    }
    if checked.wants_memory() {
        let fits = |choice: &&Choice| choice.fits;
        // The modes stand in the order of what they lose.
        let form = checked.options.iter().filter(|choice| choice.mode.is_some()).find(fits);
        all.extend(form.map(smaller));
        let plan = checked.options.iter().skip(1).filter(|choice| choice.mode.is_none()).find(fits);
        all.extend(match plan {
            Some(choice) => {
                Some(format!("{} would do: {} of memory{}", choice.name, choice.memory, price(choice.price)))
            }
            None if form.is_some() => None,
            None => Some("no plan in the table has enough memory: the model has to become smaller".to_owned()),
        });
    }
    all
}

/// The form of the model that would do, and how it is had.
fn smaller(form: &Choice) -> String {
    let known = if form.measured { "measured" } else { "estimated" };
    let command = form.command.as_deref().unwrap_or(&form.name);
    format!("`{command}` would do: peak {}, {known}; then `--model small/`", form.peak)
}

/// What to do about a program that memory would not help.
fn alone(ended: Ended) -> &'static str {
    match ended {
        Ended::TimedOut => "memory is not why: if it is only slow, give it longer with `--timeout`",
        _ => "memory is not why: it fails by itself; its own output says more",
    }
}

fn price(price: Option<f64>) -> String {
    price.map_or_else(String::new, |price| format!(", {price} USD a month"))
}

fn largest(stage: &StagePeak) -> String {
    let what = match stage.name.as_str() {
        MODEL => {
            " (creating the session: the weights are mapped from the file and copied into the runtime's own layout)"
        }
        INFER | EXPLAIN => " (the network's activations stand beside its weights)",
        DECODE => " (the picture: `--max-pixels` and `--max-decode` bound it)",
        ENCODE => " (painting the overlay: the photo's file and the PNG are in the page cache)",
        TWO => " (two requests at once)",
        REQUESTS | serve::REQUESTS => " (many requests, one after the other)",
        serve::MEASURE => " (the server has a child measure what a request takes)",
        serve::OVERLOAD => {
            " (as many requests as the server lets in, with their bodies: `--queue` and `--max-body` bound it)"
        }
        _ => "",
    };
    format!(
        "`{}` takes the most{what}: {} anonymous, which stay, and {} of file pages, which the kernel can take back",
        stage.name, stage.anon, stage.file
    )
}
