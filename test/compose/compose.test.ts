import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const root = new URL('../../', import.meta.url);
const text = readFileSync(new URL('docker-compose.yml', root), 'utf8');

const service = z.object({
  image: z.string(),
  build: z.string().optional(),
  restart: z.string(),
  environment: z.record(z.string(), z.string()).default({}),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
});
const compose = z
  .object({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.unknown()) })
  .parse(parse(text, { merge: true }));
const services = Object.entries(compose.services);
const isOneShot = (restart: string): boolean => restart.startsWith('on-failure');

describe('docker-compose.yml', () => {
  it.each(services)('pins the image of %s', (_, { image }) => {
    expect(image).toMatch(/:\d+(\.\d+)*$/);
  });

  it.each(services.filter(([, { restart }]) => !isOneShot(restart)))(
    'checks the health of %s',
    (_, { healthcheck }) => {
      expect(healthcheck?.test.length).toBeGreaterThan(1);
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
    (_, { volumes }) => {
      for (const volume of volumes) {
        const [from = ''] = volume.split(':');
        if (from.startsWith('./')) expect(existsSync(fileURLToPath(new URL(from, root))), from).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(from);
      }
    },
  );

  it('holds no API key but the one of the sandbox', () => {
    const keys = services.flatMap(([, { environment }]) =>
      environment['MOUNTSEA_API_KEY'] === undefined ? [] : [environment['MOUNTSEA_API_KEY']],
    );
    expect(keys).toEqual(['sandbox-key']);
  });

  it('gives the workers only variables that they read', () => {
    const settings = readFileSync(new URL('src/temporal/settings.ts', root), 'utf8');
    for (const name of ['worker', 'sandbox-worker']) {
      for (const variable of Object.keys(compose.services[name]?.environment ?? {})) {
        if (!variable.startsWith('TEMPORAL_')) expect(settings).toContain(`'${variable}'`);
      }
    }
  });
});
