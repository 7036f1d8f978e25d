//! Who may use which route: the only access check between the socket and the handlers.
//!
//! The session token of the `Authorization: Bearer` header is resolved to an [`Actor`] once, here; the route's action is
//! checked against the actor's roles; the handler receives the actor as [`Caller`]. A request without a session ends with
//! `locked`, one without the role with `denied`, and the reason names the roles that are permitted.
//!
//! The body follows later, in the time of [`super::body`] and of uploads. What is done with it needs [`Actor::authorize`] or
//! [`Actor::require`], which check session and account again.

use std::fmt;

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::MethodRouter,
};

use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

use super::os_account::OsAccount;
use super::state::Api;
use crate::iam::{Action, Actor, IamError, SessionToken};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Any process that can open the socket.
    Open,
    /// Any logged-in user, even with a password that someone else has set.
    AnySession,
    /// Any user logged in with a password of their own.
    LoggedIn,
    /// Users with a role that permits the action.
    Needs(Action),
}

/// A path of the API, who may use it, and what it does.
pub struct Route {
    /// The path, with `{name}` for variable parts.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Made when the API is described: the schemas of all documents would take ten megabytes.
    operations: Box<dyn Fn() -> Vec<Operation> + Send + Sync>,
    handler: MethodRouter<Api>,
}

impl Route {
    /// `handler` at `path`, for those whom `access` permits.
    pub fn new(path: &'static str, access: Access, handler: MethodRouter<Api>) -> Self {
        Self {
            path,
            access,
            operations: Box::new(Vec::new),
            handler,
        }
    }

    /// The same route, with what its methods accept and return.
    #[must_use]
    pub fn describe<I: IntoIterator<Item = Operation>>(
        mut self,
        operations: impl Fn() -> I + Send + Sync + 'static,
    ) -> Self {
        self.operations = Box::new(move || operations().into_iter().collect());
        self
    }

    /// Its methods, with what they accept and return.
    pub fn operations(&self) -> Vec<Operation> {
        (self.operations)()
    }

    /// Adds the route to a router, behind its check.
    pub(super) fn add_to(self, router: Router<Api>, api: &Api) -> Router<Api> {
        let guard = RouteGuard {
            api: api.clone(),
            access: self.access,
        };
        let handler = match self.access {
            Access::Open => self.handler,
            Access::AnySession => self.handler.route_layer(from_fn_with_state(guard, check)),
            Access::LoggedIn => self.handler.route_layer(from_fn_with_state(guard, check)),
            Access::Needs(_) => self.handler.route_layer(from_fn_with_state(guard, check)),
        };
        router.route(self.path, handler)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, access, .. } = self;
        write!(f, "{path} ({access:?})")
    }
}

#[derive(Clone)]
struct RouteGuard {
    api: Api,
    access: Access,
}

async fn check(
    State(guard): State<RouteGuard>,
    account: OsAccount,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let actor = actor(&guard.api, request.headers(), account).await?;
    match guard.access {
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
/// `locked` if the token is missing or malformed.
pub(super) fn token(headers: &HeaderMap) -> Result<SessionToken, Problem> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|text| text.parse().ok());
    token.ok_or_else(|| IamError::NotLoggedIn.into())
}

/// The person who sent the request, as the access check authenticated them.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(ErrorKind::Internal, "an open route requested its caller"))
    }
}
