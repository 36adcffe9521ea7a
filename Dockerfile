# syntax=docker/dockerfile:1
# One program in an image without a shell: docs/operations.md, "The image".
#
#   docker build --tag bobchat .
#   docker run --publish 8080:8080 --volume bobchat:/data --read-only --cap-drop ALL bobchat
#
# For an image that can be built again byte for byte, name the bases by their digests:
#   docker build --build-arg RUST=docker.io/library/rust@sha256:.. ..

ARG NODE=docker.io/library/node:22-bookworm-slim
ARG RUST=docker.io/library/rust:1.95-bookworm
# glibc 2.36 as in the Rust image, libgcc, certificates of public authorities, a user without rights; no shell.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

# The browser client is the same for every machine, so it is built on the one that builds.
FROM --platform=$BUILDPLATFORM ${NODE} AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
COPY web/packages/client/package.json packages/client/
COPY web/app/package.json app/
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM ${RUST} AS server
ARG TARGETARCH
WORKDIR /build
COPY . ./
COPY --from=web /build/web/dist web/dist
# The cache belongs to the machine that builds; what is shipped is copied out of it. The folder becomes /data.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target,id=bobchat-target-$TARGETARCH \
    cargo build --profile dist --locked --package bobchat \
    && cp target/dist/bobchat /usr/local/bin/bobchat \
    && mkdir -m 0700 /data

# docker build --target canary: two people who talk without end (docs/loadtest.md). An image of its own, so that the
# server's has nothing that the server does not need; built only when it is asked for.
FROM server AS harness
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target,id=bobchat-target-$TARGETARCH \
    cargo build --profile dist --locked --package bobchat-loadtest \
    && cp target/dist/bobchat-loadtest /usr/local/bin/bobchat-loadtest

FROM ${BASE} AS canary
COPY LICENSE /usr/share/doc/bobchat/LICENSE
COPY --from=harness /usr/local/bin/bobchat-loadtest /usr/local/bin/bobchat-loadtest
EXPOSE 9464
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/bobchat-loadtest"]

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Bobchat" \
      org.opencontainers.image.description="An actor-system chat server: ordered, durable, resumable rooms over WebSocket and REST" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /usr/share/doc/bobchat/LICENSE
COPY --from=server /usr/local/bin/bobchat /usr/local/bin/bobchat
COPY --from=server --chown=65532:65532 /data /data
# Inside a container only its own network reaches these; what of them is published is for whoever runs it to say.
ENV BOBCHAT__SERVER__LISTEN=0.0.0.0:8080 \
    BOBCHAT__SERVER__ADMIN_LISTEN=0.0.0.0:8090 \
    BOBCHAT__STORE__DATA=/data
# A configuration may be mounted as /etc/bobchat/config.toml: it is read from the working directory.
WORKDIR /etc/bobchat
VOLUME /data
EXPOSE 8080 8090
# As a number, so that Kubernetes sees that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/bobchat", "ready"]
ENTRYPOINT ["/usr/local/bin/bobchat"]
