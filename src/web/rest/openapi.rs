//! The OpenAPI document, generated from the handlers.

use serde_json::Value;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{bodies, bounds, messages, nodes, people, rooms, session};

/// The name of the bearer token in the document.
const BEARER: &str = "access_token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bobchat",
        description = "The REST API of a Bobchat server. Identifiers are strings, times are RFC 3339 with microseconds, \
            what is absent is unset. Errors have one shape, whose `code` is stable. \
            Live events come over the WebSocket at /api/v1/ws: see docs/protocol.md."
    ),
    paths(
        session::create_guest, session::refresh, session::sign_out, session::jwks, session::me,
        people::users, people::members, people::presence,
        rooms::list, rooms::create, rooms::search, rooms::get, rooms::update, rooms::join, rooms::leave, rooms::invite,
        messages::send, messages::history, messages::events, messages::typing,
        nodes::list,
    ),
    components(schemas(bobchat_proto::wire::Error, bodies::Kind, bodies::Visibility)),
    modifiers(&Bearer, &Errors),
    security(("access_token" = [])),
    tags(
        (name = "Signing in", description = "Guests, tokens, signing out"),
        (name = "Rooms", description = "Making, finding, joining and changing rooms"),
        (name = "Messages", description = "Sending and reading"),
        (name = "People", description = "Members, and who is here"),
        (name = "Administration", description = "For administrators"),
    )
)]
struct Document;

/// The document as it is served.
#[must_use]
pub fn document() -> Value {
    // Writing a document that was built in memory cannot fail; if it did, the test of the routes would.
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.values_mut().for_each(tidy);
    }
    bounds::add(&mut document);
    document
}

/// Makes a schema say what holds on the wire. The types read leniently, so the generated schema has a
/// default for each field, which for identifiers is not even of the right type, and calls none required;
/// but what is written always has every field that cannot be absent.
fn tidy(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    object.remove("default");
    if let Some(Value::Object(properties)) = object.get("properties") {
        let present = properties.iter().filter(|(_, property)| !may_be_absent(property));
        let required: Vec<Value> = present.map(|(name, _)| Value::from(name.as_str())).collect();
        if !required.is_empty() {
            object.insert("required".to_owned(), Value::from(required));
        }
    }
    for (key, value) in object.iter_mut() {
        match value {
            Value::Object(properties) if key == "properties" => properties.values_mut().for_each(tidy),
            Value::Array(choices) if matches!(key.as_str(), "allOf" | "oneOf" | "anyOf") => {
                choices.iter_mut().for_each(tidy);
            }
            Value::Object(_) if key == "items" => tidy(value),
            _ => {}
        }
    }
}

/// Whether a field is one that may be null, which is how an absent one is generated.
fn may_be_absent(property: &Value) -> bool {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    let types = property.get("type").and_then(Value::as_array);
    let choices = property.get("oneOf").and_then(Value::as_array);
    types.is_some_and(|types| types.iter().any(|kind| kind == "null"))
        || choices.is_some_and(|choices| choices.iter().any(is_null))
}

/// Says how one signs in.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        http.description = Some("An access token: of POST /api/v1/guests, or of your own site".to_owned());
        document.components.get_or_insert_default().add_security_scheme(BEARER, SecurityScheme::Http(http));
    }
}

/// Every operation may end with an error, and all errors have one shape.
struct Errors;

impl Modify for Errors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let schema = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Error"))));
        let error = ResponseBuilder::new()
            .description("An error: its code says what to do about it")
            .content("application/json", schema)
            .build();
        for path in document.paths.paths.values_mut() {
            let operations = [
                &mut path.get,
                &mut path.put,
                &mut path.post,
                &mut path.delete,
                &mut path.options,
                &mut path.head,
                &mut path.patch,
                &mut path.trace,
            ];
            for operation in operations.into_iter().flatten() {
                operation.responses.responses.insert("default".to_owned(), RefOr::T(error.clone()));
            }
        }
    }
}
