//! Sentences that several views share. Text from outside stands in them as it came: each view escapes the whole.
use crate::deploy::{Finding, Origin, Severity};
use crate::memcheck::{Cache, Checked, CpuShare, ESTIMATE_ERROR, Requests, Served, Subject};
use crate::memory::Ended;
use crate::report::table::time;
use crate::units::Bytes;

/// Pictures that are named; the rest is counted.
const PICTURES: usize = 3;

/// Longest name from outside: a command may be a page.
const LONGEST: usize = 200;

/// A name set apart from the words around it.
pub fn ticks(name: &str) -> String {
    format!("`{}`", clip(name, LONGEST))
}

/// As much of a text as is shown; what is cut off shows as `…`.
pub fn clip(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => text.chars().take(longest.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `part` of `whole`, in percent.
pub fn percent(part: Bytes, whole: Bytes) -> String {
    format!("{:.0} %", part.0 as f64 / whole.0.max(1) as f64 * 100.0)
}

/// What was run.
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Command { line } => format!("the command {}", ticks(line)),
        Subject::Model { identity, name, gradcam, pictures } => {
            let name = identity.as_ref().map_or(name, |identity| &identity.name);
            let maps = if *gradcam { " with Grad-CAM" } else { "" };
            let named: Vec<_> = pictures.iter().take(PICTURES).map(|picture| ticks(picture)).collect();
            let more = match pictures.len().saturating_sub(PICTURES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let on = if pictures.is_empty() { "" } else { " on " };
            format!("the model {}{maps}{on}{}{more}", ticks(name), named.join(", "))
        }
    }
}

/// What may be used, and who says so.
pub fn budget(checked: &Checked) -> String {
    let budget = &checked.budget;
    let cpus = budget.cpus.map(|cpus| format!(", {cpus} CPU")).unwrap_or_default();
    format!("{}{cpus} ({})", budget.memory, clip(&budget.source, LONGEST))
}

/// How the run was held to it, and how far the figures can be trusted.
pub fn enforced(checked: &Checked) -> String {
    let enforced = &checked.enforced;
    let counted = if enforced.estimated { "memory estimated" } else { "memory counted by the kernel" };
    let swap = if enforced.swap { "swap was possible: figures may be too low" } else { "no swap" };
    let cache = match enforced.cache {
        Cache::Cold => "cold page cache",
        Cache::Warm => "warm page cache: figures are too low",
    };
    let runs = if enforced.runs == 1 { "1 run".to_owned() } else { format!("{} runs", enforced.runs) };
    format!("{}, limit {}, {counted}, {swap}, {cache}, {runs}", enforced.mechanism, enforced.limit)
}

/// The verdict in one sentence.
pub fn verdict(checked: &Checked) -> String {
    let verdict = &checked.verdict;
    let budget = checked.budget.memory;
    format!(
        "{}, {}: predicted peak {} of {budget} ({}), {}; peak in stage {}, {} of it anonymous",
        answer(checked),
        verdict.band,
        verdict.peak,
        percent(verdict.peak, budget),
        headroom(verdict.headroom),
        ticks(&verdict.peak_stage),
        verdict.anon
    )
}

/// The verdict in two or three words.
pub fn answer(checked: &Checked) -> &'static str {
    match checked.verdict.fits {
        true => "FITS",
        false if checked.wants_memory() => "DOES NOT FIT",
        false => "FAILED",
    }
}

fn headroom(bytes: i64) -> String {
    let size = Bytes(bytes.unsigned_abs());
    if bytes < 0 { format!("{size} over") } else { format!("head-room {size}") }
}

/// How the run ended, if it did not survive.
pub fn ending(checked: &Checked) -> Option<String> {
    let outcome = &checked.outcome;
    let stage = ticks(&outcome.stage);
    match outcome.ended {
        _ if outcome.survived() => None,
        Ended::OomKilled => Some(format!("was OOM-killed in stage {stage}")),
        Ended::TimedOut => Some(format!("hung in stage {stage} and was ended")),
        Ended::Crashed(signal) => Some(format!("crashed in stage {stage} by signal {signal}")),
        Ended::Exited(status) => Some(format!("exited with status {status} in stage {stage}")),
        Ended::ExitedEarly => Some(format!("exited by itself in stage {stage}, before all requests were answered")),
        Ended::Stopped => Some(format!("was stopped in stage {stage}")),
    }
}

/// What many requests showed.
pub fn requests(requests: &Requests) -> String {
    let Requests { count, slope, ci95: (low, high), median, slowest, until_full: _ } = requests;
    if !slope.is_finite() {
        return format!(
            "{count}: too few to tell whether memory grows; median {}, slowest {}",
            time(*median),
            time(*slowest)
        );
    }
    let grows = if requests.leaks() { "memory grows" } else { "no growth" };
    let slope = match kilobytes(*slope) {
        Some(slope) => format!("{slope} KB a request"),
        None => "too few to tell".to_owned(),
    };
    let interval = match (kilobytes(*low), kilobytes(*high)) {
        (Some(low), Some(high)) => format!(" (95 % interval {low} to {high})"),
        _ => String::new(),
    };
    format!("{count}: {grows}, {slope}{interval}; median {}, slowest {}", time(*median), time(*slowest))
}

/// Bytes as KB with a sign; none where there is no such number.
fn kilobytes(bytes: f64) -> Option<String> {
    // A minus before zero tells nothing.
    let rounded = (bytes / 1024.0 * 100.0).round() / 100.0 + 0.0;
    bytes.is_finite().then(|| format!("{rounded:+.2}"))
}

/// What the server did.
pub fn served(served: &Served) -> String {
    let Served { peak, kernel_peak, answered, refused, nobody } = served;
    if let Some(why) = nobody {
        return format!("lets nobody in: {why}");
    }
    format!("{answered} requests answered, {refused} refused; predicted peak {peak}, the kernel charged {kernel_peak}")
}

/// Time at the plan's CPU share.
pub fn cpu(cpu: &CpuShare) -> String {
    let how = if cpu.enforced { "held to it" } else { "measured on a whole CPU and divided" };
    let ready = format!(
        "{} CPU, {how}: ready after {} ({}: a health check waits {})",
        cpu.share,
        time(cpu.start),
        if cpu.in_time() { "in time" } else { "TOO LATE" },
        time(cpu.deadline),
    );
    let first = cpu
        .first_answer
        .map_or_else(|| ", no answer".to_owned(), |took| format!(", first answer after {}", time(took)));
    let later = cpu.answer.map_or_else(String::new, |took| format!(", a later one takes {}", time(took)));
    let stopped =
        cpu.stopped.as_ref().map_or_else(String::new, |outcome| format!(", ended in stage {}", ticks(&outcome.stage)));
    format!("{ready}{first}{later}{stopped}")
}

/// Where a finding is.
pub fn place(finding: &Finding) -> Option<String> {
    let before = match finding.origin {
        Origin::Blueprint => "at",
        Origin::Measurement => "in stage",
    };
    (!finding.path.is_empty()).then(|| format!("{before} {}", ticks(&finding.path)))
}

/// How much a finding matters.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// What has to be known about the options: when prices were looked up, how good an estimate is, and what each says of itself.
pub fn notes(checked: &Checked, as_of: Option<&str>) -> Vec<String> {
    let as_of = as_of.map(|date| format!(" as of {date}")).unwrap_or_default();
    let prices = format!("Prices are list prices in USD a month{as_of}; look them up before you decide.");
    let forms = format!(
        "Forms that `dermai quantize` makes are estimated, to {ESTIMATE_ERROR} of the peak: `--measure-options` makes and measures each."
    );
    let has_price = checked.options.iter().any(|choice| choice.price.is_some());
    let has_estimate = checked.options.iter().any(|choice| choice.mode.is_some() && !choice.measured);
    let own = checked.options.iter().filter_map(|choice| Some(format!("{}: {}.", choice.name, choice.note.as_ref()?)));
    has_price.then_some(prices).into_iter().chain(has_estimate.then_some(forms)).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_have_a_sign_and_no_minus_zero() {
        assert_eq!(kilobytes(-1.0).as_deref(), Some("+0.00"));
        assert_eq!(kilobytes(-2048.0).as_deref(), Some("-2.00"));
        assert_eq!(kilobytes(f64::INFINITY), None);
    }
}
