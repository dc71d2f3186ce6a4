//! `docs/openapi.json` as a tree.

use std::collections::BTreeMap;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// The whole document.
pub(crate) struct Description(Value);

/// One method of one path.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    /// The path, without a query.
    pub(crate) path: &'a str,
    /// The method in small letters.
    pub(crate) method: &'a str,
    /// What the document says of it.
    pub(crate) value: &'a Value,
}

impl Operation<'_> {
    pub(crate) fn id(&self) -> &str {
        self.value["operationId"].as_str().unwrap()
    }

    /// Returns the query parameters by name, each with its schema.
    pub(crate) fn query(&self) -> BTreeMap<&str, &Value> {
        let parameters = self.value["parameters"].as_array();
        let parameters = parameters.into_iter().flatten();
        parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| (parameter["name"].as_str().unwrap(), &parameter["schema"]))
            .collect()
    }
}

impl Description {
    pub(crate) fn read() -> Self {
        Self(serde_json::from_str(&Self::text()).expect("the document is JSON"))
    }

    pub(crate) fn text() -> String {
        crate::read("docs/openapi.json")
    }

    pub(crate) fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().unwrap();
        let each = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(move |(method, value)| Operation {
                path,
                method,
                value,
            })
        });
        each.collect()
    }

    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let method = method.to_lowercase();
        let mut operations = self.operations().into_iter();
        operations.find(|operation| operation.path == path && operation.method == method)
    }

    /// Follows a `$ref` if `value` is one.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else {
            return value;
        };
        let pointer = reference.strip_prefix('#').expect("it stays inside");
        self.0.pointer(pointer).expect("it points to something")
    }

    /// Returns what any request may be answered with.
    pub(crate) fn edge(&self) -> &Value {
        &self.0["components"]["responses"]["Edge"]
    }

    /// Returns what stands at a place below the schemas.
    pub(crate) fn schema(&self, place: &str) -> Option<&Value> {
        self.0.pointer(&format!("/components/schemas/{place}"))
    }

    /// Makes a schema of the document strict: what it does not name is an error. In an answer nothing may be that is for
    /// requests only.
    pub(crate) fn strict(&self, schema: &Value, is_answer: bool) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = json!({"schemas": self.0["components"]["schemas"]});
        close(&mut whole, is_answer);
        let mut options = jsonschema::options().with_draft(Draft::Draft202012);
        options = options.offline();
        options.build(&whole).expect("the schema is one")
    }
}

fn close(schema: &mut Value, is_answer: bool) {
    match schema {
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) {
                if let (true, Some(Value::Object(properties))) =
                    (is_answer, fields.get_mut("properties"))
                {
                    properties.retain(|_, property| property["writeOnly"] != true);
                }
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            for field in fields.values_mut() {
                close(field, is_answer);
            }
        }
        Value::Array(items) => {
            for item in items {
                close(item, is_answer);
            }
        }
        _ => {}
    }
}
