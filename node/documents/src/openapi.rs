//! The OpenAPI document of the API (version 3.1.0), made of what its routes say about themselves.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApiBuilder, OpenApiVersion, PathsBuilder, Ref, RefOr, Required,
    ResponseBuilder,
};
use utoipa::{IntoParams, ToSchema};

pub use utoipa::openapi::OpenApi;

/// The name of the scheme of authentication.
const SESSION: &str = "session";
/// Media type of JSON documents.
const JSON: &str = "application/json";
/// Media type of problem documents (RFC 9457).
const PROBLEM: &str = "application/problem+json";

type Schemas = Vec<(String, RefOr<Schema>)>;

/// One method of a route: what it does, what it accepts and what it returns.
#[derive(Clone, Debug)]
pub struct Operation {
    method: HttpMethod,
    summary: &'static str,
    query: Vec<Parameter>,
    request: Option<(&'static str, RefOr<Schema>)>,
    response: (&'static str, RefOr<Schema>),
    schemas: Schemas,
}

impl Operation {
    /// A `GET`.
    pub fn get(summary: &'static str) -> Self {
        Self::new(HttpMethod::Get, summary)
    }

    /// A `POST`.
    pub fn post(summary: &'static str) -> Self {
        Self::new(HttpMethod::Post, summary)
    }

    fn new(method: HttpMethod, summary: &'static str) -> Self {
        Self {
            method,
            summary,
            query: Vec::new(),
            request: None,
            response: ("text/plain", string(None)),
            schemas: Vec::new(),
        }
    }

    /// The parameters of the query string.
    #[must_use]
    pub fn query<T: IntoParams>(mut self) -> Self {
        self.query = T::into_params(|| Some(ParameterIn::Query));
        self
    }

    /// The JSON document that it accepts.
    #[must_use]
    pub fn accepts<T: ToSchema>(mut self) -> Self {
        self.request = Some((JSON, self.reference::<T>()));
        self
    }

    /// A line of JSON and then the bytes of a file, with a media type of their own.
    #[must_use]
    pub fn accepts_line_and_bytes<T: ToSchema>(mut self, media: &'static str) -> Self {
        drop(self.reference::<T>());
        let bytes = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .description(Some(format!("a line of JSON, `{}`, and then the bytes", T::name())));
        self.request = Some((media, RefOr::T(Schema::Object(bytes.build()))));
        self
    }

    /// The JSON document that it returns.
    #[must_use]
    pub fn returns<T: ToSchema>(mut self) -> Self {
        self.response = (JSON, self.reference::<T>());
        self
    }

    /// A list of JSON documents, as [`Items`](crate::Items) writes it.
    #[must_use]
    pub fn returns_items<T: ToSchema>(mut self) -> Self {
        let element = self.reference::<T>();
        let items = ArrayBuilder::new().items(element);
        let list = ObjectBuilder::new().property("items", items).required("items");
        self.response = (JSON, RefOr::T(Schema::Object(list.build())));
        self
    }

    /// A JSON object that another document of the project describes, such as a proof or a file for `concordat-verify`.
    #[must_use]
    pub fn returns_object(mut self) -> Self {
        self.response = (JSON, object());
        self
    }

    /// Lines of JSON; each is described by the schema of `T`.
    #[must_use]
    pub fn returns_lines<T: ToSchema>(mut self, media: &'static str) -> Self {
        self.response = (media, self.reference::<T>());
        self
    }

    /// A response that is not one JSON document.
    #[must_use]
    pub fn returns_bytes(mut self, media: &'static str) -> Self {
        self.response = (media, string(Some(KnownFormat::Binary)));
        self
    }

    /// The method.
    pub fn method(&self) -> &HttpMethod {
        &self.method
    }

    /// The schemas of its documents, by name.
    pub fn schemas(&self) -> &[(String, RefOr<Schema>)] {
        &self.schemas
    }

    fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }
}

/// A route of the API.
#[derive(Clone, Debug)]
pub struct Path {
    /// The path, with `{name}` for what varies.
    pub path: &'static str,
    /// Whether a session is needed.
    pub needs_session: bool,
    /// Who may use it, in one sentence.
    pub access: String,
    /// Its methods.
    pub operations: Vec<Operation>,
}

/// The document for `paths`. `problem` names the schema of every error.
pub fn document<P: ToSchema>(version: &str, paths: impl IntoIterator<Item = Path>) -> OpenApi {
    let mut schemas = Schemas::new();
    P::schemas(&mut schemas);
    schemas.push((P::name().into_owned(), P::schema()));
    let problem = RefOr::Ref(Ref::from_schema_name(P::name()));
    let mut items = PathsBuilder::new();
    for path in paths {
        for operation in &path.operations {
            schemas.extend(operation.schemas.clone());
            let item = PathItem::new(operation.method.clone(), described(&path, operation, &problem));
            items = items.path(path.path, item);
        }
    }
    let components = schemas
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| {
            components.schema(name, schema)
        })
        .security_scheme(SESSION, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    OpenApiBuilder::new()
        .openapi(OpenApiVersion::Version31)
        .info(
            InfoBuilder::new()
                .title("Concordat")
                .version(version)
                .description(Some("The API of a node, on its local socket."))
                .build(),
        )
        .paths(items.build())
        .components(Some(components.build()))
        .build()
}

fn described(path: &Path, operation: &Operation, problem: &RefOr<Schema>) -> OperationBuilder {
    let (media, schema) = operation.response.clone();
    let success = ResponseBuilder::new()
        .description("success")
        .content(media, ContentBuilder::new().schema(Some(schema)).build());
    let failure = ResponseBuilder::new()
        .description("a problem document (RFC 9457)")
        .content(PROBLEM, ContentBuilder::new().schema(Some(problem.clone())).build());
    let mut described = OperationBuilder::new()
        .summary(Some(operation.summary))
        .description(Some(path.access.as_str()))
        .response("200", success.build())
        .response("default", failure.build());
    for name in variables(path.path) {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(string(None)));
        described = described.parameter(parameter.build());
    }
    for parameter in operation.query.clone() {
        described = described.parameter(parameter);
    }
    if let Some((media, schema)) = operation.request.clone() {
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content(media, ContentBuilder::new().schema(Some(schema)).build());
        described = described.request_body(Some(body.build()));
    }
    if path.needs_session {
        described = described.security(SecurityRequirement::new(SESSION, Vec::<String>::new()));
    }
    described
}

/// The names in braces of a path.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

fn object() -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
    RefOr::T(Schema::Object(object.build()))
}

fn string(format: Option<KnownFormat>) -> RefOr<Schema> {
    let object = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .format(format.map(SchemaFormat::KnownFormat));
    RefOr::T(Schema::Object(object.build()))
}
