//! Who may use which route, and what it costs: the only checks between the socket and the handlers.
//!
//! The session token of the `Authorization: Bearer` header is resolved to an [`Actor`] once, here; the route's action is
//! checked against the actor's roles; the handler receives the actor as [`Caller`]. A request without a session ends with
//! `locked`, one without the role with `denied`, and the reason names the roles that are permitted.
//!
//! What the requests of a route cost ([`Cost`]) decides how many of an account run at the same time. A response counts until it is read ([`super::held_body`]).
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

use super::body_budget::{BodyAllowance, BodyBudget, MAX_SMALL};
use super::held_body::held;
use super::os_account::OsAccount;
pub(super) use super::request_work::Cost;
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
    /// Users with a role that permits one of the actions; which one is needed depends on what the request names.
    NeedsEither(Action, Action),
}

/// A path of the API, who may use it, what it costs, and what it does.
pub struct Route {
    /// The path, with `{name}` for variable parts.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What a request costs.
    pub cost: Cost,
    /// Most bytes of a body that it reads at once.
    pub(super) max_body: usize,
    /// Made when the API is described: the schemas of all documents would take ten megabytes.
    operations: Box<dyn Fn() -> Vec<Operation> + Send + Sync>,
    handler: MethodRouter<Api>,
}

impl Route {
    /// `handler` at `path`, for those whom `access` permits. Its requests are work that is limited, unless [`Self::cost`] states otherwise.
    pub fn new(path: &'static str, access: Access, handler: MethodRouter<Api>) -> Self {
        Self {
            path,
            access,
            cost: Cost::Work,
            max_body: MAX_SMALL,
            operations: Box::new(Vec::new),
            handler,
        }
    }

    /// The same route, for bodies of at most so many bytes instead of [`MAX_SMALL`]. Uploads are not affected: they are not read at once.
    #[must_use]
    pub(super) fn accepts_up_to(self, max_body: usize) -> Self {
        Self { max_body, ..self }
    }

    /// The same route, with what its requests cost. Every such exception is in the list that the tests of the API compare.
    #[must_use]
    pub fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
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
            cost: self.cost,
        };
        let body = BodyGuard {
            budget: api.bodies().clone(),
            max: self.max_body,
        };
        let handler = self.handler.route_layer(from_fn_with_state(body, limit_body));
        // Added last, so that it comes first: nothing of a body is read before its sender is known.
        let handler = match self.access {
            Access::Open => handler,
            Access::AnySession => handler.route_layer(from_fn_with_state(guard, check)),
            Access::LoggedIn => handler.route_layer(from_fn_with_state(guard, check)),
            Access::Needs(_) => handler.route_layer(from_fn_with_state(guard, check)),
            Access::NeedsEither(..) => handler.route_layer(from_fn_with_state(guard, check)),
        };
        router.route(self.path, handler)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, access, cost, .. } = self;
        write!(f, "{path} ({access:?}, {cost:?})")
    }
}

#[derive(Clone)]
struct RouteGuard {
    api: Api,
    access: Access,
    cost: Cost,
}

#[derive(Clone)]
struct BodyGuard {
    budget: BodyBudget,
    max: usize,
}

/// States what the body may take. What is reserved for it is kept until there is a response.
async fn limit_body(State(guard): State<BodyGuard>, mut request: Request, next: Next) -> Response {
    let person = request
        .extensions()
        .get::<Caller>()
        .map(|Caller(actor)| actor.id().clone());
    let allowance = BodyAllowance::new(&guard.budget, guard.max, person);
    request.extensions_mut().insert(allowance.clone());
    let response = next.run(request).await;
    drop(allowance);
    response
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
        Access::NeedsEither(one, other) => actor.require_either(one, other)?,
    }
    let work = match guard.api.work().of(guard.cost) {
        Some(work) => Some(work.begin(actor.id()).await?),
        None => None,
    };
    request.extensions_mut().insert(Caller(actor));
    let handling = next.run(request);
    Ok(match work {
        // The document waits in memory until its client has read it.
        Some(work) => held(work.clone().handle(handling).await, work),
        None => handling.await,
    })
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
