//! The description of the API, compared with what the node serves.

use concordat_node::routes;
use concordat_tests::{Person, World};
use serde_json::Value;

/// The document, as a person who is logged in gets it.
fn document(world: &World) -> Value {
    let node = world.node("cleveland");
    let token = node.session_token(Person::Administrator);
    let answer = node.http("GET", "/v1/openapi.json", Some(&token), "");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

#[test]
fn openapi_describes_every_method_of_every_route() {
    let world = World::unconnected(1);
    let document = document(&world);
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), routes().len());
    for route in routes() {
        let described = &paths[route.path];
        for method in ["get", "post"] {
            let path = route.path.replace(['{', '}'], "");
            let answer = world.node("cleveland").http(&method.to_uppercase(), &path, None, "");
            let is_served = !answer.starts_with("HTTP/1.1 405");
            assert_eq!(is_served, described.get(method).is_some(), "{method} {}", route.path);
        }
    }
}

#[test]
fn openapi_references_resolve() {
    let world = World::unconnected(1);
    let document = document(&world);
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            for field in fields.values() {
                collect_references(field, references);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_references(item, references);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
