//! Environment variables: their form, their values, and secrets that should not be there.
use super::Report;
use super::rules::{
    DUPLICATE_ENV_VAR, ENV_GROUP_FORM, ENV_VALUE_NOT_STRING, ENV_VALUE_NUMBER, ENV_VAR_FORM, NO_INTERPOLATION, PORT,
    SECRET_IN_CLEAR,
};
use crate::deploy::node::{Node, kind_of, shown};
use crate::deploy::service::{EnvVar, Kind, Service};
use crate::yaml::{self, Value};
use std::collections::BTreeSet;

/// Ports of Render's own.
const RESERVED: [u16; 3] = [18012, 18013, 19099];
/// Last words of names of secrets.
const SECRET_ENDS: [&str; 10] =
    ["SECRET", "SECRETS", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "KEY", "APIKEY", "CREDENTIAL", "CREDENTIALS"];
/// Last words of names that tell about a secret without being one.
const ABOUT_ENDS: [&str; 8] = ["NAME", "PATH", "FILE", "ID", "ARN", "ENABLED", "TTL", "LENGTH"];

pub(super) fn check_service(service: &Service, report: &mut Report) {
    let vars = service.env_vars();
    for var in &vars {
        form(var, report);
        value(var, report);
        if var.key() == Some("PORT") && service.kind.is_some_and(Kind::is_server) {
            port(var, report);
        }
    }
    twice(&vars, report);
}

pub(super) fn check_group(group: &Node, report: &mut Report) {
    let vars: Vec<_> = group.items_of("envVars").into_iter().map(EnvVar).collect();
    for var in &vars {
        let foreign = ["fromDatabase", "fromService", "fromGroup"].into_iter().find(|key| var.0.has(key));
        let prompted = (var.0.flag("sync") == Some(false)).then_some("sync");
        if let Some(key) = foreign.or(prompted) {
            let message = if key == "sync" { "Render ignores it" } else { "a group refers to nothing" };
            report.add(&ENV_GROUP_FORM, var.0.path_of(key), message, "set the variable at the service");
        } else {
            form(var, report);
        }
        value(var, report);
    }
    twice(&vars, report);
}

/// A key and exactly one source.
fn form(var: &EnvVar, report: &mut Report) {
    let node = &var.0;
    let Some(map) = node.value.as_mapping() else { return };
    let mut wrong = |path: &str, message: String, fix: &str| report.add(&ENV_VAR_FORM, path, message, fix);
    if node.has("fromGroup") {
        if map.len() > 1 {
            let message = "`fromGroup` takes over all variables of the group and stands alone".to_owned();
            wrong(&node.path, message, "make an entry of its own of the rest");
        }
        return;
    }
    if !node.has("key") {
        wrong(&node.path, "it has no `key`".to_owned(), "add `key` with the name of the variable");
    } else if var.key() == Some("") {
        wrong(&node.path_of("key"), "the name is empty".to_owned(), "write the name of the variable");
    }
    let counts = |key: &&str| match *key {
        // `false` says what is so anyway.
        "generateValue" => node.flag(key) != Some(false) && node.has(key),
        "sync" => node.flag(key) != Some(true) && node.has(key),
        _ => map.contains_key(*key),
    };
    let sources: Vec<_> =
        ["value", "generateValue", "sync", "fromDatabase", "fromService"].into_iter().filter(counts).collect();
    match sources.as_slice() {
        [_] => {}
        [] => wrong(
            &node.path,
            "it has no value".to_owned(),
            "add `value`, `generateValue: true`, `sync: false` or a reference",
        ),
        many => wrong(&node.path, format!("`{}` exclude each other", many.join("` and `")), "keep one of them"),
    }
    if let Some(from) = node.get("fromService").filter(|from| from.value.is_mapping())
        && from.has("property") == from.has("envVarKey")
    {
        let message = "it takes either `property` or `envVarKey`".to_owned();
        wrong(&from.path, message, "keep or add one of them");
    }
}

fn value(var: &EnvVar, report: &mut Report) {
    let Some(map) = var.0.value.as_mapping() else { return };
    let secret = var.key().is_some_and(is_secret);
    for key in ["value", "previewValue"] {
        let Some(value) = map.get(key) else { continue };
        let path = var.0.path_of(key);
        match value {
            Value::Number(_) => {
                let read = if secret { String::new() } else { format!(", read as {}", yaml::show(value)) };
                let message = format!("a number without quotes{read}");
                report.add(&ENV_VALUE_NUMBER, path.clone(), message, "put the value in quotes");
            }
            Value::String(text) => literal(text, secret, &path, report),
            other => {
                let message = format!("the value is {}; expected a text", kind_of(other));
                let fix =
                    if other.is_bool() { "put the value in quotes" } else { "write a text, `\"\"` where it is empty" };
                report.add(&ENV_VALUE_NOT_STRING, path.clone(), message, fix);
            }
        }
        let filled = match value {
            Value::String(text) => !text.is_empty() && !text.contains("${"),
            other => other.is_number(),
        };
        if secret && filled {
            let message = format!(
                "`{}` looks like a secret, and its value stands in the file",
                shown(var.key().unwrap_or_default())
            );
            report.add(
                &SECRET_IN_CLEAR,
                path,
                message,
                "write `sync: false` or `generateValue: true` instead of the value",
            );
        }
    }
}

fn literal(text: &str, secret: bool, path: &str, report: &mut Report) {
    if has_placeholder(text) {
        let message = "Render passes `${…}` on as it stands";
        report.add(&NO_INTERPOLATION, path, message, "put the value together in the start command");
    }
    if !secret && has_password(text) {
        let fix = "write `sync: false`, `fromDatabase` or `fromService`";
        report.add(&SECRET_IN_CLEAR, path, "the address holds a password", fix);
    }
}

fn port(var: &EnvVar, report: &mut Report) {
    let Some(text) = var.literal() else { return };
    let wrong = match text.parse::<u16>() {
        Ok(0) | Err(_) => "not a number from 1 to 65535",
        Ok(port) if RESERVED.contains(&port) => "reserved by Render",
        Ok(_) => return,
    };
    let message = format!("`{}` is {wrong}", shown(&text));
    report.add(&PORT, var.0.path_of("value"), message, "leave `PORT` out: Render sets 10000");
}

fn twice(vars: &[EnvVar], report: &mut Report) {
    let mut seen = BTreeSet::new();
    for var in vars {
        if let Some(key) = var.key()
            && !seen.insert(key)
        {
            let message = format!("`{}` is set a second time", shown(key));
            report.add(&DUPLICATE_ENV_VAR, var.0.path_of("key"), message, "keep one of them");
        }
    }
}

/// Whether a variable is likely to hold a secret, by its name.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    let words: Vec<_> = key.split(['_', '-', '.']).filter(|word| !word.is_empty()).collect();
    let Some(last) = words.last() else { return false };
    let public = words.iter().any(|word| ["PUBLIC", "PUBLISHABLE"].contains(word));
    !public && (SECRET_ENDS.contains(last) || words.contains(&"SECRET") && !ABOUT_ENDS.contains(last))
}

/// `${NAME}` somewhere in a text.
fn has_placeholder(text: &str) -> bool {
    text.split("${").skip(1).any(|rest| {
        rest.split_once('}')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
    })
}

/// `scheme://user:password@…`.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    user.split_once(':').is_some_and(|(_, password)| !password.is_empty() && !password.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for key in ["API_KEY", "jwt_secret", "DB_PASSWORD", "SECRET_KEY_BASE", "STRIPE.TOKEN", "APIKEY"] {
            assert!(is_secret(key), "{key}");
        }
        for key in
            ["", "_", "PUBLIC_KEY", "TOKEN_TTL", "MAX_TOKENS", "SECRET_NAME", "KEYBOARD", "MONKEY", "ENABLE_GRADCAM"]
        {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn passwords_in_addresses_and_placeholders_are_found() {
        assert!(has_password("postgres://me:pass@host/db"));
        for text in ["postgres://host/db", "https://example.com/a:b@c", "redis://me@host", "x://u:$P@h", "mailto:a:b@c"]
        {
            assert!(!has_password(text), "{text}");
        }
        assert!(has_placeholder("http://${HOST}:80"));
        for text in ["$HOST", "${}", "${a b}", "${", "}${"] {
            assert!(!has_placeholder(text), "{text}");
        }
    }
}
