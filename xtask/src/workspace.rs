//! Where the workspace is, and how a chore runs other programs in it.

use std::env::{current_exe, var_os};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context as _, Result};

use crate::say::say;

/// The workspace root: the folder above this crate.
pub fn root() -> PathBuf {
    let here = var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// Where `cargo build --release` puts the program `name`: beside the folder that holds this program, which cargo built
/// too. So `CARGO_TARGET_DIR`, cargo's settings files and a default target are honoured without being read.
pub fn release_binary(name: &str) -> Result<PathBuf> {
    let own = current_exe().context("cannot tell where this program is")?;
    let built = own.ancestors().nth(2).with_context(|| format!("`{}` is in no target folder", own.display()))?;
    Ok(built.join("release").join(name).with_extension(std::env::consts::EXE_EXTENSION))
}

/// The cargo that started this chore. It runs in the caller's folder, so that a relative `CARGO_TARGET_DIR` means the
/// same to both.
pub fn cargo<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Command {
    let mut command = Command::new(var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// A command as it would be typed.
pub fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = match program.file_stem() {
        Some(stem) if stem == "cargo" => stem,
        _ => program.as_os_str(),
    };
    let settings = command.get_envs().filter_map(|(key, value)| Some((key, value?)));
    let settings = settings.map(|(key, value)| format!("{}={}", key.display(), quoted(value)));
    settings.chain(std::iter::once(name).chain(command.get_args()).map(quoted)).collect::<Vec<_>>().join(" ")
}

/// A word with quotes around it where a shell would take it apart.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
}

/// Says the command, then runs it to its end with the terminal as it is.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    let line = typed(command);
    say(format_args!("$ {line}"));
    command.status().with_context(|| format!("cannot run `{line}`"))
}

/// A program's exit status as our own; one ended by a signal has no code and counts as an error.
pub fn pass_on(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/opt/toolchain/bin/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").env_remove("CI");
        assert_eq!(typed(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn the_root_holds_this_crate() {
        assert!(root().join("xtask").join("Cargo.toml").is_file());
    }
}
