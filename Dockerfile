# The worker (and the sandbox). glibc, since the Temporal SDK's native module has no musl build.
FROM node:20.20.2-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run -s build

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY deploy/worker-health.mjs ./deploy/
USER node
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 CMD ["node", "deploy/worker-health.mjs"]
CMD ["node", "dist/worker.js"]
