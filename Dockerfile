# A small image that runs as an unprivileged user. The store is in /data.
#
#   docker build -t healthimaging-mcp-server .
#   docker run -i --rm -v healthimaging:/data healthimaging-mcp-server

FROM rust:1.95-trixie AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ nasm python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN scripts/setup
RUN cargo build --release --locked --bin healthimaging-mcp-server

FROM debian:trixie-slim
LABEL io.modelcontextprotocol.server.name="io.github.healthimaging-mcp-server/healthimaging-mcp-server"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home healthimaging \
 && install -d -o healthimaging -g healthimaging -m 0700 /data
COPY --from=build /source/target/release/healthimaging-mcp-server /usr/local/bin/
USER 10001:10001
ENV HEALTHIMAGING_DATA_DIR=/data
VOLUME /data
EXPOSE 8730
# Of a server on stdin and stdout there is nothing to ask.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["bash", "-c", \
  "grep -qz '^serve$' /proc/1/cmdline || exit 0; exec 3<>/dev/tcp/127.0.0.1/8730 && printf 'GET /healthz HTTP/1.0\\r\\nHost: 127.0.0.1:8730\\r\\n\\r\\n' >&3 && read -r -t 4 _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["healthimaging-mcp-server"]
