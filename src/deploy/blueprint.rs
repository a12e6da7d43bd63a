//! A Blueprint: the file, read within bounds, and the services, databases and groups in it, wherever they are defined.
use super::node::Node;
use super::service::Service;
use crate::yaml::{self, Value};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A Blueprint of a hundred services stays below this.
const MOST_BYTES: u64 = 128 << 10;

/// A `render.yaml`. It holds everything that the file says, unknown keys and wrong types included: [`super::lint()`] reports them.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The file.
    pub path: PathBuf,
    root: Value,
}

/// A list that can stand at the root, under `ungrouped` and in an environment of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `services`.
    Services,
    /// `databases`.
    Databases,
    /// `envVarGroups`.
    EnvVarGroups,
}

impl Resource {
    /// Its key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Databases => "databases",
            Self::EnvVarGroups => "envVarGroups",
        }
    }
}

impl Blueprint {
    /// Reads a file.
    ///
    /// ```no_run
    /// use dermai::deploy::{Blueprint, lint};
    /// use std::path::Path;
    ///
    /// let blueprint = Blueprint::read(Path::new("render.yaml"))?;
    /// let service = blueprint.service_with_plan(None)?;
    /// println!("{} has {} of memory", service.name, service.plan.memory);
    /// for finding in lint(&blueprint, Path::new(".")) {
    ///     println!("{}: {} ({})", finding.path, finding.message, finding.rule);
    /// }
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// When the file cannot be read, is larger than 128 KB, is not YAML (with line and column) or holds no block of keys. What else
    /// is wrong with it is left to [`super::lint()`].
    pub fn read(path: &Path) -> Result<Self> {
        read_text(path)
            .and_then(|text| Self::parse(&text))
            .map(|root| Self { path: path.to_owned(), root })
            .with_context(|| format!("`{}`", path.display()))
    }

    fn parse(text: &str) -> Result<Value> {
        let mut root = yaml::parse(text).context("the Blueprint is not valid YAML")?;
        yaml::merge(&mut root).context("the Blueprint is not valid YAML")?;
        ensure!(!root.is_null(), "the Blueprint is empty; it starts with `services:`");
        ensure!(root.is_mapping(), "the Blueprint is not a block of keys; it starts with `services:`");
        Ok(root)
    }

    /// The whole file.
    pub fn root(&self) -> Node<'_> {
        Node { path: String::new(), value: &self.root }
    }

    /// Blocks that can define resources: the root, `ungrouped` and every environment.
    pub fn places(&self) -> Vec<Node<'_>> {
        let root = self.root();
        let environments = root.items_of("projects").into_iter().flat_map(|project| project.items_of("environments"));
        let nested: Vec<_> = root.get("ungrouped").into_iter().chain(environments).collect();
        std::iter::once(root).chain(nested).collect()
    }

    /// Every entry of a list of resources, wherever it stands.
    pub fn all(&self, resource: Resource) -> Vec<Node<'_>> {
        self.places().iter().flat_map(|place| place.items_of(resource.key())).collect()
    }

    /// Every service.
    pub fn services(&self) -> Vec<Service<'_>> {
        self.all(Resource::Services).into_iter().map(Service::new).collect()
    }
}

fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = File::open(path).context("the Blueprint cannot be opened")?;
    // Not the length that the file system tells: a pipe or a device has none.
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text).context("the Blueprint cannot be read")?;
    ensure!(read as u64 <= MOST_BYTES, "more than {} KB are too many for a Blueprint", MOST_BYTES >> 10);
    Ok(text)
}
