//! What a service needs to be reached: health check, addresses, allow lists.
use super::Report;
use super::rules::{
    ALLOW_LIST_SOURCE, HEALTH_CHECK_FORM, KEYVALUE_ALLOW_LIST, MAINTENANCE_URI, NO_HEALTH_CHECK, SUBDOMAIN,
};
use crate::deploy::node::{Node, shown};
use crate::deploy::service::{Kind, Service};
use std::net::IpAddr;

pub(super) fn check(service: &Service, report: &mut Report) {
    let node = &service.node;
    health(service, report);
    if let Some(uri) = node.get("maintenanceMode").and_then(|mode| mode.get("uri"))
        && uri.value.as_str().is_some_and(|text| !text.starts_with("https://") && !text.starts_with("http://"))
    {
        report.add(&MAINTENANCE_URI, uri.path, "the address is not absolute", "write it with `https://`");
    }
    let domains = node.has("domain") || !node.items_of("domains").is_empty();
    if node.text("renderSubdomainPolicy") == Some("disabled") && !domains {
        let message = "without its onrender.com address and without a domain nobody reaches it";
        report.add(&SUBDOMAIN, node.path_of("renderSubdomainPolicy"), message, "add `domains`, or leave it enabled");
    }
    if service.kind == Some(Kind::KeyValue) && !node.has("ipAllowList") {
        let fix = "add `ipAllowList: []` for the private network only";
        report.add(&KEYVALUE_ALLOW_LIST, node.path_of("ipAllowList"), "it does not say who may connect", fix);
    }
    allow_list(node, report);
}

fn health(service: &Service, report: &mut Report) {
    let node = &service.node;
    let path = node.path_of("healthCheckPath");
    match node.text("healthCheckPath") {
        Some(text) if !text.starts_with('/') => {
            let message = format!("`{}` does not begin with `/`", shown(text));
            report.add(&HEALTH_CHECK_FORM, path, message, format!("write `/{}`", shown(text)));
        }
        None if service.kind == Some(Kind::Web) && !node.has("healthCheckPath") => {
            let message = "Render cannot tell whether a new version works, nor restart one that hangs";
            report.add(&NO_HEALTH_CHECK, path, message, "add the path of a cheap answer, such as `/health`");
        }
        _ => {}
    }
}

/// Entries of `ipAllowList`, at services as at databases.
pub(super) fn allow_list(node: &Node, report: &mut Report) {
    for entry in node.items_of("ipAllowList") {
        if let Some(source) = entry.text("source")
            && !is_address(source)
        {
            let message = format!("`{}` is neither an IP address nor a CIDR block", shown(source));
            report.add(&ALLOW_LIST_SOURCE, entry.path_of("source"), message, "write it like `203.0.113.4/30`");
        }
    }
}

fn is_address(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| {
        bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}
