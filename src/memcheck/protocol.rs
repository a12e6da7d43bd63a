//! What the measured child tells, line by line on its standard output, and how it is understood. After each stage and step it waits for a
//! line on its standard input, so that the parent has read its memory before it goes on.
use crate::memory::Heard;
use crate::model::Identity;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};

const STAGE: &str = "dermai-stage ";
const STEP: &str = "dermai-step";
const NOTE: &str = "dermai-note ";

/// Who answers, as the child notes it once the model is there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answering {
    /// The model.
    pub identity: Identity,
    /// Why it is a bundle's portable form.
    pub by_portable: Option<String>,
}

/// Tells where a pipeline is.
pub trait Marks {
    /// A stage begins, and the one before it ends.
    fn stage(&mut self, name: &str) -> Result<()>;
    /// One of several like steps of this stage is done.
    fn step(&mut self) -> Result<()>;
    /// Something that the parent should know, in one line.
    fn note(&mut self, text: &str) -> Result<()>;
}

/// Tells the parent.
pub struct ToParent;

impl ToParent {
    fn tell(line: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).context("nobody listens to this child")
    }

    fn tell_and_wait(line: &str) -> Result<()> {
        Self::tell(line)?;
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer).context("nobody lets this child go on")? == 0 {
            bail!("nobody lets this child go on: it is started by `dermai memcheck`");
        }
        Ok(())
    }
}

impl Marks for ToParent {
    fn stage(&mut self, name: &str) -> Result<()> {
        Self::tell_and_wait(&format!("{STAGE}{name}"))
    }

    fn step(&mut self) -> Result<()> {
        Self::tell_and_wait(STEP)
    }

    fn note(&mut self, text: &str) -> Result<()> {
        Self::tell(&format!("{NOTE}{text}"))
    }
}

/// What a line of the child means.
pub fn heard(line: &str) -> Heard {
    match line.strip_prefix(STAGE) {
        Some(name) => Heard::Stage(name.to_owned()),
        None if line == STEP => Heard::Step,
        None => Heard::Nothing,
    }
}

/// The note in a line of the child.
pub fn note(line: &str) -> Option<&str> {
    line.strip_prefix(NOTE)
}
