FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
RUN cargo build --release --locked -p daybook

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/daybook --create-home daybook
COPY --from=build /src/target/release/daybook /usr/local/bin/
USER daybook
ENV DAYBOOK_DATA=/var/lib/daybook
EXPOSE 8080
ENTRYPOINT ["daybook"]
CMD ["up"]
