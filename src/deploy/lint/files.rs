//! Files and folders that a service names in its repository.
use super::Report;
use super::rules::MISSING_FILE;
use crate::deploy::node::shown;
use crate::deploy::service::Service;
use std::path::{Component, Path};

/// `folder` is the root of the repository.
pub(super) fn check(service: &Service, folder: &Path, report: &mut Report) {
    let node = &service.node;
    // Another repository, or none, is not here to be looked at.
    if node.has("repo") || service.kind.is_none() || service.runtime == Some("image") {
        return;
    }
    let root = node.text("rootDir").filter(|path| stays_inside(path)).unwrap_or(".");
    let mut wanted = Vec::new();
    if let Some(path) = node.text("rootDir") {
        wanted.push(("rootDir", path, true));
    }
    if service.runtime == Some("docker") {
        wanted.push(("dockerfilePath", node.text("dockerfilePath").unwrap_or("./Dockerfile"), false));
        if let Some(path) = node.text("dockerContext") {
            wanted.push(("dockerContext", path, true));
        }
    }
    for (key, path, is_folder) in wanted {
        let wrong = if !stays_inside(path) {
            format!("`{}` lies outside the repository", shown(path))
        } else if exists(folder, root, path, is_folder) {
            continue;
        } else {
            format!("there is no {} `{}` in the repository", if is_folder { "folder" } else { "file" }, shown(path))
        };
        report.add(&MISSING_FILE, node.path_of(key), wrong, "write the path from the root of the repository");
    }
}

/// The documentation counts from the root of the repository; services with a root folder count from there too.
fn exists(folder: &Path, root: &str, path: &str, is_folder: bool) -> bool {
    let there = |at: &Path| if is_folder { at.is_dir() } else { at.is_file() };
    there(&folder.join(path)) || there(&folder.join(root).join(path))
}

/// Whether a relative path never climbs above where it starts. Nothing else is looked for on disk.
fn stays_inside(path: &str) -> bool {
    let mut depth = 0_i32;
    Path::new(path).components().all(|part| {
        depth += match part {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::Prefix(_) | Component::RootDir => return false,
        };
        depth >= 0
    })
}
