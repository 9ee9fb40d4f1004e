# A small image that runs as an unprivileged user. The store is in /data.
#
#   docker build -t healthimaging-mcp-server .
#   docker run -i --rm -v healthimaging:/data healthimaging-mcp-server

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ nasm python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN scripts/setup
RUN cargo build --release --locked --bin healthimaging-mcp-server

FROM debian:bookworm-slim
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
ENTRYPOINT ["healthimaging-mcp-server"]
