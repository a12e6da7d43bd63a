//! Takes the library and the licence texts out of a wheel (zip) or an npm package (gzipped tar).

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;

use super::fetch::Registry;
use super::pins::{Release, TEXTS};

/// The names of the files that a release installs, the library last.
pub fn names(release: &Release) -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter().map(|(_, name)| name).chain([release.library])
}

/// Writes what `release` installs into the new folder `goal`. Texts may be missing from the archive, the library not.
pub fn unpack(archive: &Path, release: &Release, goal: &Path) -> Result<()> {
    let failed = || format!("cannot unpack `{}`", archive.display());
    fs::create_dir(goal).with_context(|| format!("cannot create `{}`", goal.display()))?;
    let file = BufReader::with_capacity(1 << 20, File::open(archive).with_context(failed)?);
    match release.registry {
        Registry::Pip { .. } => unzip(file, release, goal),
        Registry::Npm { .. } => untar(file, release, goal),
    }
    .with_context(failed)?;
    if !goal.join(release.library).is_file() {
        bail!("`{}` holds no `{}`", archive.display(), release.member);
    }
    Ok(())
}

/// The name under which a member is installed; most are not.
fn installed_name(release: &Release, member: &str) -> Option<&'static str> {
    let wanted = TEXTS.into_iter().chain([(release.member, release.library)]);
    wanted.into_iter().find_map(|(inside, name)| (inside == member).then_some(name))
}

fn unzip(file: BufReader<File>, release: &Release, goal: &Path) -> Result<()> {
    let mut zip = zip::ZipArchive::new(file)?;
    for i in 0..zip.len() {
        let mut member = zip.by_index(i)?;
        if let Some(name) = installed_name(release, member.name()) {
            write(&mut member, &goal.join(name))?;
        }
    }
    Ok(())
}

/// Stops at the library: an npm package has no licence texts, and unpacking the rest takes seconds.
fn untar(file: BufReader<File>, release: &Release, goal: &Path) -> Result<()> {
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    for member in tar.entries()? {
        let mut member = member?;
        let path = member.path()?.to_string_lossy().into_owned();
        if let Some(name) = installed_name(release, &path) {
            write(&mut member, &goal.join(name))?;
            if name == release.library {
                break;
            }
        }
    }
    Ok(())
}

/// Writes a member to the disk itself, so that a rename after it can't outlive it in a crash.
fn write(member: &mut impl Read, path: &Path) -> Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    let mut file = File::create(path).with_context(failed)?;
    io::copy(member, &mut file).with_context(failed)?;
    file.sync_all().with_context(failed)
}
