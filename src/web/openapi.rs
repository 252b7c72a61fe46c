//! The `OpenAPI` 3.1 document of the API, generated from the types of queries and responses.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::queries::{EventsQuery, PeopleQuery, RunsQuery};
use super::responses::{
    Accepted, Events, Overview, People, Problem, Runs, TimelineResponse, WorkspaceResponse,
};
use crate::render::json::{SavedPlans, pretty};
use crate::render::why;

pub(super) async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], document()).into_response()
}

/// The document, as `rosterd schema openapi` prints it.
pub fn document() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut writer = Writer { schemas: settings.for_serialize().into_generator() };
    let paths = json!({
        "/livez": health("Check that the daemon is alive"),
        "/readyz": health("Check that every workspace has a roster"),
        "/metrics": health("Get the metrics for Prometheus"),
        "/api/v1/openapi.json": writer.get::<Value, ()>("Get this document"),
        "/api/v1/events": writer.read(
            "Stream an event `changed` with a growing number, now and after every change",
            &json!({ "description": "The stream.", "content": { "text/event-stream": {} } }),
            &[],
        ),
        "/api/v1/workspaces": writer.get::<Overview, ()>("Get all workspaces"),
        "/api/v1/workspaces/{name}": writer.get::<WorkspaceResponse, ()>("Get one workspace"),
        "/api/v1/workspaces/{name}/plan": writer.get::<SavedPlans, ()>("Get the current plan"),
        "/api/v1/workspaces/{name}/approvals": writer.read(
            "Get the lines of `approvals:` that approve the held changes",
            &json!({
                "description": "YAML; empty if nothing can be approved.",
                "content": { "text/plain": {} },
            }),
            &[],
        ),
        "/api/v1/workspaces/{name}/people":
            writer.get::<People, PeopleQuery>("List everyone with access"),
        "/api/v1/workspaces/{name}/people/{email}":
            writer.get::<why::Person, ()>("Explain the access of one person"),
        "/api/v1/workspaces/{name}/runs":
            writer.get::<Runs, RunsQuery>("List runs and their events"),
        "/api/v1/workspaces/{name}/history":
            writer.get::<Events, EventsQuery>("List past events"),
        "/api/v1/workspaces/{name}/timeline":
            writer.get::<TimelineResponse, ()>("Get role counts and changes over time"),
        "/api/v1/workspaces/{name}/reconcile": writer.reconcile(),
    });
    pretty(&writer.finish(&with_parameters(paths)))
}

struct Writer {
    schemas: SchemaGenerator,
}

impl Writer {
    /// A JSON response with the schema of `T`.
    fn response<T: JsonSchema>(&mut self, description: &str) -> Value {
        let schema = self.schemas.subschema_for::<T>();
        let content = json!({ "application/json": { "schema": schema } });
        json!({ "description": description, "content": content })
    }

    /// A path with a GET operation that returns `T` and takes the query parameters `Q`.
    fn get<T: JsonSchema, Q: JsonSchema>(&mut self, summary: &str) -> Value {
        let ok = self.response::<T>("The result.");
        self.read(summary, &ok, &parameters::<Q>())
    }

    fn read(&mut self, summary: &str, ok: &Value, parameters: &[Value]) -> Value {
        json!({ "get": {
            "summary": summary,
            "parameters": parameters,
            "security": [{}, { "bearer": [] }, { "basic": [] }],
            "responses": {
                "200": ok,
                "400": { "description": "The request is invalid." },
                "default": self.response::<Problem>("An error."),
            },
        } })
    }

    fn reconcile(&mut self) -> Value {
        json!({ "post": {
            "summary": "Request a run",
            "security": [{ "bearer": [] }],
            "responses": {
                "202": self.response::<Accepted>("The run starts soon."),
                "default": self.response::<Problem>("An error."),
            },
        } })
    }

    fn finish(mut self, paths: &Value) -> Value {
        let schemas = self.schemas.take_definitions(true);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "rosterd",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "The state of a rosterd daemon. By default, reads from the \
                    daemon's own machine need no token, and all other requests do.",
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
                        "description": "The token as the password of any user; only for reading.",
                    },
                },
            },
        })
    }
}

fn health(summary: &str) -> Value {
    let text = |description| json!({ "description": description, "content": { "text/plain": {} } });
    json!({ "get": {
        "summary": summary,
        "tags": ["health"],
        "security": [{}],
        "responses": { "200": text("OK."), "default": text("The reason.") },
    } })
}

/// The fields of `Q` as query parameters.
fn parameters<Q: JsonSchema>() -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<Q>().to_value();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    let parameters = fields.into_iter().map(|(name, mut schema)| {
        let description = schema["description"].take();
        schema.as_object_mut().into_iter().for_each(|schema| {
            schema.remove("description");
            schema.remove("default");
        });
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    });
    parameters.collect()
}

/// Adds the path parameters of each path, and an `operationId` to each operation.
fn with_parameters(mut paths: Value) -> Value {
    let Some(all) = paths.as_object_mut() else { return paths };
    for (path, item) in all.iter_mut() {
        let names = path.split(['{', '}']).skip(1).step_by(2);
        let parameters: Vec<Value> = names.map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        }).collect();
        let Some(item) = item.as_object_mut() else { continue };
        for (method, operation) in item.iter_mut() {
            let words = path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
            let id: Vec<&str> = std::iter::once(method.as_str()).chain(words).collect();
            operation["operationId"] = Value::String(id.join("_"));
        }
        if !parameters.is_empty() {
            item.insert("parameters".into(), Value::Array(parameters));
        }
    }
    Value::Object(std::mem::take(all) as Map<String, Value>)
}
