//! What to do on a given machine, as a value: a test passes in its own folder, pins and search path.

use std::env::{consts, var_os};
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::pins::{RELEASES, Release};
use super::place::Workshop;
use super::{archive, fetch};
use crate::say::{megabytes, say};
use crate::workspace;

/// The variable that names a runtime of the user's own; it wins over anything installed.
pub const OWN_LIBRARY: &str = "ORT_DYLIB_PATH";

/// Everything that setting up depends on.
pub struct Plan {
    /// Where runtimes go, `<version>/<platform>/` each.
    pub folder: PathBuf,
    /// `os-arch` of the machine.
    pub platform: String,
    /// What may be installed, for all platforms, the preferred first.
    pub releases: Vec<Release>,
    /// A library of the user's own.
    pub own_library: Option<PathBuf>,
    /// Folders to look for pip and npm in, as in `PATH`.
    pub search: OsString,
}

/// How it ended well; its Display is the line for the user.
pub enum Ready {
    /// The user's own library is used.
    Own(PathBuf),
    /// A pinned library was there.
    There(&'static str, PathBuf),
    /// A pinned library was fetched and put in its place.
    Installed(&'static str, PathBuf),
}

impl Plan {
    /// The plan for the machine and the environment of this process.
    pub fn of_this_machine() -> Self {
        // The pinned Linux builds are linked against glibc and don't load into a musl program.
        let libc = if cfg!(target_env = "musl") { "-musl" } else { "" };
        Self {
            folder: workspace::root().join(".onnxruntime"),
            platform: format!("{}-{}{libc}", consts::OS, consts::ARCH),
            releases: RELEASES.to_vec(),
            own_library: var_os(OWN_LIBRARY).filter(|path| !path.is_empty()).map(PathBuf::from),
            search: var_os("PATH").unwrap_or_default(),
        }
    }

    /// Makes sure that a runtime is there.
    pub fn carry_out(&self) -> Result<Ready> {
        if let Some(path) = &self.own_library {
            if !path.is_file() {
                bail!("{OWN_LIBRARY} names `{}`, which is not a file: correct or unset it", path.display());
            }
            return Ok(Ready::Own(path.clone()));
        }
        let releases = self.for_this_platform()?;
        if let Some(ready) = self.installed(&releases) {
            return Ok(ready);
        }
        let workshop = Workshop::open(&self.folder)?;
        // Another run may have finished while this one waited for the workshop.
        if let Some(ready) = self.installed(&releases) {
            return Ok(ready);
        }
        let (release, archive) = fetch::first_that_works(&releases, &self.search, workshop.path())?;
        self.install(release, &archive, workshop.path())
    }

    /// The releases for this machine.
    fn for_this_platform(&self) -> Result<Vec<&Release>> {
        let fitting: Vec<_> = self.releases.iter().filter(|release| release.platform == self.platform).collect();
        if fitting.is_empty() {
            let mut known: Vec<_> = self.releases.iter().map(|release| release.platform).collect();
            known.sort_unstable();
            known.dedup();
            bail!(
                "no ONNX Runtime is pinned for `{}`, only for {}: set {OWN_LIBRARY} to a library of your own",
                self.platform,
                known.join(", ")
            );
        }
        Ok(fitting)
    }

    /// The place of a release's library.
    fn place(&self, release: &Release) -> PathBuf {
        self.folder.join(release.version).join(release.platform).join(release.library)
    }

    /// The first release whose library is in its place, whole.
    fn installed(&self, releases: &[&Release]) -> Option<Ready> {
        releases.iter().find_map(|release| {
            let place = self.place(release);
            release.pin.matches(&place).then_some(Ready::There(release.version, place))
        })
    }

    /// Takes library and licence texts out of the archive, the library last: where it is, all is.
    fn install(&self, release: &Release, archive: &Path, workshop: &Path) -> Result<Ready> {
        release.archive.require(archive)?;
        let unpacked = workshop.join("unpacked");
        archive::unpack(archive, release, &unpacked)?;
        release.pin.require(&unpacked.join(release.library))?;
        let place = self.place(release);
        let folder = place.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        if place.exists() {
            say(format_args!("`{}` was not the pinned library: replacing it", place.display()));
        }
        for name in archive::names(release).filter(|name| unpacked.join(name).exists()) {
            let goal = folder.join(name);
            fs::rename(unpacked.join(name), &goal).with_context(|| {
                format!("cannot put `{}` in its place: end the programs that use it and try again", goal.display())
            })?;
        }
        Ok(Ready::Installed(release.version, place))
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(path) => write!(f, "using {OWN_LIBRARY}=`{}`: nothing to fetch", path.display()),
            Self::There(version, path) => write!(f, "ONNX Runtime {version} is there: `{}`", path.display()),
            Self::Installed(version, path) => {
                let size = path.metadata().map(|data| data.len()).unwrap_or_default();
                let size = megabytes(size);
                write!(f, "installed ONNX Runtime {version} ({size}, sha256 checked): `{}`", path.display())
            }
        }
    }
}
