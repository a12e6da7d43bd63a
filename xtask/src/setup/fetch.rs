//! Brings an archive through a package client, pip first and npm second, each in the forms in which it is found.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::child::{Download, End, Failure};
use super::pins::Release;
use super::plan::OWN_LIBRARY;
use crate::say::say;

/// A client and what it is asked for.
#[derive(Clone, Copy)]
pub enum Registry {
    /// `pip download` of a wheel for a platform tag, whatever Python this machine has.
    Pip {
        /// Name and version.
        package: &'static str,
        /// The wheel's platform.
        tag: &'static str,
    },
    /// `npm pack`.
    Npm {
        /// Name and version.
        package: &'static str,
    },
}

impl Registry {
    /// The client's name.
    fn client(self) -> &'static str {
        match self {
            Self::Pip { .. } => "pip",
            Self::Npm { .. } => "npm",
        }
    }

    /// The commands that may start the client.
    fn commands(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Pip { .. } => &[&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]],
            Self::Npm { .. } if cfg!(windows) => &[&["npm.cmd"]],
            Self::Npm { .. } => &[&["npm"]],
        }
    }

    /// What the client is told: to put one archive into `goal`, and where its own passing files go.
    fn arguments(self, goal: &Path, passing: &Path) -> Vec<OsString> {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        match self {
            Self::Pip { package, tag } => {
                let mut all = words(&["download", package, "--no-deps", "--only-binary=:all:"]);
                all.extend(words(&["--implementation", "cp", "--python-version", "3.12", "--abi", "cp312"]));
                all.extend(words(&["--platform", tag, "--no-input", "--progress-bar", "off", "-d"]));
                all.push(goal.into());
                all
            }
            Self::Npm { package } => {
                // npm streams into its cache first, where the progress bar has to see it.
                let mut all = words(&["pack", package, "--fetch-retries=1", "--pack-destination"]);
                all.extend([goal.into(), "--cache".into(), passing.join("npm-cache").into()]);
                all
            }
        }
    }
}

/// Why a client brought nothing.
enum Trouble {
    /// It isn't on this machine.
    Absent(&'static str),
    /// It was started as `command` and failed.
    Failed { command: String, failure: Failure },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(client) => write!(f, "there is no {client}"),
            Self::Failed { command, failure } => write!(f, "`{command}` failed (`{}`)", failure.said),
        }
    }
}

/// Fetches the first of `releases` that can be had; gives its archive's path inside `workshop`.
pub fn first_that_works<'a>(
    releases: &[&'a Release],
    search: &OsStr,
    workshop: &Path,
) -> Result<(&'a Release, PathBuf)> {
    let mut troubles: Vec<Trouble> = Vec::new();
    for release in releases {
        if let Some(trouble) = troubles.last() {
            say(format_args!("{trouble}: trying {}", release.registry.client()));
        }
        match fetch(release, search, workshop)? {
            Ok(archive) => return Ok((release, archive)),
            Err(trouble) => troubles.push(trouble),
        }
    }
    let all = troubles.iter().map(Trouble::to_string).collect::<Vec<_>>().join(", ");
    bail!("cannot fetch ONNX Runtime: {all}: {}, or set {OWN_LIBRARY} to a library of your own", advice(&troubles))
}

/// Fetches one release through the first form of its client that is on this machine.
fn fetch(release: &Release, search: &OsStr, workshop: &Path) -> Result<Result<PathBuf, Trouble>> {
    let client = release.registry.client();
    let goal = workshop.join(client);
    fs::create_dir(&goal).with_context(|| format!("cannot create `{}`", goal.display()))?;
    let arguments = release.registry.arguments(&goal, workshop);
    for words in release.registry.commands() {
        let command = words.join(" ");
        let what = format!("ONNX Runtime {} with `{command}`", release.version);
        let download = Download { what: &what, bytes: release.archive.bytes, workshop, search };
        match download.run(words, &arguments)? {
            End::Absent => {}
            End::Arrived => return only_file(&goal, &command).map(Ok),
            End::Failed(failure) => return Ok(Err(Trouble::Failed { command, failure })),
        }
    }
    Ok(Err(Trouble::Absent(client)))
}

/// What to try after these.
fn advice(troubles: &[Trouble]) -> &'static str {
    let failures = || {
        troubles.iter().filter_map(|trouble| match trouble {
            Trouble::Failed { failure, .. } => Some(failure),
            Trouble::Absent(_) => None,
        })
    };
    if failures().next().is_none() {
        "install Python with pip, or Node.js with npm"
    } else if failures().any(|failure| failure.offline) {
        "there seems to be no network; connect and try again"
    } else {
        "correct that and try again"
    }
}

/// The archive that a client left in its folder.
fn only_file(folder: &Path, client: &str) -> Result<PathBuf> {
    let entries = folder.read_dir().with_context(|| format!("cannot read `{}`", folder.display()))?;
    let mut files = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file),
        (None, _) => bail!("`{client}` reported success but left no file: set {OWN_LIBRARY} to a library of your own"),
        _ => bail!("`{client}` left more than one file: set {OWN_LIBRARY} to a library of your own"),
    }
}
