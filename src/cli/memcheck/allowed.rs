//! What the measured process may use, and who says so: a flag, a blueprint, or the usual.
use super::Args;
use crate::cli::common::USUAL_BUDGET;
use crate::deploy::{Blueprint, Finding, WebService, lint};
use crate::memcheck::Budget;
use crate::memory::granted;
use crate::units::Bytes;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// What may be used, by the flags, the blueprint, or the usual.
pub struct Allowed {
    /// Memory and CPU.
    pub budget: Budget,
    /// The blueprint that says so.
    pub blueprint: Option<PathBuf>,
    /// Its service.
    pub service: Option<WebService>,
    /// What the lint found in it.
    pub findings: Vec<Finding>,
}

impl Allowed {
    /// By the flags, else by the blueprint, else by the cgroup that this runs in, else the usual.
    pub fn of(args: &Args) -> Result<Self> {
        let usual = Path::new("render.yaml");
        let blueprint = match (&args.blueprint, args.budget) {
            (Some(path), _) => Some(path.as_path()),
            (None, None) if usual.is_file() => Some(usual),
            _ => None,
        };
        if let Some(path) = blueprint {
            return Self::by_blueprint(path, args);
        }
        ensure!(args.service.is_none(), "`--service` needs a blueprint: `--blueprint FILE`");
        let (memory, source) = match (args.budget, granted(Path::new("/")).memory) {
            (Some(bytes), _) => (bytes, format!("--budget {bytes}")),
            (None, Some(bytes)) => (bytes, "the cgroup that this runs in".to_owned()),
            (None, None) => (USUAL_BUDGET, "Render's smallest plans".to_owned()),
        };
        ensure!(
            memory >= Bytes::mb(1),
            "`--budget {memory}` is too little for any process; did you mean `{}MB`?",
            memory.0
        );
        Ok(Self {
            budget: Budget { memory, cpus: args.cpu, source },
            blueprint: None,
            service: None,
            findings: Vec::new(),
        })
    }

    fn by_blueprint(path: &Path, args: &Args) -> Result<Self> {
        let blueprint = Blueprint::read(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let findings = lint(&blueprint, folder);
        let service = blueprint.web_service(args.service.as_deref())?;
        let budget = Budget {
            memory: service.plan.memory,
            cpus: Some(args.cpu.unwrap_or(service.plan.cpu)),
            source: format!("{}: service {}, plan {}", path.display(), service.name, service.plan.id),
        };
        Ok(Self { budget, blueprint: Some(path.to_owned()), service: Some(service), findings })
    }
}
