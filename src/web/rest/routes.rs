//! Which path and method is which handler.

use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{Resource, Route, web};
use tracing_actix_web::TracingLogger;

use super::observe::{RequestSpan, count};
use super::{Edge, messages, nodes, people, rooms, session};
use crate::web::failure::Failure;

/// Adds the API to an application, under `/api/v1`. Everything there that is no route answers in the shape
/// of errors.
pub fn configure(edge: Rc<Edge>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        // What the API says is somebody's, and nobody else's to keep.
        let headers = DefaultHeaders::new().add((CACHE_CONTROL, "no-store")).add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
        config.app_data(edge);
        config.service(resource("/.well-known/jwks.json", [(Method::GET, web::to(session::jwks))]));
        config.service(
            web::scope("/api/v1")
                .wrap(from_fn(count))
                .wrap(TracingLogger::<RequestSpan>::new())
                .wrap(headers)
                .configure(resources)
                .default_service(web::to(|| async { Err::<String, _>(Failure::no_such_path()) })),
        );
    }
}

fn resources(config: &mut web::ServiceConfig) {
    // Before {room}, which would take it for an identifier.
    config
        .service(resource("/guests", [(Method::POST, web::to(session::create_guest))]))
        .service(resource("/tokens/refresh", [(Method::POST, web::to(session::refresh))]))
        .service(resource("/session", [(Method::DELETE, web::to(session::sign_out))]))
        .service(resource("/me", [(Method::GET, web::to(session::me))]))
        .service(resource("/users", [(Method::GET, web::to(people::users))]))
        .service(resource("/rooms", [(Method::GET, web::to(rooms::list)), (Method::POST, web::to(rooms::create))]))
        .service(resource("/rooms/search", [(Method::GET, web::to(rooms::search))]))
        .service(resource(
            "/rooms/{room}",
            [(Method::GET, web::to(rooms::get)), (Method::PATCH, web::to(rooms::update))],
        ))
        .service(resource("/rooms/{room}/join", [(Method::POST, web::to(rooms::join))]))
        .service(resource("/rooms/{room}/leave", [(Method::POST, web::to(rooms::leave))]))
        .service(resource(
            "/rooms/{room}/members",
            [(Method::GET, web::to(people::members)), (Method::POST, web::to(rooms::invite))],
        ))
        .service(resource("/rooms/{room}/presence", [(Method::GET, web::to(people::presence))]))
        .service(resource("/rooms/{room}/typing", [(Method::POST, web::to(messages::typing))]))
        .service(resource(
            "/rooms/{room}/messages",
            [(Method::GET, web::to(messages::history)), (Method::POST, web::to(messages::send))],
        ))
        .service(resource("/rooms/{room}/events", [(Method::GET, web::to(messages::events))]))
        .service(resource("/admin/nodes", [(Method::GET, web::to(nodes::list))]))
        .service(resource("/openapi.json", [(Method::GET, web::to(crate::web::docs::openapi))]));
}

/// A path with a handler for each method; other methods are told which there are.
fn resource<const N: usize>(path: &str, handlers: [(Method, Route); N]) -> Resource {
    let allowed = handlers.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>().join(", ");
    let mut resource = web::resource(path);
    for (method, route) in handlers {
        resource = resource.route(route.method(method));
    }
    resource.default_service(web::to(move || {
        let failure = Failure::method_not_allowed(allowed.clone());
        async { Err::<String, _>(failure) }
    }))
}
