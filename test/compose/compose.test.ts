/**
 * What docker-compose.yml and the Dockerfile promise and no engine is needed to see. docs/compose.md says what else was
 * checked, and how.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

const service = z.object({
  image: z.string(),
  build: z.string().optional(),
  restart: z.string(),
  environment: z.record(z.string(), z.string()).default({}),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  entrypoint: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
});
const compose = z
  .object({
    services: z.record(z.string(), service),
    volumes: z.record(z.string(), z.unknown()),
    secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
  })
  .parse(parse(read('docker-compose.yml'), { merge: true }));
const services = Object.entries(compose.services);
const dockerfile = read('Dockerfile');
const isOneShot = (restart: string): boolean => restart.startsWith('on-failure');

/** Down to the minor version at least: `postgres:16` would change under a running state. */
const PINNED = /^[\w./-]+:\d+(\.\d+)+(-[a-z-]+)?$/;

/** What the images of others read: temporalio/server's config template, its Web UI's, postgres. */
const KNOWN_ELSEWHERE: Record<string, RegExp> = {
  postgresql: /^POSTGRES_(USER|PASSWORD)$/,
  temporal:
    /^(DB|DB_PORT|POSTGRES_(USER|PWD|SEEDS)|BIND_ON_IP|DYNAMIC_CONFIG_FILE_PATH|NUM_HISTORY_SHARDS|LOG_LEVEL)$/,
  'temporal-ui': /^TEMPORAL_ADDRESS$/,
  // temporal-sql-tool reads the password by itself, the CLI the address; the rest is our scripts'.
  'temporal-schema': /^SQL_PASSWORD$/,
  'temporal-namespace': /^TEMPORAL_ADDRESS$/,
};

describe('docker-compose.yml', () => {
  it.each(services)('pins the image of %s', (_, { image }) => {
    expect(image).toMatch(PINNED);
  });

  it.each(services.filter(([, { restart }]) => !isOneShot(restart)))(
    'checks the health of %s, by itself or by its image',
    (_, { healthcheck, build }) => {
      const isChecked = healthcheck === undefined ? build === '.' : healthcheck.test.length > 1;
      expect(isChecked).toBe(true);
      if (healthcheck === undefined) expect(dockerfile).toMatch(/^HEALTHCHECK .*CMD \[/m);
    },
  );

  it.each(services)(
    'lets %s wait only for services that exist, in a way that can come true',
    (_, { depends_on }) => {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        const other = compose.services[name];
        expect(other, name).toBeDefined();
        expect(condition).toBe(
          isOneShot(other?.restart ?? '') ? 'service_completed_successfully' : 'service_healthy',
        );
      }
    },
  );

  it.each(services)('publishes ports of %s on this machine only', (_, { ports }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it.each(services)(
    'mounts into %s only files that are there, and volumes that are declared',
    (_, { volumes, entrypoint, environment }) => {
      for (const volume of volumes) {
        const [from = ''] = volume.split(':');
        if (from.startsWith('./')) expect(existsSync(fileURLToPath(new URL(from, root))), from).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(from);
      }
      const used = [...entrypoint, ...Object.values(environment)].filter((word) =>
        word.startsWith('/deploy/'),
      );
      for (const path of used) expect(existsSync(fileURLToPath(new URL(`.${path}`, root))), path).toBe(true);
    },
  );

  it('holds no key or token but the one of the sandbox', () => {
    const held = services.flatMap(([, { environment }]) =>
      Object.entries(environment).filter(([name]) => /(KEY|TOKEN|SECRET)$/.test(name)),
    );
    expect(held).toEqual([['MOUNTSEA_API_KEY', 'sandbox-key']]);
  });

  it('takes secrets only from files that neither git nor an image may hold', () => {
    expect(read('.gitignore').split('\n')).toContain('secrets/');
    expect(read('.dockerignore').split('\n')[0]).toBe('**');
    expect(read('.dockerignore')).not.toMatch(/^!secrets/m);
    for (const { file } of Object.values(compose.secrets)) expect(file).toMatch(/^\.\/secrets\//);
  });

  it.each(services)('gives %s only variables that it reads', (name, { environment, entrypoint }) => {
    const ours = `${read('src/temporal/settings.ts')} 'TEMPORAL_ADDRESS' 'TEMPORAL_NAMESPACE'`;
    const script = entrypoint.find((word) => word.startsWith('/deploy/'));
    for (const variable of Object.keys(environment)) {
      const isRead =
        KNOWN_ELSEWHERE[name]?.test(variable) === true ||
        (script === undefined
          ? ours.includes(`'${variable}'`)
          : read(`.${script}`).includes(`$${variable}"`));
      expect(isRead, variable).toBe(true);
    }
  });
});

describe('Dockerfile', () => {
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image = '']) => image);

  it('builds and runs on one pinned image of glibc', () => {
    expect(new Set(bases).size).toBe(1);
    expect(bases[0]).toMatch(PINNED);
    expect(bases[0]).not.toContain('alpine');
  });

  it('does not run as root', () => {
    const last = dockerfile.split(/^FROM /m).at(-1);
    expect(last).toMatch(/^USER (?!root)\w+$/m);
  });

  it('copies only what the build context lets in', () => {
    const letIn = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) =>
      paths.split(' '),
    );
    expect(copied.length).toBeGreaterThan(0);
    for (const path of copied) {
      expect(letIn, path).toContain(path.split('/')[0]);
      expect(existsSync(fileURLToPath(new URL(path, root))), path).toBe(true);
    }
  });
});
