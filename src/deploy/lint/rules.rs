//! Every rule of the lint: its id, how severe it is, what it says and where that is documented.
use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Render refuses the file, or the service cannot work as written.
    Error,
    /// It works, but not as its writer is likely to think, or it is on its way out.
    Warning,
    /// Worth knowing.
    Note,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, which does not change.
    pub id: &'static str,
    /// How severe its findings are.
    pub severity: Severity,
    /// What holds in a clean Blueprint, in one sentence.
    pub says: &'static str,
    /// Where that is documented: a page of Render's unless it says otherwise.
    pub source: &'static str,
}

const SPEC: &str = "render.com/docs/blueprint-spec";
const SCHEMA: &str = "render.com/schema/render.yaml.json";
const FREE: &str = "render.com/docs/free";
const HEALTH: &str = "render.com/docs/health-checks";
const SCALING: &str = "render.com/docs/scaling";
const DISKS: &str = "render.com/docs/disks";
const CRON: &str = "render.com/docs/cronjobs";
const DEPLOYS: &str = "render.com/docs/deploys";
const PREVIEWS: &str = "render.com/docs/preview-environments";
const WEB: &str = "render.com/docs/web-services";

macro_rules! rules {
    ($($name:ident = $id:literal, $severity:ident, $source:expr, $says:literal;)+) => {
        $(pub const $name: Rule = Rule { id: $id, severity: Severity::$severity, says: $says, source: $source };)+
        /// Every rule, in the order of the documentation.
        pub const RULES: &[Rule] = &[$($name),+];
    };
}

rules! {
    // The form of the file.
    UNKNOWN_KEY = "unknown-key", Error, SCHEMA, "Every key is one that Render knows at that place.";
    KEY_NOT_FOR_KIND = "key-not-for-kind", Error, SCHEMA, "A service has only keys of its own kind.";
    WEB_ONLY_KEY = "web-only-key", Warning, SPEC, "Keys about public traffic stand at web services and static sites only.";
    WRONG_TYPE = "wrong-type", Error, SCHEMA, "A value has the type that its key takes: text, number, true or false, list or block.";
    MISSING_KEY = "missing-key", Error, SCHEMA, "Keys that a block cannot do without are there.";
    UNKNOWN_VALUE = "unknown-value", Error, SCHEMA, "A key that takes one of a few words has one of them.";
    OUT_OF_RANGE = "out-of-range", Error, SCHEMA, "A number lies within its limits.";
    DEPRECATED_KEY = "deprecated-key", Warning, SPEC, "A key that has been replaced is no longer used.";
    DUPLICATE_NAME = "duplicate-name", Error, SPEC, "No two services, databases or environment groups have the same name.";
    NO_SERVICES = "no-services", Warning, SPEC, "The file defines at least one service or database.";
    // What a service is.
    UNKNOWN_SERVICE_TYPE = "unknown-service-type", Error, SPEC, "`type` is one that Render has.";
    UNKNOWN_RUNTIME = "unknown-runtime", Error, SPEC, "`runtime` is one that Render has.";
    UNKNOWN_REGION = "unknown-region", Error, SPEC, "`region` is one that Render has.";
    ENV_IS_RUNTIME = "env-is-runtime", Warning, SPEC, "The runtime is called `runtime`, no longer `env`.";
    REDIS_IS_KEYVALUE = "redis-is-keyvalue", Warning, SPEC, "A Key Value instance has `type: keyvalue`, no longer `redis`.";
    STATIC_KIND = "static-kind", Error, SPEC, "`runtime: static` goes with `type: web` only.";
    // Plans.
    UNKNOWN_PLAN = "unknown-plan", Error, SCHEMA, "`plan` is one that Render has for that kind of service, in its spelling.";
    UNKNOWN_DATABASE_PLAN = "unknown-database-plan", Error, SPEC, "The plan of a database is one that Render has for databases.";
    LEGACY_DATABASE_PLAN = "legacy-database-plan", Warning, "render.com/docs/postgresql-legacy-instance-types", "A database has a current plan: no new one gets a legacy plan.";
    PLAN_MISSING = "plan-missing", Warning, SPEC, "A plan is named, because a new resource without one gets a paid one.";
    FREE_PLAN_KIND = "free-plan-not-for-this-kind", Error, SPEC, "Private services, background workers and cron jobs have a paid plan.";
    FREE_PLAN_FEATURE = "free-plan-feature", Error, FREE, "A free web service uses nothing that only paid plans have: scaling, maintenance mode, a pre-deploy command or a shutdown delay.";
    FREE_DISK = "free-disk", Error, FREE, "A free web service has no disk.";
    FREE_SLEEPS = "free-sleeps", Note, FREE, "A free web service sleeps after 15 minutes without traffic and takes about a minute to wake.";
    // Web services.
    NO_HEALTH_CHECK = "no-health-check", Warning, HEALTH, "A web service has a health check path.";
    HEALTH_CHECK_FORM = "health-check-path-form", Error, SPEC, "A health check path begins with `/`.";
    PORT = "port", Error, WEB, "`PORT` is a number from 1 to 65535 and none of the reserved 18012, 18013 and 19099.";
    SHUTDOWN_DELAY = "shutdown-delay", Error, SPEC, "`maxShutdownDelaySeconds` is a whole number from 1 to 300.";
    MAINTENANCE_URI = "maintenance-uri", Error, SPEC, "The address of a maintenance page is absolute.";
    SUBDOMAIN = "subdomain-without-domain", Error, SPEC, "The onrender.com address is disabled only where there is a domain of one's own.";
    ALLOW_LIST_SOURCE = "allow-list-source", Error, SPEC, "The source of an allow list's entry is an IP address or a CIDR block.";
    // Deploys.
    AUTO_DEPLOY_NOT_GATED = "auto-deploy-not-gated", Warning, DEPLOYS, "Automatic deploys wait for the checks of the commit: `autoDeployTrigger: checksPass`.";
    AUTO_DEPLOY_CONFLICT = "auto-deploy-conflict", Warning, SPEC, "`autoDeploy` and `autoDeployTrigger` do not stand together: only the second counts.";
    // Build and start.
    COMMAND_MISSING = "command-missing", Error, SPEC, "A native runtime has a build command and a start command.";
    DOCKER_KEY = "docker-key-without-docker", Warning, SPEC, "Keys about Docker go with `runtime: docker`, `image` with `runtime: image`.";
    NATIVE_COMMAND = "native-command-with-docker", Warning, SPEC, "`buildCommand` and `startCommand` go with native runtimes; Docker has the Dockerfile and `dockerCommand`.";
    IMAGE_URL = "image-url", Error, SPEC, "`runtime: image` has `image.url`.";
    IMAGE_AND_REPO = "image-and-repo", Warning, SPEC, "A service has an image or a repository, not both.";
    CRON_SCHEDULE = "cron-schedule", Error, CRON, "A cron job has a schedule: a cron expression of five fields.";
    STATIC_PUBLISH_PATH = "static-publish-path", Error, SPEC, "A static site says which folder is published.";
    MISSING_FILE = "missing-file", Error, SPEC, "A Dockerfile, Docker context or root folder that the Blueprint names is in the repository.";
    // Instances and disks.
    SCALING_LIMITS = "scaling-limits", Error, SCALING, "Autoscaling has both limits, from 1 to 100 and in order, and a target from 1 to 90 percent.";
    SCALING_AND_INSTANCES = "scaling-and-instances", Warning, SPEC, "`numInstances` does not stand beside `scaling`: it would be ignored.";
    DISK_AND_INSTANCES = "disk-and-instances", Error, DISKS, "A service with a disk has one instance.";
    DISK_MOUNT_PATH = "disk-mount-path", Error, DISKS, "A disk is mounted at an absolute path that Render does not need itself.";
    // Environment variables.
    ENV_VALUE_NOT_STRING = "env-value-not-string", Error, SCHEMA, "The value of an environment variable is text; `true` and `false` stand in quotes.";
    ENV_VALUE_NUMBER = "env-value-number", Warning, "yaml.org/spec/1.2.2 (10.3.2, tag resolution)", "A number as value stands in quotes, or the process may get it in another form: `3.10` is read as 3.1, `1e3` as 1000.";
    ENV_VAR_FORM = "env-var-form", Error, SPEC, "An environment variable has a key and exactly one source of its value; a reference takes a property or a variable.";
    ENV_GROUP_FORM = "env-group-form", Error, SPEC, "A variable in a group refers to nothing and is not prompted for.";
    DUPLICATE_ENV_VAR = "duplicate-env-var", Warning, "environ(7): a process has one value a name", "No variable is set twice in one list.";
    NO_INTERPOLATION = "no-interpolation", Warning, SPEC, "No value counts on `${…}`: Render does not replace it.";
    SECRET_IN_CLEAR = "secret-in-clear", Warning, SPEC, "No secret stands in the file.";
    UNKNOWN_REFERENCE = "unknown-reference", Warning, SPEC, "What a variable refers to is defined in the file, or else has to be in the workspace.";
    REFERENCE_KIND = "reference-kind", Error, SPEC, "A reference names the kind that the service has, and a property of that kind.";
    // Stores and databases.
    KEYVALUE_ALLOW_LIST = "keyvalue-ip-allow-list", Error, SPEC, "A Key Value instance says who may connect: `ipAllowList`.";
    DATABASE_DISK = "database-disk", Error, SPEC, "The disk of a database has 1 GB or a multiple of 5 GB, and legacy plans have a fixed one.";
    READ_REPLICAS = "read-replicas", Error, SPEC, "A database has at most five read replicas.";
    // Previews.
    PREVIEWS_VALUE = "previews-value", Error, SPEC, "Previews are generated `off`, `manual` or `automatic`.";
    PREVIEW_BRANCH = "preview-branch", Warning, PREVIEWS, "No `branch` is fixed where preview environments are on: they would build it instead of the pull request.";
    PREVIEW_FREE_PLAN = "preview-free-plan", Error, "api-docs.render.com (schema `plan`)", "The previews of a service with a paid plan have a paid plan.";
}
