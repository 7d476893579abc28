//! `docs/api.yaml` describes the program: its routes, and the members of its bodies, both ways.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ringfence::api::http::Message;
use ringfence::api::request::{self, ROUTES};
use serde_json::{Value, json};

fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.yaml");
    let text = fs::read_to_string(path).expect("the document is there");
    serde_yaml_ng::from_str(&text).expect("the document is YAML")
}

fn routes(there: bool) -> BTreeSet<String> {
    let routes = ROUTES.iter().filter(|route| route.is_there() == there);
    routes.map(|route| format!("{} {}", route.method.name(), route.path)).collect()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// What a reference leads to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(path) => document.pointer(&path[1..]).unwrap_or_else(|| panic!("{path} leads nowhere")),
        None => value,
    }
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = document();
    let described: BTreeSet<String> = object(&document["paths"])
        .flat_map(|(path, methods)| {
            object(methods).map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(described, routes(true));
    let absent = document["x-not-there"].as_array().expect("a list").iter();
    let absent: BTreeSet<String> =
        absent.map(|route| route.as_str().expect("a route is text").to_owned()).collect();
    assert_eq!(absent, routes(false));
}

fn fault(method: &str, path: &str, body: &Value) -> Option<String> {
    let message = Message { method: method.into(), path: path.into(), body: body.to_string().into_bytes() };
    request::parse(&message).err().map(|fault| fault.to_string())
}

/// The members that the program knows, as it says when it is asked for one that nobody knows.
fn known_members(method: &str, path: &str, wrap: &dyn Fn(Value) -> Value) -> BTreeSet<String> {
    let said = fault(method, path, &wrap(json!({ "nobody knows": 1 }))).expect("nobody knows it");
    let (_, expected) = said
        .split_once("unknown field `nobody knows`, expected ")
        .unwrap_or_else(|| panic!("{method} {path}: {said}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Compares a schema, and those within it, with the program. `wrap`: puts a value where the schema stands in the body.
fn compare(
    document: &Value,
    schema: &Value,
    method: &str,
    path: &str,
    wrap: &dyn Fn(Value) -> Value,
) -> usize {
    let described: BTreeSet<String> = object(&schema["properties"]).map(|(name, _)| name.clone()).collect();
    assert_eq!(described, known_members(method, path, wrap), "{method} {path}");
    let mut compared = 1;
    for (name, property) in object(&schema["properties"]) {
        let inner = resolved(document, property);
        if inner["type"] == "object" {
            compared += compare(document, inner, method, path, &|value| wrap(json!({ name: value })));
        }
        for value in inner["enum"].as_array().into_iter().flatten() {
            let said = fault(method, path, &wrap(json!({ name: value })));
            let refused = said.as_ref().is_some_and(|said| said.contains("unknown variant"));
            assert!(!refused, "{method} {path} {name}: {value}: {said:?}");
        }
        if inner["enum"].is_array() && inner["type"] == "string" {
            let said = fault(method, path, &wrap(json!({ name: "nobody knows" }))).expect("nobody knows it");
            let listed = inner["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            for value in said.split('`').skip(3).step_by(2) {
                assert!(listed.clone().any(|listed| listed == value), "{method} {path} {name}: {value}");
            }
        }
    }
    compared
}

#[test]
fn the_document_has_every_member_of_a_body_and_no_other() {
    let document = document();
    let mut compared = 0;
    for (path, methods) in object(&document["paths"]) {
        for (method, operation) in object(methods) {
            let body = resolved(&document, &operation["requestBody"]);
            if body.is_null() {
                continue;
            }
            let schema = resolved(&document, &body["content"]["application/json"]["schema"]);
            compared += compare(&document, schema, &method.to_uppercase(), path, &|value| value);
        }
    }
    assert!(compared >= 12, "only {compared} schemas were compared");
}
