# The base is pinned by its exact version. To pin it by content as well, append @sha256:<digest> of the tag that you
# have checked; this file names none, so that the same file builds on every platform of the official image.
ARG NODE_IMAGE=node:26.10.0-slim

# 1. Compile with the development tools.
FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json

# 2. What runs: production dependencies and the compiled gateway.
FROM ${NODE_IMAGE} AS app
WORKDIR /opt/sluice
COPY package.json package-lock.json .npmrc LICENSE ./
RUN npm ci --omit=dev --ignore-scripts && rm package-lock.json .npmrc
COPY --from=build /build/dist dist
RUN ln -s /opt/sluice/dist/main.js /usr/local/bin/sluice && chmod 0555 dist/main.js && mkdir /var/lib/sluice

# 3. The official image without its package managers and headers: the gateway needs neither.
FROM ${NODE_IMAGE} AS base
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /usr/local/share/doc /usr/local/share/man /opt/yarn* \
           /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg

# 4. Flattened, so that what was removed is not in a lower layer either.
FROM scratch
COPY --from=base / /
COPY --from=app /opt/sluice /opt/sluice
COPY --from=app /usr/local/bin/sluice /usr/local/bin/sluice
# For gateway.data_dir: a volume that is mounted here belongs to the user below.
COPY --from=app --chown=10001:10001 /var/lib/sluice /var/lib/sluice

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="API gateway data plane in TypeScript" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

# NODE_DISABLE_COMPILE_CACHE: nothing is written, so the root file system can be mounted read-only.
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_ENV=production \
    NODE_DISABLE_COMPILE_CACHE=1

WORKDIR /etc/sluice
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 9080

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["sluice", "healthcheck"]

# Exec form: node is process 1 and gets SIGTERM itself, which starts the drain.
ENTRYPOINT ["node", "/opt/sluice/dist/main.js"]
CMD ["start", "-c", "/etc/sluice"]
