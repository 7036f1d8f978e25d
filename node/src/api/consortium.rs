//! The consortium: founding, enrollment, admitting, removing, joining, the roster and its charter, and ledgers that contradict what
//! their nodes have signed.

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use concordat_documents::consortium::{
    Admitted, Application, ConfirmedKey, DocumentReview, FileContent, IssuedChange, KeyConfirmation, LedgerConflicts,
    LedgerGeneration, NewCharter, NewConsortium, NewMember, OwnLedgerHead, PeerLedgerConflict, PeerLedgerHead, Roster,
    SignatureRequest,
};
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;

use super::body::Body;
use super::body_budget::MAX_DOCUMENT;
use super::parameters::Path;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::iam::Action;
use crate::services::consortium;

const MANAGE: Access = Access::Needs(Action::ManageConsortium);

pub(super) fn routes() -> Vec<Route> {
    let nouns = [members(), rosters(), charters(), ledgers()];
    nouns.into_iter().flatten().collect()
}

fn members() -> Vec<Route> {
    vec![
        Route::new("/v1/consortium/found", MANAGE, post(found)).describe(|| {
            [Operation::post("Found a consortium")
                .accepts::<NewConsortium>()
                .returns::<Roster>()]
        }),
        Route::new(
            "/v1/consortium/enrollment",
            MANAGE,
            get(application).post(application_of_further_node),
        )
        .accepts_up_to(MAX_DOCUMENT)
        .describe(|| {
            [
                Operation::get("The application of this node").returns::<Application>(),
                Operation::post("The application of a further node of a member")
                    .accepts::<FileContent>()
                    .returns::<Application>(),
            ]
        }),
        Route::new("/v1/consortium/members", MANAGE, post(admit))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [
                    Operation::post("Admit a member, or propose it to the other holders of the charter")
                        .accepts::<NewMember>()
                        .returns::<Admitted>(),
                ]
            }),
        Route::new("/v1/consortium/members/{institution}/remove", MANAGE, post(remove)).describe(|| {
            [
                Operation::post("Remove a member, or propose it to the other holders of the charter")
                    .returns::<IssuedChange>(),
            ]
        }),
        Route::new(
            "/v1/consortium/members/{institution}/confirm-key",
            MANAGE,
            post(confirm_key),
        )
        .describe(|| {
            [
                Operation::post("Confirm the key of a member that the holders of the charter replaced")
                    .accepts::<KeyConfirmation>()
                    .returns::<ConfirmedKey>(),
            ]
        }),
        Route::new("/v1/consortium/join", MANAGE, post(join))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Join a consortium by its roster")
                    .accepts::<FileContent>()
                    .returns::<Roster>()]
            }),
    ]
}

fn rosters() -> Vec<Route> {
    vec![
        Route::new("/v1/consortium/roster", Access::Needs(Action::ReadRoster), get(roster))
            .cost(Cost::Short)
            .describe(|| [Operation::get("The newest roster").returns::<Roster>()]),
        Route::new("/v1/consortium/roster/import", MANAGE, post(import))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Import a newer roster")
                    .accepts::<FileContent>()
                    .returns::<Roster>()]
            }),
        Route::new("/v1/consortium/roster/review", MANAGE, post(review_roster))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("What a proposed roster changes")
                    .accepts::<FileContent>()
                    .returns::<DocumentReview>()]
            }),
        Route::new("/v1/consortium/roster/sign", MANAGE, post(sign_roster))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Sign a proposed roster")
                    .accepts::<SignatureRequest>()
                    .returns::<IssuedChange>()]
            }),
    ]
}

fn charters() -> Vec<Route> {
    vec![
        Route::new("/v1/consortium/charter", MANAGE, post(change_charter)).describe(|| {
            [
                Operation::post("Change the charter, or propose it to its other holders")
                    .accepts::<NewCharter>()
                    .returns::<IssuedChange>(),
            ]
        }),
        Route::new("/v1/consortium/charter/review", MANAGE, post(review_charter))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("What a proposed change of the charter changes")
                    .accepts::<FileContent>()
                    .returns::<DocumentReview>()]
            }),
        Route::new("/v1/consortium/charter/sign", MANAGE, post(sign_charter))
            .accepts_up_to(MAX_DOCUMENT)
            .describe(|| {
                [Operation::post("Sign a proposed change of the charter")
                    .accepts::<SignatureRequest>()
                    .returns::<IssuedChange>()]
            }),
    ]
}

fn ledgers() -> Vec<Route> {
    let acknowledge = Access::Needs(Action::AcknowledgeLedger);
    vec![
        Route::new(
            "/v1/consortium/ledgers",
            Access::Needs(Action::ReadStatus),
            get(ledger_conflicts),
        )
        .cost(Cost::Short)
        .describe(|| {
            [Operation::get("Ledgers that contradict what their nodes have signed").returns::<LedgerConflicts>()]
        }),
        Route::new(
            "/v1/consortium/ledgers/acknowledge",
            acknowledge,
            post(acknowledge_peer),
        )
        .describe(|| {
            [
                Operation::post("Acknowledge the ledger of a member that was replaced by another")
                    .accepts::<PeerLedgerHead>()
                    .returns::<PeerLedgerConflict>(),
            ]
        }),
        Route::new(
            "/v1/consortium/ledgers/acknowledge-own",
            acknowledge,
            post(acknowledge_own),
        )
        .describe(|| {
            [
                Operation::post("Acknowledge that this node continues from an older ledger")
                    .accepts::<OwnLedgerHead>()
                    .returns::<LedgerGeneration>(),
            ]
        }),
    ]
}

async fn found(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<NewConsortium>,
) -> Result<Json<Roster>, Problem> {
    consortium::found(api.node(), &caller, body).await.map(Json)
}

async fn application(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<Application>, Problem> {
    consortium::application(api.node(), &caller).map(Json)
}

async fn application_of_further_node(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<FileContent>,
) -> Result<Json<Application>, Problem> {
    consortium::application_of_further_node(api.node(), &caller, &body).map(Json)
}

async fn admit(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<NewMember>,
) -> Result<Json<Admitted>, Problem> {
    consortium::admit(api.node(), &caller, body).await.map(Json)
}

async fn remove(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(institution): Path<String>,
) -> Result<Json<IssuedChange>, Problem> {
    consortium::remove(api.node(), &caller, &institution).await.map(Json)
}

async fn confirm_key(
    State(api): State<Api>,
    Caller(caller): Caller,
    Path(institution): Path<String>,
    Body(body): Body<KeyConfirmation>,
) -> Result<Json<ConfirmedKey>, Problem> {
    consortium::confirm_key(api.node(), &caller, &institution, body)
        .await
        .map(Json)
}

async fn join(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<FileContent>,
) -> Result<Json<Roster>, Problem> {
    consortium::join(api.node(), &caller, body).await.map(Json)
}

async fn roster(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<Roster>, Problem> {
    consortium::roster(api.node(), &caller).map(Json)
}

async fn import(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<FileContent>,
) -> Result<Json<Roster>, Problem> {
    consortium::import(api.node(), &caller, body).await.map(Json)
}

async fn review_roster(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<FileContent>,
) -> Result<Json<DocumentReview>, Problem> {
    consortium::review_roster(api.node(), &caller, body).await.map(Json)
}

async fn sign_roster(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<SignatureRequest>,
) -> Result<Json<IssuedChange>, Problem> {
    consortium::sign_roster(api.node(), &caller, body).await.map(Json)
}

async fn change_charter(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<NewCharter>,
) -> Result<Json<IssuedChange>, Problem> {
    consortium::change_charter(api.node(), &caller, body).await.map(Json)
}

async fn review_charter(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<FileContent>,
) -> Result<Json<DocumentReview>, Problem> {
    consortium::review_charter(api.node(), &caller, body).await.map(Json)
}

async fn sign_charter(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<SignatureRequest>,
) -> Result<Json<IssuedChange>, Problem> {
    consortium::sign_charter(api.node(), &caller, body).await.map(Json)
}

async fn ledger_conflicts(State(api): State<Api>, Caller(caller): Caller) -> Result<Json<LedgerConflicts>, Problem> {
    consortium::ledger_conflicts(api.node(), &caller).map(Json)
}

async fn acknowledge_peer(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<PeerLedgerHead>,
) -> Result<Json<PeerLedgerConflict>, Problem> {
    consortium::acknowledge_peer(api.node(), &caller, body).await.map(Json)
}

async fn acknowledge_own(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(body): Body<OwnLedgerHead>,
) -> Result<Json<LedgerGeneration>, Problem> {
    consortium::acknowledge_own(api.node(), &caller, body).await.map(Json)
}
