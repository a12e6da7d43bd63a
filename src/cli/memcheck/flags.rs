//! Flags that mean something only for our own pipeline, or only for a command that is driven: refused where they would do nothing.
use super::Args;
use anyhow::{Result, bail};
use std::env;

/// Variable that names the model where `--model` does not.
pub const MODEL_VARIABLE: &str = "DERMAI_MODEL";

/// Refuses the first flag that would do nothing for the command.
pub fn check(args: &Args) -> Result<()> {
    if args.command.is_empty() {
        return Ok(());
    }
    // The variable is set for everything that runs there, this command perhaps among it.
    let model = args.model.as_ref().is_some_and(|model| env::var_os(MODEL_VARIABLE).is_none_or(|set| set != *model));
    let of_pipeline = [
        ("--model", model),
        ("--no-gradcam", args.no_gradcam),
        ("--layer", args.layer.is_some()),
        ("--threads", args.threads.is_some()),
        ("--no-serve", args.no_serve),
        ("--floor", args.floor),
        ("--measure-options", args.measure_options),
    ];
    if let Some((flag, _)) = of_pipeline.into_iter().find(|(_, given)| *given) {
        bail!("`{flag}` is about our own pipeline and means nothing for a command; leave it out");
    }
    let of_drive = [
        ("--cpu", args.cpu.is_some()),
        ("--image", !args.images.is_empty()),
        ("--requests", args.requests.is_some()),
        ("--one-at-a-time", args.one_at_a_time),
    ];
    match of_drive.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) if args.http.is_none() => {
            bail!(
                "`{flag}` means nothing for a command that is not driven; name its endpoint with `--http URL`, or leave it out"
            )
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn checked(line: &str) -> Result<(), String> {
        let cli = Cli::try_parse_from(format!("dermai memcheck {line}").split_whitespace()).expect(line);
        let Command::Memcheck(args) = cli.command else { panic!("{line}") };
        check(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_that_would_do_nothing_is_named() {
        for flag in [
            "--model",
            "--no-gradcam",
            "--layer",
            "--threads",
            "--no-serve",
            "--cpu",
            "--floor",
            "--measure-options",
            "--image",
            "--requests",
            "--one-at-a-time",
        ] {
            let value = match flag {
                "--no-gradcam" | "--no-serve" | "--floor" | "--measure-options" | "--one-at-a-time" => "",
                _ => "1",
            };
            let error = checked(&format!("{flag} {value} -- true")).expect_err(flag);
            assert!(error.contains(&format!("`{flag}`")), "{error}");
            assert_eq!(checked(&format!("{flag} {value}")), Ok(()), "{flag}");
        }
    }

    #[test]
    fn what_means_something_is_let_through() {
        for line in [
            "--budget 64MB --runs 1 --timeout 5 --stage a=b --json -- true",
            "--http http://127.0.0.1:1/ --image a.jpg --cpu 0.1 --requests 5 --one-at-a-time --field f -- true",
        ] {
            assert_eq!(checked(line), Ok(()), "{line}");
        }
    }
}
