//! How a service is built and started: commands, Docker, images, schedules.
use super::Report;
use super::cron;
use super::rules::{
    COMMAND_MISSING, CRON_SCHEDULE, DOCKER_KEY, IMAGE_AND_REPO, IMAGE_URL, MISSING_KEY, NATIVE_COMMAND,
    REDIS_IS_KEYVALUE, STATIC_KIND, STATIC_PUBLISH_PATH,
};
use crate::deploy::service::{Kind, Service};

const NATIVE: [&str; 6] = ["node", "python", "elixir", "go", "ruby", "rust"];

pub(super) fn check(service: &Service, report: &mut Report) {
    let node = &service.node;
    if node.text("type") == Some("redis") {
        let message = "`redis` is now called `keyvalue`";
        report.add(&REDIS_IS_KEYVALUE, node.path_of("type"), message, "write `type: keyvalue`");
    }
    let Some(kind) = service.kind.filter(|kind| *kind != Kind::KeyValue) else { return };
    match service.runtime {
        None if !node.has("runtime") && !node.has("env") => {
            let message = format!("{} has no runtime", kind.label());
            report.add(&MISSING_KEY, node.path_of("runtime"), message, "add `runtime`");
        }
        Some("static") if kind != Kind::Static => {
            let message = format!("{} cannot be static", kind.label());
            report.add(&STATIC_KIND, node.path_of("runtime"), message, "write `type: web`, or another runtime");
        }
        Some("docker") => docker(service, &["image"], report),
        Some("image") => {
            docker(service, &["dockerfilePath", "dockerContext"], report);
            image(service, report);
        }
        Some(runtime) if NATIVE.contains(&runtime) => native(service, report),
        _ => {}
    }
    match kind {
        Kind::Cron => schedule(service, report),
        Kind::Static if !node.has("staticPublishPath") => {
            let message = "it does not say which folder is published";
            report.add(&STATIC_PUBLISH_PATH, node.path_of("staticPublishPath"), message, "add it, such as `./dist`");
        }
        _ => {}
    }
}

fn native(service: &Service, report: &mut Report) {
    let node = &service.node;
    for key in ["buildCommand", "startCommand"].into_iter().filter(|key| !node.has(key)) {
        let message = format!("`runtime: {}` needs one", service.runtime.unwrap_or_default());
        report.add(&COMMAND_MISSING, node.path_of(key), message, format!("add `{key}`"));
    }
    let keys = ["dockerCommand", "dockerContext", "dockerfilePath", "registryCredential", "image"];
    strangers(service, &keys, report);
}

fn docker(service: &Service, strange: &[&str], report: &mut Report) {
    let node = &service.node;
    for key in ["buildCommand", "startCommand"].into_iter().filter(|key| node.has(key)) {
        let fix = if key == "startCommand" { "write `dockerCommand`" } else { "build in the Dockerfile" };
        report.add(&NATIVE_COMMAND, node.path_of(key), "it is for native runtimes", fix);
    }
    strangers(service, strange, report);
}

/// Keys that do nothing with this runtime.
fn strangers(service: &Service, keys: &[&str], report: &mut Report) {
    let runtime = service.runtime.unwrap_or_default();
    for key in keys.iter().filter(|key| service.node.has(key)) {
        let message = format!("it has no effect with `runtime: {runtime}`");
        let wanted = if *key == "image" { "image" } else { "docker" };
        let fix = format!("remove it, or write `runtime: {wanted}`");
        report.add(&DOCKER_KEY, service.node.path_of(key), message, fix);
    }
}

fn image(service: &Service, report: &mut Report) {
    let node = &service.node;
    let image = node.get("image");
    if image.as_ref().is_none_or(|image| !image.has("url")) {
        let path = image.map_or_else(|| node.path_of("image"), |image| image.path_of("url"));
        report.add(&IMAGE_URL, path, "it does not say which image", "add `image: {url: …}`");
    }
    for key in ["repo", "branch"].into_iter().filter(|key| node.has(key)) {
        report.add(&IMAGE_AND_REPO, node.path_of(key), "the service runs an image, not a repository", "remove it");
    }
}

fn schedule(service: &Service, report: &mut Report) {
    let node = &service.node;
    let path = node.path_of("schedule");
    let fix = "write five fields, such as `\"0 * * * *\"` for every hour (UTC)";
    match node.text("schedule") {
        Some(text) => {
            if let Err(wrong) = cron::check(text) {
                report.add(&CRON_SCHEDULE, path, wrong, fix);
            }
        }
        None if !node.has("schedule") => report.add(&CRON_SCHEDULE, path, "a cron job needs a schedule", fix),
        None => {}
    }
}
