# The server needs no build step: this image is Node, the production dependencies and the sources.
FROM node:26.10.0-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional dependencies stay in: the native part of argon2 is one. The packages that carry Node itself are
# for checkouts; this image brings its own.
RUN npm ci --omit=dev \
  && rm -rf node_modules/node-linux-* node_modules/node-bin-* node_modules/node-win-* node_modules/.bin/node \
  && node -e "import('@node-rs/argon2').then(({ hash }) => hash('works'))"

FROM node:26.10.0-slim
# docker build --build-arg COMMIT="$(git rev-parse HEAD)" .
ARG COMMIT=unknown
ENV NODE_ENV=production \
  HOST=0.0.0.0 \
  DATA_DIR=/data \
  AUTHGATE_COMMIT=$COMMIT
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE* ./
COPY drizzle ./drizzle
COPY src ./src
# The only place the server writes to; everything else may be mounted read-only.
RUN install -d -o node -g node -m 0700 /data
VOLUME /data
# `node`, as a number so that an orchestrator can see that it is not root.
USER 1000:1000
EXPOSE 8080 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/main.ts"]
