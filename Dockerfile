# The image of rosterd: one static binary, no shell, no root.
#
#   docker build -t rosterd .
#
# Both bases can be others: --build-arg BUILD_IMAGE=… --build-arg RUNTIME_IMAGE=…
ARG BUILD_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/static-debian12:nonroot
# The stage that the files come from, or an image that has them already.
ARG FILES=build

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
ENV CARGO_TERM_COLOR=never

# The dependencies are a layer of their own, which a change of the sources leaves alone.
COPY Cargo.toml Cargo.lock ./
COPY benches/Cargo.toml benches/
COPY tests/fuzz/Cargo.toml tests/fuzz/
RUN mkdir src && echo 'fn main() {}' >src/main.rs && touch src/lib.rs \
    && cargo build --locked --release \
    && rm -r src

COPY src src
COPY config config
COPY deploy/image-files /usr/local/bin/
RUN touch src/main.rs src/lib.rs && image-files /layout

FROM ${FILES} AS files

FROM ${RUNTIME_IMAGE}
COPY --from=files /layout/files /
COPY --from=files --chown=65532:65532 /layout/state /var/lib

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rosterd" \
      org.opencontainers.image.description="Keeps the users of a Paradime workspace equal to a file in git" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

USER 65532:65532
WORKDIR /etc/rosterd
# One heap for all threads: what one frees, the others use.
ENV MALLOC_ARENA_MAX=1
# The ledger: mount a volume, or it is lost with the container.
ENV XDG_STATE_HOME=/var/lib \
    ROSTERD_LISTEN=127.0.0.1:9464
VOLUME /var/lib/rosterd
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["/usr/bin/rosterd", "health"]
ENTRYPOINT ["/usr/bin/rosterd"]
