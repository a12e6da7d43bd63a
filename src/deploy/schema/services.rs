//! The tables of the kinds of services.
use super::Need::Old;
use super::Shape::{Block, Flag, List, OneOf, Text, Whole};
use super::{
    ALLOWED, COUNT, ENV_VARS, GENERATION, Key, Keys, REGION, SWITCH, Shape, TEXT, key, old, required, web_only,
};
use crate::deploy::lint::rules;
use crate::deploy::plan::{CRON_PLANS, KEY_VALUE_PLANS, SERVER_PLANS};

const TYPE: Shape =
    OneOf(&[&["web", "pserv", "worker", "cron", "keyvalue", "redis", "workflow"]], &rules::UNKNOWN_SERVICE_TYPE);
const RUNTIME: Shape =
    OneOf(&[&["node", "python", "elixir", "go", "ruby", "rust", "docker", "image", "static"]], &rules::UNKNOWN_RUNTIME);
const SERVER_PLAN: Shape = OneOf(&[SERVER_PLANS], &rules::UNKNOWN_PLAN);
const CRON_PLAN: Shape = OneOf(&[CRON_PLANS], &rules::UNKNOWN_PLAN);
const KEY_VALUE_PLAN: Shape = OneOf(&[KEY_VALUE_PLANS], &rules::UNKNOWN_PLAN);
const INSTANCES: Shape = Whole(1, 100, &rules::SCALING_LIMITS);
const PERCENT: Shape = Whole(1, 90, &rules::SCALING_LIMITS);
const BUILD_FILTER: Shape =
    Block(&Keys { what: "a build filter", keys: &[key("paths", List(&TEXT)), key("ignoredPaths", List(&TEXT))] });
const TRIGGER: Key = key("autoDeployTrigger", value!("commit", "checksPass", "off"));
const AUTO_DEPLOY: Key = key("autoDeploy", Flag);
const OLD_ENV: Key =
    Key { name: "env", shape: RUNTIME, need: Old(&rules::ENV_IS_RUNTIME, "rename `env` to `runtime`") };
const OLD_PREVIEWS: Key = old(
    "pullRequestPreviewsEnabled",
    Flag,
    "write `previews: {generation: automatic}` for `true`, nothing for `false`",
);

static REGISTRY: Keys = Keys {
    what: "a registry credential",
    keys: &[required("fromRegistryCreds", Block(&Keys { what: "a credential", keys: &[required("name", Text)] }))],
};

static IMAGE: Keys = Keys { what: "an image", keys: &[key("url", Text), key("creds", Block(&REGISTRY))] };

/// The keys of a web service, private service or background worker.
pub(super) static SERVER: Keys = Keys {
    what: "a service",
    keys: &[
        required("type", TYPE),
        required("name", Text),
        key("runtime", RUNTIME),
        OLD_ENV,
        key("plan", SERVER_PLAN),
        key("region", REGION),
        key("repo", Text),
        key("branch", Text),
        key("rootDir", Text),
        key("image", Block(&IMAGE)),
        key("dockerCommand", Text),
        key("dockerContext", Text),
        key("dockerfilePath", Text),
        key("registryCredential", Block(&REGISTRY)),
        key("buildCommand", Text),
        key("startCommand", Text),
        key("preDeployCommand", Text),
        key("initialDeployHook", Text),
        old("afterFirstDeployCommand", Text, "rename it to `initialDeployHook`"),
        key("envVars", ENV_VARS),
        key("buildFilter", BUILD_FILTER),
        TRIGGER,
        AUTO_DEPLOY,
        key("numInstances", INSTANCES),
        key("scaling", Block(&SCALING)),
        key("disk", Block(&DISK)),
        key("maxShutdownDelaySeconds", Whole(1, 300, &rules::SHUTDOWN_DELAY)),
        key("previews", Block(&SERVER_PREVIEWS)),
        old("previewPlan", SERVER_PLAN, "write `previews: {plan: …}`"),
        OLD_PREVIEWS,
        web_only("healthCheckPath", Text),
        web_only("maintenanceMode", Block(&MAINTENANCE)),
        web_only("domain", Text),
        web_only("domains", List(&TEXT)),
        web_only("renderSubdomainPolicy", SWITCH),
        web_only("ipAllowList", ALLOWED),
    ],
};

static SCALING: Keys = Keys {
    what: "autoscaling",
    keys: &[
        key("minInstances", INSTANCES),
        key("maxInstances", INSTANCES),
        key("targetMemoryPercent", PERCENT),
        key("targetCPUPercent", PERCENT),
    ],
};

static DISK: Keys =
    Keys { what: "a disk", keys: &[required("name", Text), required("mountPath", Text), key("sizeGB", COUNT)] };

static SERVER_PREVIEWS: Keys = Keys {
    what: "the previews of a service",
    keys: &[key("generation", GENERATION), key("plan", SERVER_PLAN), key("numInstances", INSTANCES)],
};

static MAINTENANCE: Keys = Keys { what: "the maintenance mode", keys: &[key("enabled", Flag), key("uri", Text)] };

pub(super) static STATIC: Keys = Keys {
    what: "a static site",
    keys: &[
        required("type", TYPE),
        required("name", Text),
        key("runtime", RUNTIME),
        OLD_ENV,
        key("repo", Text),
        key("branch", Text),
        key("rootDir", Text),
        key("buildCommand", Text),
        key("preDeployCommand", Text),
        key("staticPublishPath", Text),
        key("headers", List(&Block(&HEADER))),
        key("routes", List(&Block(&ROUTE))),
        key("envVars", ENV_VARS),
        key("buildFilter", BUILD_FILTER),
        TRIGGER,
        AUTO_DEPLOY,
        key("previews", Block(&Keys { what: "the previews of a static site", keys: &[key("generation", GENERATION)] })),
        OLD_PREVIEWS,
        key("domain", Text),
        key("domains", List(&TEXT)),
        key("renderSubdomainPolicy", SWITCH),
        key("ipAllowList", ALLOWED),
    ],
};

static HEADER: Keys =
    Keys { what: "a header", keys: &[required("path", Text), required("name", Text), required("value", Text)] };

static ROUTE: Keys = Keys {
    what: "a route",
    keys: &[required("type", value!("redirect", "rewrite")), required("source", Text), required("destination", Text)],
};

pub(super) static CRON: Keys = Keys {
    what: "a cron job",
    keys: &[
        required("type", TYPE),
        required("name", Text),
        key("runtime", RUNTIME),
        OLD_ENV,
        key("schedule", Text),
        key("plan", CRON_PLAN),
        key("region", REGION),
        key("repo", Text),
        key("branch", Text),
        key("rootDir", Text),
        key("image", Block(&IMAGE)),
        key("dockerCommand", Text),
        key("dockerContext", Text),
        key("dockerfilePath", Text),
        key("registryCredential", Block(&REGISTRY)),
        key("buildCommand", Text),
        key("startCommand", Text),
        key("preDeployCommand", Text),
        key("envVars", ENV_VARS),
        key("buildFilter", BUILD_FILTER),
        TRIGGER,
        AUTO_DEPLOY,
    ],
};

pub(super) static KEY_VALUE: Keys = Keys {
    what: "a Key Value instance",
    keys: &[
        required("type", TYPE),
        required("name", Text),
        key("plan", KEY_VALUE_PLAN),
        key("previewPlan", KEY_VALUE_PLAN),
        key("region", REGION),
        key("ipAllowList", ALLOWED),
        key(
            "maxmemoryPolicy",
            value!(
                "allkeys-lru",
                "volatile-lru",
                "allkeys-lfu",
                "volatile-lfu",
                "allkeys-random",
                "volatile-random",
                "volatile-ttl",
                "noeviction"
            ),
        ),
        key("persistenceMode", value!("journal-snapshot", "snapshot", "off")),
    ],
};

pub(super) static WORKFLOW: Keys = Keys {
    what: "a workflow",
    keys: &[
        required("type", TYPE),
        required("name", Text),
        key("runtime", RUNTIME),
        OLD_ENV,
        key("region", REGION),
        key("repo", Text),
        key("branch", Text),
        key("rootDir", Text),
        key("buildCommand", Text),
        key("startCommand", Text),
        key("envVars", ENV_VARS),
        key("buildFilter", BUILD_FILTER),
        TRIGGER,
        AUTO_DEPLOY,
    ],
};
