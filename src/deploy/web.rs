//! The service whose memory is checked: what its process will find on Render.
use super::blueprint::{Blueprint, Resource};
use super::node::shown;
use super::plan::Plan;
use super::service::{EnvVar, Kind, Service};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::time::Duration;

/// The port that a service listens on when the file sets no `PORT` (render.com/docs/web-services).
pub const DEFAULT_PORT: u16 = 10_000;

/// How long a process may take to stop when the file does not say it (render.com/docs/blueprint-spec).
pub const DEFAULT_SHUTDOWN_DELAY: Duration = Duration::from_secs(30);

/// A service that has a plan, most often a web service, as its process will find it.
#[derive(Clone, Debug, PartialEq)]
pub struct WebService {
    /// Name.
    pub name: String,
    /// What it is: a web service, a private service, a background worker or a cron job.
    pub kind: Kind,
    /// Where it stands in the file, such as `services[0]`.
    pub path: String,
    /// What one instance is granted.
    pub plan: Plan,
    /// Whether the file names that plan; otherwise it is what Render gives a new service.
    pub plan_given: bool,
    /// `runtime`, such as `rust` or `docker`.
    pub runtime: Option<String>,
    /// Literal environment variables, those of groups in the same file included; what Render computes or asks for is not there.
    pub env: BTreeMap<String, String>,
    /// Where Render asks whether the service is well.
    pub health_check_path: Option<String>,
    /// Time between SIGTERM and SIGKILL.
    pub shutdown_delay: Duration,
}

impl WebService {
    /// The port that it has to listen on.
    ///
    /// # Errors
    /// When `PORT` is not a port.
    pub fn port(&self) -> Result<u16> {
        let Some(port) = self.env.get("PORT") else { return Ok(DEFAULT_PORT) };
        let port: u16 =
            port.parse().map_err(|_| anyhow!("`PORT` of `{}` is not a number from 1 to 65535", self.name))?;
        Ok(port)
    }
}

impl Blueprint {
    /// The service of that name whose plan grants memory: a web service, a private service, a background worker or a cron job. When no name
    /// is given, the only web service; where there is none, the only one of the others.
    ///
    /// # Errors
    /// When there is no such service, with the names that there are; when there are several and none is named; when its plan is
    /// none of Render's.
    pub fn service_with_plan(&self, name: Option<&str>) -> Result<WebService> {
        let all = self.services();
        let services: Vec<_> =
            all.iter().filter_map(|service| Some((service.kind.filter(|kind| has_plan(*kind))?, service))).collect();
        let webs: Vec<_> = services.iter().filter(|(kind, _)| *kind == Kind::Web).collect();
        let (first, what) =
            if webs.is_empty() { (services.iter().collect(), "services") } else { (webs, "web services") };
        let file = self.path.display();
        let (kind, chosen) = match (name, first.as_slice()) {
            (_, []) => bail!(
                "`{file}` has no service with a plan (a web service, a private service, a background worker or a cron job); give a `--budget`"
            ),
            (None, [only]) => only,
            (None, many) => bail!(
                "`{file}` has {} {what}, {}; say which one with `--service`",
                many.len(),
                names(many.iter().map(|(_, service)| *service))
            ),
            (Some(wanted), _) => {
                services.iter().find(|(_, service)| service.name == Some(wanted)).with_context(|| {
                    let names = names(services.iter().map(|(_, service)| *service));
                    format!("`{file}` has no service `{}` with a plan; it has {names}", shown(wanted))
                })?
            }
        };
        self.with_plan(chosen, *kind).with_context(|| format!("`{file}`"))
    }

    fn with_plan(&self, service: &Service, kind: Kind) -> Result<WebService> {
        let node = &service.node;
        let plan = match node.get("plan") {
            None => Plan::DEFAULT,
            Some(plan) => plan.value.as_str().and_then(Plan::named).with_context(|| {
                let known: Vec<_> = Plan::ALL.iter().map(|plan| format!("`{}`", plan.id)).collect();
                format!("`{}` is none of Render's plans: {}", plan.path, known.join(", "))
            })?,
        };
        let delay = node.whole("maxShutdownDelaySeconds").and_then(|seconds| u64::try_from(seconds).ok());
        Ok(WebService {
            name: service.name.unwrap_or_default().to_owned(),
            kind,
            path: node.path.clone(),
            plan,
            plan_given: node.has("plan"),
            runtime: service.runtime.map(str::to_owned),
            env: self.literals(service),
            health_check_path: node.text("healthCheckPath").map(str::to_owned),
            shutdown_delay: delay.map_or(DEFAULT_SHUTDOWN_DELAY, Duration::from_secs),
        })
    }

    /// Literal variables of a service; its own win over those of a group (render.com/docs/configure-environment-variables).
    fn literals(&self, service: &Service) -> BTreeMap<String, String> {
        let groups = self.all(Resource::EnvVarGroups);
        let own = service.env_vars();
        let mut env = BTreeMap::new();
        for wanted in own.iter().filter_map(EnvVar::group) {
            let group = groups.iter().filter(|group| group.text("name") == Some(wanted));
            env.extend(group.flat_map(|group| group.items_of("envVars")).filter_map(|item| literal(&EnvVar(item))));
        }
        for var in &own {
            // A variable of its own hides the group's even where its value is not in the file.
            if let Some(key) = var.key() {
                env.remove(key);
            }
            env.extend(literal(var));
        }
        env
    }
}

/// Whether a service of this kind has one of the plans that grant memory to a process.
fn has_plan(kind: Kind) -> bool {
    kind.is_server() || kind == Kind::Cron
}

/// Names for a message.
fn names<'a>(services: impl Iterator<Item = &'a Service<'a>>) -> String {
    let name = |service: &Service<'_>| format!("`{}`", shown(service.name.unwrap_or("(no name)")));
    services.map(name).collect::<Vec<_>>().join(", ")
}

fn literal(var: &EnvVar) -> Option<(String, String)> {
    Some((var.key()?.to_owned(), var.literal()?))
}
