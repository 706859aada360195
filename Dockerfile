FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
# The caches make a second build short; they need BuildKit, which docker uses by itself since version 23. Our own crates are
# built each time, since Cargo goes by the time of a file, and that of an older release is older than the cache. The names
# of lines for backtraces are most of a program, and compress well.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=daybook-target,target=/src/target \
    cargo clean --release --workspace && \
    cargo build --release --locked -p daybook -p command-api -p query-api -p projector && mkdir /programs && \
    for program in daybook command-api query-api projector; do \
        objcopy --compress-debug-sections=zlib target/release/$program /programs/$program || exit; \
    done

FROM debian:bookworm-slim
RUN useradd --system --uid 999 --no-create-home --home-dir /var/lib/daybook daybook && \
    install --directory --owner=daybook --group=daybook --mode=0700 /var/lib/daybook
COPY --from=build /programs/ /usr/local/bin/
USER daybook
ENV DAYBOOK_DATA=/var/lib/daybook
EXPOSE 8080 8081 8082 8083
ENTRYPOINT ["daybook"]
CMD ["up"]
