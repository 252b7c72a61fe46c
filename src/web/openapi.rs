//! The document that describes the API (`OpenAPI` 3.1), made from the types that answer.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::api::{EventsQuery, PeopleQuery, RunsQuery};
use super::problem::Problem;
use super::shapes::{
    Accepted, Events, Overview, People, PersonShape, Runs, TimelineShape, Workspace,
};
use crate::render::json::SavedPlans;

pub(super) async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], document()).into_response()
}

/// The document, as `rosterd schema openapi` prints it.
pub fn document() -> String {
    let mut writer = Writer::new();
    let ask = Writer::query::<PeopleQuery>();
    let paths = json!({
        "/livez": { "get": plain("Whether the daemon lives", "health") },
        "/readyz": { "get": plain("Whether every workspace has a roster", "health") },
        "/metrics": { "get": plain("Metrics, for Prometheus", "health") },
        "/api/v1/openapi.json": { "get": writer.get::<Value>("This document", &[]) },
        "/api/v1/events": { "get": writer.events() },
        "/api/v1/workspaces": { "get": writer.get::<Overview>("Everything at a glance", &[]) },
        "/api/v1/workspaces/{name}": { "get": writer.get::<Workspace>("One workspace", &[]) },
        "/api/v1/workspaces/{name}/plan": {
            "get": writer.get::<SavedPlans>("What the last reading still asks for", &[]),
        },
        "/api/v1/workspaces/{name}/approvals": {
            "get": writer.approvals(),
        },
        "/api/v1/workspaces/{name}/people": {
            "get": writer.get::<People>("Who has access", &ask),
        },
        "/api/v1/workspaces/{name}/people/{email}": {
            "get": writer.get::<PersonShape>("One person's story", &[]),
        },
        "/api/v1/workspaces/{name}/runs": {
            "get": writer.get::<Runs>("Runs with what they did", &Writer::query::<RunsQuery>()),
        },
        "/api/v1/workspaces/{name}/history": {
            "get": writer.get::<Events>("What happened", &Writer::query::<EventsQuery>()),
        },
        "/api/v1/workspaces/{name}/timeline": {
            "get": writer.get::<TimelineShape>("The past in numbers", &[]),
        },
        "/api/v1/workspaces/{name}/reconcile": { "post": writer.reconcile() },
    });
    let whole = writer.whole(&with_parameters(paths));
    format!("{}\n", serde_json::to_string_pretty(&whole).unwrap_or_default())
}

struct Writer {
    schemas: SchemaGenerator,
}

impl Writer {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|it| {
            it.definitions_path = "/components/schemas".into();
            it.meta_schema = None;
        });
        Self { schemas: settings.for_serialize().into_generator() }
    }

    fn answer<T: schemars::JsonSchema>(&mut self, words: &str) -> Value {
        let schema = self.schemas.subschema_for::<T>();
        json!({ "description": words, "content": { "application/json": { "schema": schema } } })
    }

    fn get<T: schemars::JsonSchema>(&mut self, summary: &str, query: &[Value]) -> Value {
        json!({
            "summary": summary,
            "parameters": query,
            "security": [{}, { "bearer": [] }, { "basic": [] }],
            "responses": {
                "200": self.answer::<T>(summary),
                "400": { "description": "The question cannot be read." },
                "default": self.answer::<Problem>("Why there is no answer."),
            },
        })
    }

    fn events(&mut self) -> Value {
        json!({
            "summary": "An event `changed` now and after every change, with a number that grows",
            "security": [{}, { "bearer": [] }, { "basic": [] }],
            "responses": {
                "200": {
                    "description": "Events, for as long as somebody listens.",
                    "content": { "text/event-stream": {} },
                },
                "default": self.answer::<Problem>("Why there is no answer."),
            },
        })
    }

    fn approvals(&mut self) -> Value {
        json!({
            "summary": "The lines of the roster that would release what is held",
            "security": [{}, { "bearer": [] }, { "basic": [] }],
            "responses": {
                "200": {
                    "description": "YAML; nothing where no line would release anything.",
                    "content": { "text/plain": {} },
                },
                "default": self.answer::<Problem>("Why there is no answer."),
            },
        })
    }

    fn reconcile(&mut self) -> Value {
        json!({
            "summary": "Ask for a run",
            "security": [{ "bearer": [] }],
            "responses": {
                "202": self.answer::<Accepted>("A run follows."),
                "default": self.answer::<Problem>("Why there is none."),
            },
        })
    }

    /// The fields of a question as parameters.
    fn query<T: schemars::JsonSchema>() -> Vec<Value> {
        let settings = SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        let fields = schema["properties"].as_object().cloned().unwrap_or_default();
        let each = fields.into_iter().map(|(name, mut schema)| {
            let words = schema["description"].take();
            schema.as_object_mut().into_iter().for_each(|it| {
                it.remove("description");
                it.remove("default");
            });
            json!({ "name": name, "in": "query", "description": words, "schema": schema })
        });
        each.collect()
    }

    fn whole(mut self, paths: &Value) -> Value {
        let schemas = self.schemas.take_definitions(true);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "rosterd",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "What a rosterd daemon knows. Reading needs no token on the \
                    daemon's own machine; whether it does elsewhere, the configuration says.",
                "license": { "name": "MIT OR Apache-2.0" },
            },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "bearer": { "type": "http", "scheme": "bearer" },
                    "basic": {
                        "type": "http",
                        "scheme": "basic",
                        "description": "The token as the password of any user; for reading.",
                    },
                },
            },
        })
    }
}

fn plain(summary: &str, tag: &str) -> Value {
    json!({
        "summary": summary,
        "tags": [tag],
        "security": [{}],
        "responses": {
            "200": { "description": "Yes.", "content": { "text/plain": {} } },
            "default": { "description": "No, and why.", "content": { "text/plain": {} } },
        },
    })
}

/// Names the parts of each path, and each operation.
fn with_parameters(mut paths: Value) -> Value {
    let Some(all) = paths.as_object_mut() else { return paths };
    for (path, item) in all.iter_mut() {
        let names = path.split(['{', '}']).skip(1).step_by(2);
        let parts: Vec<Value> = names.map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        }).collect();
        let Some(item) = item.as_object_mut() else { continue };
        for (method, operation) in item.iter_mut() {
            let words = path.split(['/', '{', '}', '.']).filter(|it| !it.is_empty());
            let id: Vec<&str> = std::iter::once(method.as_str()).chain(words).collect();
            operation["operationId"] = Value::String(id.join("_"));
        }
        if !parts.is_empty() {
            item.insert("parameters".into(), Value::Array(parts));
        }
    }
    Value::Object(std::mem::take(all) as Map<String, Value>)
}
