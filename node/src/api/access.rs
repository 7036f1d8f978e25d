//! Who may reach which route: the one door between the socket and the handlers.
//!
//! The session token of the `Authorization: Bearer` header becomes an [`Actor`] once, here; the route's action is held
//! against the actor's roles; the handler finds the actor as [`Caller`]. A request without a session ends with
//! `locked`, one without the role with `denied`, and the reason names the roles that may.

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::MethodRouter,
};

use super::{Api, OsAccount};
use crate::{
    fault::{Code, Problem},
    iam::{Action, Actor, IamError, SessionToken},
};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever can open the socket.
    Open,
    /// Whoever is logged in, also with a password that somebody else has set.
    AnySession,
    /// Whoever is logged in with a password of their own.
    LoggedIn,
    /// Whoever has a role that permits the action.
    Needs(Action),
}

/// A path of the API, who may use it, and what it does.
#[derive(Debug)]
pub struct Route {
    /// The path, with `{name}` for what varies.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    handler: MethodRouter<Api>,
}

impl Route {
    /// `handler` at `path`, for those whom `access` lets in.
    pub fn new(path: &'static str, access: Access, handler: MethodRouter<Api>) -> Self {
        Self { path, access, handler }
    }

    /// Adds the route to a router, behind its check.
    pub(super) fn add_to(self, router: Router<Api>, api: &Api) -> Router<Api> {
        let door = Door {
            api: api.clone(),
            access: self.access,
        };
        let handler = match self.access {
            Access::Open => self.handler,
            Access::AnySession => self.handler.route_layer(from_fn_with_state(door, check)),
            Access::LoggedIn => self.handler.route_layer(from_fn_with_state(door, check)),
            Access::Needs(_) => self.handler.route_layer(from_fn_with_state(door, check)),
        };
        router.route(self.path, handler)
    }
}

#[derive(Clone)]
struct Door {
    api: Api,
    access: Access,
}

async fn check(
    State(door): State<Door>,
    account: OsAccount,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let actor = actor(&door.api, request.headers(), account).await?;
    match door.access {
        Access::Open => {}
        Access::AnySession => {}
        Access::LoggedIn if actor.is_only_to_set_password() => return Err(IamError::PasswordNeeded.into()),
        Access::LoggedIn => {}
        Access::Needs(action) => actor.require(action)?,
    }
    request.extensions_mut().insert(Caller(actor));
    Ok(next.run(request).await)
}

/// The person behind the request.
///
/// # Errors
/// `locked` without a token, or with one whose session has ended or belongs to another account of the operating system.
pub(super) async fn actor(api: &Api, headers: &HeaderMap, account: OsAccount) -> Result<Actor, Problem> {
    let token = token(headers)?;
    api.blocking(move |node| node.sessions().lookup_at(&token, account.uid, node.clock().now()))
        .await
}

/// The session token of the request.
///
/// # Errors
/// `locked` if there is none, or none in the right form.
pub(super) fn token(headers: &HeaderMap) -> Result<SessionToken, Problem> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|text| text.parse().ok());
    token.ok_or_else(|| IamError::NotLoggedIn.into())
}

/// The person who asks, as the door let them in.
#[derive(Debug, Clone)]
pub struct Caller(pub Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Code::Fault, "an open route asked who its caller is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes;

    /// The whole list of what can be used without a session. It may only shrink.
    #[test]
    fn only_these_routes_are_open() {
        let routes = routes();
        let open: Vec<&str> = routes
            .iter()
            .filter(|r| r.access == Access::Open)
            .map(|r| r.path)
            .collect();
        assert_eq!(open, ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/login"]);
        // With a password that an administrator knows, nothing else can be done either.
        let any: Vec<&str> = routes
            .iter()
            .filter(|r| r.access == Access::AnySession)
            .map(|r| r.path)
            .collect();
        assert_eq!(any, ["/v1/logout", "/v1/whoami", "/v1/password"]);
    }
}
