//! The Python side: environments with packages of their own below the target folder, and the scripts that run in them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::say::say;
use crate::workspace;

/// What an environment has.
#[derive(Debug)]
pub struct Packages {
    /// What pip is asked for.
    pub wanted: &'static [&'static str],
    /// What has to work where they are installed.
    pub imports: &'static str,
}

/// For most topics: the runtime's version is ours, Pillow's is the one that the pixels are compared with; `onnxruntime.quantization` takes
/// onnx and sympy.
pub const USUAL: Packages = Packages {
    wanted: &["onnxruntime==1.28.0", "pillow==13.0.0", "onnx==1.23.2", "sympy==1.14.0", "numpy", "pyyaml"],
    imports: "import numpy, onnx, onnxruntime.quantization, PIL, sympy, yaml",
};
/// Written last, so that a half-made environment is made again.
const DONE: &str = "packages.txt";
/// What to do where Python has no means to install anything.
const ADVICE: &str = "install python3 with its venv and pip packages (Debian: `apt install python3-venv python3-pip`)";

/// A Python that can import what the scripts need.
#[derive(Debug)]
pub struct Python {
    program: PathBuf,
    /// Where the packages are, when they are not the program's own.
    path: Option<PathBuf>,
    /// Where the scripts are written to.
    scripts: PathBuf,
}

impl Python {
    /// Makes the environment in `folder`, or takes the one that was made there before.
    pub fn set_up(folder: &Path, packages: &Packages) -> Result<Self> {
        let own = Self {
            program: folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" }),
            path: None,
            scripts: folder.to_owned(),
        };
        let apart = folder.join("packages");
        let bare = Self { program: "python3".into(), path: Some(apart.clone()), scripts: folder.to_owned() };
        if is_made(folder, packages) {
            if own.imports(packages) {
                return Ok(own);
            }
            if bare.imports(packages) {
                return Ok(bare);
            }
        }
        let named = || format!("cannot write `{}`", folder.display());
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(named)?;
        }
        fs::create_dir_all(folder).with_context(named)?;
        ensure!(works(Command::new("python3").arg("--version")), "there is no `python3` in `PATH`: {ADVICE}");
        let made = if works(Command::new("python3").args(["-m", "venv"]).arg(folder)) {
            own.install(packages, &[])?;
            own
        } else {
            say("python3 cannot make a virtual environment (no `ensurepip`): trying `pip install --target`");
            ensure!(works(bare.command().args(["-m", "pip", "--version"])), "`python3` has no `pip`: {ADVICE}");
            bare.install(packages, &[OsStr::new("--target"), apart.as_os_str()])?;
            bare
        };
        ensure!(made.imports(packages), "`{}` cannot `{}`: {ADVICE}", made.program.display(), packages.imports);
        fs::write(folder.join(DONE), packages.text()).with_context(named)?;
        Ok(made)
    }

    /// The command that runs `script` (its name and its text).
    pub fn script(&self, (name, text): (&str, &str)) -> Result<Command> {
        let path = self.scripts.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        let mut command = self.command();
        command.arg(path);
        Ok(command)
    }

    /// The interpreter.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(path) = &self.path {
            command.env("PYTHONPATH", path);
        }
        command
    }

    fn imports(&self, packages: &Packages) -> bool {
        works(self.command().args(["-c", packages.imports]))
    }

    /// Runs pip with the terminal as it is: it says best what is wrong.
    fn install(&self, packages: &Packages, options: &[&OsStr]) -> Result<()> {
        let mut pip = Command::new(&self.program);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        let installed = workspace::run(pip.args(options).args(packages.wanted))?;
        if !installed.success() {
            let wanted = packages.wanted.join(" ");
            bail!("pip could not install `{wanted}`; it says why above: correct that and try again");
        }
        Ok(())
    }
}

impl Packages {
    /// What stands in a finished environment.
    fn text(&self) -> String {
        self.wanted.join("\n")
    }
}

/// Whether an environment with these packages was finished in `folder`.
pub fn is_made(folder: &Path, packages: &Packages) -> bool {
    fs::read_to_string(folder.join(DONE)).is_ok_and(|installed| installed == packages.text())
}

/// Whether a command can be run and ends well; what it says is dropped.
fn works(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
