//! What cannot be classified is refused soon and in little memory: every file of `fixtures/bad`, and what is no file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::child::{Measured, measure};
use super::figure::{Figure, Target, Unit};
use super::sides::{Bench, megabytes};
use super::stats::{alternate, median};
use super::{Outcome, Topic};

pub const TOPIC: Topic = Topic {
    name: "predict-refusals",
    about: "each bad image, a folder, a pipe: time and memory over those of `dermai --version`",
    run,
};

/// How the program ends when it refuses.
const REFUSED: i32 = 2;

/// What refusing one input took over `dermai --version`.
struct Cost {
    name: String,
    milliseconds: f64,
    megabytes: f64,
}

fn run(bench: &Bench) -> Result<Outcome> {
    let workshop = bench.workshop()?;
    let inputs = inputs(bench, workshop.path())?;
    let costs = inputs.iter().map(|input| cost(bench, input)).collect::<Result<Vec<_>>>()?;
    let worst = |value: fn(&Cost) -> f64| costs.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
    let (slowest, largest) =
        worst(|c| c.milliseconds).zip(worst(|c| c.megabytes)).context("`fixtures/bad` is empty")?;
    let of = |what, unit, cost: &Cost, value, most| {
        let name = format!("refusal, {what} over `--version`: worst of {} (`{}`)", costs.len(), cost.name);
        Figure::new(name, unit, vec![value]).target(Target::Most(most))
    };
    Ok(Outcome::Figures(vec![
        of("time", Unit::Milliseconds, slowest, slowest.milliseconds, 50.0),
        of("memory", Unit::Megabytes, largest, largest.megabytes, 8.0),
    ]))
}

/// Bad files, and a folder, a text, an archive and a named pipe in `folder`.
fn inputs(bench: &Bench, folder: &Path) -> Result<Vec<PathBuf>> {
    let bad = bench.root.join("fixtures/bad");
    let named = || format!("cannot read `{}`", bad.display());
    let mut found: Vec<_> = fs::read_dir(&bad).with_context(named)?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.is_file() && path.extension().is_some_and(|ending| ending != "md"));
    found.sort();
    let empty = folder.join("empty-folder");
    fs::create_dir(&empty)?;
    found.push(empty);
    for (from, name) in [("text.jpg", "text.txt"), ("archive.jpg", "archive.zip")] {
        let copy = folder.join(name);
        fs::copy(bad.join(from), &copy).with_context(named)?;
        found.push(copy);
    }
    found.extend(pipe(&folder.join("named-pipe"))?);
    Ok(found)
}

/// A pipe that no one writes to, where the system has such.
#[cfg(unix)]
fn pipe(path: &Path) -> Result<Option<PathBuf>> {
    use std::os::unix::ffi::OsStrExt as _;
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the name is a C string that lives beyond the call.
    let made = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    ensure!(made == 0, "cannot make a pipe: {}", std::io::Error::last_os_error());
    Ok(Some(path.to_owned()))
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "as elsewhere")]
fn pipe(_: &Path) -> Result<Option<PathBuf>> {
    Ok(None)
}

/// Median time and highest memory over those of the program that only says its version, in turn with it.
fn cost(bench: &Bench, input: &Path) -> Result<Cost> {
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut refuse = bench.dermai();
    refuse.arg("predict").arg(input);
    let mut start = bench.dermai();
    start.arg("--version");
    let ended = |command: &mut _, code| measure(command)?.expect(code, command);
    let (refused, started) = alternate(&name, bench.runs, || ended(&mut refuse, REFUSED), || ended(&mut start, 0))?;
    let over = |value: fn(&Measured) -> f64| -> Vec<f64> {
        refused.iter().zip(&started).map(|(refused, started)| value(refused) - value(started)).collect()
    };
    let peaks = over(|side| megabytes(side.peak));
    ensure!(refused.iter().all(|side| side.stdout.is_empty()), "`{name}` was refused and yet answered");
    Ok(Cost {
        name,
        milliseconds: median(over(|side| side.wall.as_secs_f64() * 1e3)),
        megabytes: peaks.into_iter().fold(f64::NAN, f64::max),
    })
}
