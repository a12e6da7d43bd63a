//! The tables of what stands around services: the file, projects, groups and their variables, databases.
use super::Shape::{Any, Block, Flag, List, OneOf, Services, Text, Whole};
use super::{ALLOWED, COUNT, ENV_VARS, GENERATION, Keys, MOST, REGION, SWITCH, Shape, key, old, required};
use crate::deploy::lint::rules;
use crate::deploy::plan::{DATABASE_PLANS, LEGACY_DATABASE_PLANS};

const DATABASE_PLAN: Shape = OneOf(&[DATABASE_PLANS, LEGACY_DATABASE_PLANS], &rules::UNKNOWN_DATABASE_PLAN);

/// The whole file.
pub static ROOT: Keys = Keys {
    what: "a Blueprint",
    keys: &[
        key("services", Services),
        key("databases", List(&Block(&DATABASE))),
        key("envVarGroups", List(&Block(&GROUP))),
        key("projects", List(&Block(&PROJECT))),
        key("ungrouped", Block(&UNGROUPED)),
        key("previews", Block(&ROOT_PREVIEWS)),
        key("version", value!("1")),
        old("previewsEnabled", Flag, "write `previews: {generation: automatic}` for `true`, nothing for `false`"),
        old("previewsExpireAfterDays", COUNT, "write `previews: {expireAfterDays: …}`"),
    ],
};

static UNGROUPED: Keys = Keys {
    what: "`ungrouped`",
    keys: &[
        key("services", Services),
        key("databases", List(&Block(&DATABASE))),
        key("envVarGroups", List(&Block(&GROUP))),
    ],
};

static ROOT_PREVIEWS: Keys =
    Keys { what: "the previews of a Blueprint", keys: &[key("generation", GENERATION), key("expireAfterDays", COUNT)] };

static PROJECT: Keys =
    Keys { what: "a project", keys: &[required("name", Text), required("environments", List(&Block(&ENVIRONMENT)))] };

static ENVIRONMENT: Keys = Keys {
    what: "an environment",
    keys: &[
        required("name", Text),
        key("services", Services),
        key("databases", List(&Block(&DATABASE))),
        key("envVarGroups", List(&Block(&GROUP))),
        key("networking", Block(&Keys { what: "`networking`", keys: &[key("isolation", SWITCH)] })),
        key("permissions", Block(&Keys { what: "`permissions`", keys: &[key("protection", SWITCH)] })),
    ],
};

static GROUP: Keys = Keys { what: "an environment group", keys: &[required("name", Text), key("envVars", ENV_VARS)] };

pub(super) static ENV_VAR: Keys = Keys {
    what: "an environment variable",
    keys: &[
        key("key", Text),
        key("value", Any),
        key("previewValue", Any),
        key("generateValue", Flag),
        key("sync", Flag),
        key("fromDatabase", Block(&FROM_DATABASE)),
        key("fromService", Block(&FROM_SERVICE)),
        key("fromGroup", Text),
    ],
};

static FROM_DATABASE: Keys = Keys {
    what: "a reference to a database",
    keys: &[
        required("name", Text),
        required(
            "property",
            value!("connectionString", "connectionPoolString", "host", "port", "user", "password", "database"),
        ),
    ],
};

static FROM_SERVICE: Keys = Keys {
    what: "a reference to a service",
    keys: &[
        required("name", Text),
        required("type", value!("web", "pserv", "worker", "cron", "keyvalue", "redis", "static", "dpg", "job")),
        key("property", value!("host", "port", "hostport", "connectionString")),
        key("envVarKey", Text),
    ],
};

pub(super) static ALLOWED_SOURCE: Keys =
    Keys { what: "an entry of an allow list", keys: &[required("source", Text), key("description", Text)] };

static DATABASE: Keys = Keys {
    what: "a database",
    keys: &[
        required("name", Text),
        key("databaseName", Text),
        key("user", Text),
        key("region", REGION),
        key("plan", DATABASE_PLAN),
        key("previewPlan", DATABASE_PLAN),
        key("diskSizeGB", Whole(1, MOST, &rules::DATABASE_DISK)),
        key("previewDiskSizeGB", Whole(1, MOST, &rules::DATABASE_DISK)),
        key("storageAutoscalingEnabled", Flag),
        key("connectionPool", value!("pgbouncer", "none")),
        key("postgresMajorVersion", value!("10", "11", "12", "13", "14", "15", "16", "17", "18")),
        key("highAvailability", Block(&Keys { what: "`highAvailability`", keys: &[required("enabled", Flag)] })),
        key("ipAllowList", ALLOWED),
        key("readReplicas", List(&Block(&Keys { what: "a read replica", keys: &[required("name", Text)] }))),
    ],
};
