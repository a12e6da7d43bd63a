//! Where runs are measured: the ladder, a fresh copy of the program, and the files that have to leave the page cache before each run.
use super::pipeline::{START, Work};
use super::protocol::{self, Answering};
use super::{Cache, Enforced, Timeline};
use crate::memory::{self, Budget, Event, Heard, Ladder, Plan, Run, Teller, evict, granted, resident};
use crate::units::Bytes;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;

/// How a measured child is started.
pub type Start = Box<dyn Fn(&Work) -> Result<Command>>;

/// What every run needs.
pub struct Rig {
    /// How budgets are enforced.
    pub ladder: Ladder,
    /// The child hangs when it has told nothing for so long.
    pub patience: Duration,
    /// A run may not take longer than this in all.
    pub deadline: Option<Duration>,
    /// Whether memory is looked at over time, which slows down a run that is short of memory.
    pub sampled: bool,
    /// Set by a signal: the run is given up.
    pub cancelled: Arc<AtomicBool>,
    start: Start,
    server: Option<Start>,
    /// Files that belong to what is measured.
    own: BTreeSet<PathBuf>,
    /// What this process had mapped when the rig was made: its children map it as well.
    ours: BTreeSet<PathBuf>,
    /// Files that a child was seen to map besides.
    found: BTreeSet<PathBuf>,
    /// Copies of libraries that other processes have mapped.
    libraries: Option<TempDir>,
}

/// A run and what it told.
pub struct Measured {
    /// Its memory, stage by stage.
    pub run: Run,
    /// The model that answered.
    pub answering: Option<Answering>,
    /// State of the page cache at its start.
    pub cache: Cache,
    /// Pages of files that other processes had mapped when it began: charged to them.
    pub shared: Bytes,
    /// The last line of its error output.
    pub said: Option<String>,
}

impl Rig {
    /// A rig for children that `start` makes out of a work; `own` are the files that they read.
    pub fn new(ladder: Ladder, start: Start, own: &BTreeSet<PathBuf>, patience: Duration) -> Self {
        // One name for each, as `/proc/PID/maps` has it: a file must not count twice.
        let own = own.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
        Self {
            ladder,
            patience,
            deadline: None,
            sampled: true,
            cancelled: Arc::default(),
            start,
            server: None,
            own,
            ours: memory::mapped_files(Path::new("/"), std::process::id()),
            found: BTreeSet::new(),
            libraries: None,
        }
    }

    /// Has the server measured as well, which `start` makes out of a work: it listens at a free port and logs to standard error.
    pub fn with_server(&mut self, start: Start) {
        self.server = Some(start);
    }

    /// Whether the server is measured.
    pub fn serves(&self) -> bool {
        self.server.is_some()
    }

    /// The command of a server.
    pub fn server(&self, work: &Work) -> Option<Result<Command>> {
        self.server.as_ref().map(|start| start(work).and_then(|command| self.with_libraries(command)))
    }

    /// Takes further files for those of the children, such as another form's of the model.
    pub fn adopt(&mut self, files: &[PathBuf]) {
        self.own.extend(files.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())));
    }

    /// Runs the work without measuring it, to learn which files it maps: they have to be cold in the runs that are measured. Libraries that
    /// another process has mapped are copied for the child, but for those that every process has.
    ///
    /// # Errors
    /// As [`Rig::run`].
    pub fn discover(&mut self, work: &Work) -> Result<()> {
        self.run(work, Budget { memory: Some(machine_allows()), cpus: None })?;
        let is_library = |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
        let stays = |path: &&PathBuf| evict(path).and_then(|()| resident(path)).is_ok_and(|left| left.0 > 0);
        let warm = self.found.iter().filter(is_library).filter(|path| !self.ours.contains(*path)).filter(stays);
        let warm: Vec<PathBuf> = warm.cloned().collect();
        if warm.is_empty() {
            return Ok(());
        }
        // Where no copy can be made they stay warm, which the report says.
        for place in places() {
            let Ok(folder) = own_folder(&place) else { continue };
            let copy = |path: &PathBuf| fs::copy(path, folder.path().join(path.file_name().unwrap_or_default()));
            if warm.iter().map(copy).collect::<io::Result<Vec<_>>>().is_ok() {
                self.libraries = Some(folder);
                break;
            }
        }
        Ok(())
    }

    /// Runs the work under a budget, from a cold cache.
    ///
    /// # Errors
    /// When the child cannot be started or says itself that it failed; being killed is part of the run.
    pub fn run(&mut self, work: &Work, budget: Budget) -> Result<Measured> {
        let command = self.with_libraries((self.start)(work)?)?;
        let measured = self.measure(command, budget, START, true, None::<fn(&Teller)>, &mut |event| match event {
            Event::Out(line) => protocol::heard(line),
            _ => Heard::Nothing,
        })?;
        if let (memory::Ended::Exited(code @ 1..), Some(said)) = (measured.run.outcome.ended, &measured.said) {
            let said = said.strip_prefix("error: ").unwrap_or(said);
            bail!("stage `{}` failed (exit status {code}): {said}", measured.run.outcome.stage);
        }
        Ok(measured)
    }

    /// Libraries that other processes have mapped are taken from their copies.
    fn with_libraries(&self, mut command: Command) -> Result<Command> {
        if let Some(folder) = &self.libraries {
            let usual = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
            let all = std::iter::once(folder.path().to_owned()).chain(env::split_paths(&usual));
            command.env("LD_LIBRARY_PATH", env::join_paths(all)?);
        }
        Ok(command)
    }

    /// Runs any command under a budget, from a cache as cold as it can be made. `drive` works on it from outside.
    pub fn measure<D>(
        &mut self,
        command: Command,
        budget: Budget,
        first_stage: &'static str,
        acknowledged: bool,
        drive: Option<D>,
        hear: &mut dyn FnMut(&Event) -> Heard,
    ) -> Result<Measured>
    where
        D: FnOnce(&Teller) + Send + 'static,
    {
        let (cache, shared) = self.chill();
        let files = self.own.union(&self.found).cloned().collect();
        let plan = Plan {
            ladder: &self.ladder,
            budget,
            acknowledged,
            patience: self.patience,
            deadline: self.deadline,
            sampled: self.sampled,
            first_stage,
            files: &files,
            cancelled: &self.cancelled,
        };
        let (mut answering, mut said) = (None, None);
        let mut listen = |event: &Event| {
            match event {
                Event::Out(line) => {
                    let told = protocol::note(line).and_then(|note| serde_json::from_str(note).ok());
                    answering = told.or(answering.take());
                }
                Event::Error(line) if !line.trim().is_empty() => said = Some(line.clone()),
                _ => {}
            }
            hear(event)
        };
        let run = memory::run(&plan, command, &mut listen, drive)?;
        let around = granted(self.ladder.root()).memory;
        if let (memory::Ended::OomKilled, Some(around)) =
            (run.outcome.ended, around.filter(|around| Some(*around) < budget.memory))
        {
            bail!(
                "stage `{}` was killed by the cgroup that this program runs in, which allows {around}, and not by the limit of {}: try a larger container, or `--budget {around}`",
                run.outcome.stage,
                budget.memory.unwrap_or_default()
            );
        }
        self.found.extend(run.mapped.iter().filter(|path| !self.own.contains(*path)).cloned());
        Ok(Measured { run, answering, cache, shared, said })
    }

    /// Drops the files' pages from the cache. A file of our own that stays makes it a warm one; what others have mapped is counted.
    fn chill(&self) -> (Cache, Bytes) {
        let left = |path: &PathBuf| evict(path).and_then(|()| resident(path)).unwrap_or_default().0;
        let own: u64 = self.own.iter().map(left).sum();
        let shared = self.found.iter().map(left).sum();
        (if own == 0 { Cache::Cold } else { Cache::Warm }, Bytes(shared))
    }
}

impl Rig {
    /// How runs were held to the budget: those of the first pass, and the `long` one.
    pub fn enforced(&self, budget: &super::Budget, passes: &[Measured], long: &Measured) -> Enforced {
        let all = || passes.iter().chain([long]);
        Enforced {
            mechanism: self.ladder.mechanism(),
            limit: budget.memory,
            swap: long.run.swap_possible,
            cache: if all().all(|m| m.cache == Cache::Cold) { Cache::Cold } else { Cache::Warm },
            shared: all().map(|m| m.shared).max().unwrap_or_default(),
            estimated: long.run.estimated,
            passed_over: self.ladder.passed_over.clone(),
            runs: all().count(),
        }
    }
}

impl Measured {
    /// Memory over time.
    pub fn timeline(self) -> Timeline {
        let stages = self.run.stages.iter().map(|stage| (stage.name.clone(), stage.began)).collect();
        Timeline { samples: self.run.samples, stages }
    }
}

/// Four fifths of what the machine has free, or of what this process's own cgroup allows: a run that is to show what it wants must take neither
/// with it.
pub fn machine_allows() -> Bytes {
    let free = memory::available();
    Bytes(granted(Path::new("/")).memory.map_or(free, |granted| free.min(granted)).0 / 5 * 4)
}

/// Where temporary folders may lie: beside the program, or where they usually do.
pub fn places() -> Vec<PathBuf> {
    let beside = env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    beside.into_iter().chain([env::temp_dir()]).collect()
}

/// A temporary folder below `place`. Those that killed processes have left there are removed.
pub fn own_folder(place: &Path) -> Result<TempDir> {
    let root = Path::new("/");
    for folder in memory::abandoned(root, place) {
        let _ = fs::remove_dir_all(folder);
    }
    let name = memory::unused_name(root);
    let made = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(place);
    made.with_context(|| format!("no folder can be made below `{}`", place.display()))
}

/// Copies of `files` in `folder`, under their own names: no other process maps them, now or while runs are measured. The files themselves where
/// they cannot be copied, such as on a full disk, or do not lie side by side; whether they were cold is then told with the result.
pub fn cold_files(files: Vec<PathBuf>, folder: &Path) -> Vec<PathBuf> {
    let copy = |path: &PathBuf| {
        let to = folder.join(path.file_name().unwrap_or_default());
        fs::copy(path, &to).map(|_| to)
    };
    if files.iter().any(|path| path.parent() != files[0].parent()) {
        return files;
    }
    let copies = fs::create_dir_all(folder).and_then(|()| files.iter().map(copy).collect());
    copies.unwrap_or(files)
}

/// A copy of this program that no other process has mapped, so that its pages can be cold; it goes with the folder.
///
/// Beside the program, or in the temporary folder: the first place that can be written and whose files leave the page cache (those of a file
/// system in memory do not). None where there is no such place: the program itself has to do, and the cache is warm.
pub fn fresh_copy() -> Result<Option<(TempDir, PathBuf)>> {
    let program = env::current_exe().context("this program's own file is unknown")?;
    for place in places() {
        let Ok(folder) = own_folder(&place) else { continue };
        let copy = folder.path().join("dermai");
        if fs::copy(&program, &copy).is_err() {
            continue;
        }
        let is_cold = evict(&copy).and_then(|()| resident(&copy)).is_ok_and(|left| left.0 == 0);
        if is_cold || cfg!(not(target_os = "linux")) {
            return Ok(Some((folder, copy)));
        }
    }
    Ok(None)
}
