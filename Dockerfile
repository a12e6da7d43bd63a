# A server in a container: `docker build -t dermai . && docker run --rm -p 10000:10000 --memory 256m --read-only dermai`.
FROM rust:1.95-slim-bookworm AS build
# `cargo xtask setup` brings ONNX Runtime through pip; mozjpeg is C.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends gcc libc6-dev make nasm python3 python3-pip \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo xtask setup && cargo build --release --locked --package dermai
# What the program looks for beside itself.
RUN mkdir -p /dermai/models \
  && cp target/release/dermai .onnxruntime/*/*/libonnxruntime* /dermai/ \
  && cp -r models/default /dermai/models/

FROM debian:bookworm-slim
COPY --from=build /dermai /opt/dermai
# Any user will do, and nothing is written.
USER 65534:65534
EXPOSE 10000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/dermai/dermai"]
CMD ["serve"]
