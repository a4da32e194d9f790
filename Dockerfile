# The database server. Backups use its programs too.
ARG POSTGRES_IMAGE=postgres:18

# One stage compiles every app. Each image then has its own program and nothing else.
# It runs on the builder's own platform, and compiles for the image's.
FROM --platform=$BUILDPLATFORM golang:1.26-trixie AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY . .
# The same sources give the same bytes: no paths, no times, no build id. Images leave out debug information.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOGC=400 go build -trimpath -buildvcs=false -gcflags=all=-dwarf=false \
    -ldflags='-s -w -buildid=' -o /out/ ./app/...

# The server with its archiver. No timestamps or caches are left that would change the image in each build.
FROM ${POSTGRES_IMAGE} AS postgres
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates pgbackrest \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=build /out/archiver /usr/local/bin/archiver

FROM postgres AS backup
COPY --from=build /out/backup /usr/local/bin/backup
USER 999:999
ENTRYPOINT ["backup"]

FROM scratch AS daily-todo
COPY --from=build /out/daily-todo /daily-todo
USER 65532:65532
ENTRYPOINT ["/daily-todo"]

FROM scratch AS pingpong
COPY --from=build /out/pingpong /pingpong
USER 65532:65532
ENTRYPOINT ["/pingpong"]

FROM scratch AS postgres-exporter
COPY --from=build /out/postgres-exporter /postgres-exporter
USER 65532:65532
ENTRYPOINT ["/postgres-exporter"]

FROM scratch AS redis-exporter
COPY --from=build /out/redis-exporter /redis-exporter
USER 65532:65532
ENTRYPOINT ["/redis-exporter"]

FROM scratch AS redisfiller
COPY --from=build /out/redisfiller /redisfiller
USER 65532:65532
ENTRYPOINT ["/redisfiller"]

FROM scratch AS storage
COPY --from=build /out/storage /storage
USER 65532:65532
ENTRYPOINT ["/storage"]

FROM scratch AS todo-backend
COPY --from=build /out/todo-backend /todo-backend
USER 65532:65532
ENTRYPOINT ["/todo-backend"]

FROM scratch AS todo-frontend
COPY --from=build /out/todo-frontend /todo-frontend
USER 65532:65532
ENTRYPOINT ["/todo-frontend"]
