//! What the measured process may use, and who says so: a flag, a blueprint, or the usual.
use super::Args;
use crate::cli::common::USUAL_BUDGET;
use crate::cli::unless_closed;
use crate::deploy::{Blueprint, Finding, Severity, WebService, lint};
use crate::memcheck::Budget;
use crate::memory::granted;
use crate::report::columns;
use crate::report::memcheck::{annotate, write_findings};
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
        let service = match blueprint.service_with_plan(args.service.as_deref()) {
            Ok(service) => service,
            Err(error) => {
                // There will be no report, and what the lint found may be why.
                tell(&findings, path, args.annotations)?;
                return Err(error);
            }
        };
        let budget = Budget {
            memory: service.plan.memory,
            cpus: Some(args.cpu.unwrap_or(service.plan.cpu)),
            source: format!("{}: service {}, plan {}", path.display(), service.name, service.plan.id),
        };
        Ok(Self { budget, blueprint: Some(path.to_owned()), service: Some(service), findings })
    }
}

/// Errors of the lint on standard error.
fn tell(findings: &[Finding], blueprint: &Path, annotations: bool) -> Result<()> {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).cloned().collect();
    let out = &mut std::io::stderr();
    unless_closed(if annotations {
        annotate(out, &errors, Some(blueprint))
    } else {
        write_findings(out, &errors, columns())
    })
}
