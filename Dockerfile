# syntax=docker/dockerfile:1
# One binary on a small Debian. BuildKit sends only the folders named here, so no ignore file is needed.

# A tag may name another image tomorrow. A release is built from images that are named by their digests, which a machine with access
# to the registry prints:
#
#   digest() { docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'; }
#   export RUST_IMAGE=rust@$(digest rust:1.95-bookworm) DEBIAN_IMAGE=debian@$(digest debian:bookworm-slim)
#   docker compose build
ARG RUST_IMAGE=rust:1.95-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS builder
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY protocol protocol
COPY storage storage
COPY node node
COPY tests tests
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --release --package concordat-node --bin concordat \
    && install -D --strip target/release/concordat /out/concordat

FROM ${DEBIAN_IMAGE}
# The number is written out so that a host can name the owner of a volume without an account of that name.
RUN groupadd --gid 10001 concordat \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/concordat --shell /usr/sbin/nologin concordat \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/concordat /run/concordat-keys /institutions /exchange
COPY --from=builder /out/concordat /usr/local/bin/concordat
COPY --chmod=0755 node/docker/ /usr/local/lib/concordat/

# Named volumes inherit owner and mode from these folders. Nothing else is written: the root file system may be read-only.
VOLUME ["/var/lib/concordat", "/run/concordat-keys"]
ENV CONCORDAT_DIR=/var/lib/concordat \
    CONCORDAT_KEY_FILE=/run/concordat-keys/unlock.key
USER 10001:10001
WORKDIR /var/lib/concordat
EXPOSE 7400/tcp 7400/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["concordat", "status", "--ready"]
ENTRYPOINT ["concordat"]
CMD ["serve"]
