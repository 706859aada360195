FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
RUN cargo build --release --locked -p daybook -p command-api -p query-api -p projector

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/daybook --create-home daybook
COPY --from=build /src/target/release/daybook /src/target/release/command-api /src/target/release/query-api \
    /src/target/release/projector /usr/local/bin/
USER daybook
ENV DAYBOOK_DATA=/var/lib/daybook
EXPOSE 8080 8081 8082 8083
ENTRYPOINT ["daybook"]
CMD ["up"]
