//! How measured children are started.
use super::CHILD;
use super::pictures::Pictures;
use crate::cli::serve;
use crate::memcheck::{Start, cold_files, pipeline};
use crate::model::{Prepared, RUNTIME_VARIABLE, find_runtime};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use tempfile::TempDir;

/// Starts children.
pub struct Starter {
    /// Makes the command of a child.
    pub start: Start,
    /// Makes the command of a server.
    pub server: Start,
    /// Files that children read.
    pub own: BTreeSet<PathBuf>,
    /// Where they find the model.
    pub model: PathBuf,
}

impl Starter {
    /// Children run from the fresh copy of this program, and from copies of what other processes have mapped; everything is named that the
    /// copy would not find.
    pub fn new(place: Option<(TempDir, PathBuf)>, model: Prepared, pictures: &Pictures) -> Result<Self> {
        let mut runtime = find_runtime()?;
        let mut files = model.files()?;
        let mut model_place = model.place().to_owned();
        drop(model); // what this process has mapped does not leave the page cache
        let program = match &place {
            Some((folder, copy)) => {
                runtime = cold_files(vec![runtime], &folder.path().join("runtime")).remove(0);
                let copies = folder.path().join("model");
                files = cold_files(files, &copies);
                if files[0].starts_with(&copies) {
                    model_place = if model_place.is_file() { files[0].clone() } else { copies };
                }
                copy.clone()
            }
            None => std::env::current_exe().context("this program's own file is unknown")?,
        };
        let mut own = BTreeSet::from([program.clone(), runtime.clone()]);
        own.extend(files);
        own.extend(pictures.paths.iter().cloned());
        let run = move || {
            let _lives_as_long = &place;
            let mut command = Command::new(&program);
            command.env(RUNTIME_VARIABLE, &runtime);
            command
        };
        let run = Rc::new(run);
        let again = Rc::clone(&run);
        let start = move |work: &pipeline::Work| {
            let mut command = run();
            command.arg(CHILD).arg(serde_json::to_string(work)?);
            Ok(command)
        };
        let server = move |work: &pipeline::Work| {
            let mut command = again();
            serve::arguments(&mut command, work);
            Ok(command)
        };
        Ok(Self { start: Box::new(start), server: Box::new(server), own, model: model_place })
    }
}
