/**
 * The sandbox: a simulated Mountsea with money. In process for tests (`startSandbox`), as a process of its own for users
 * (`main.ts`). Knows nothing of the rest of tunesmith, so that it can be believed.
 */
import type { FaultRule, ProfileChange, SandboxOptions, SandboxReport, Shapes } from './options.js';
import { SandboxServer } from './server.js';

export type {
  BrokenRule,
  Charge,
  Fault,
  FaultRule,
  ProfileChange,
  RequestKind,
  SandboxOptions,
  SandboxReport,
  Shapes,
} from './options.js';

export interface Sandbox {
  /** Of the API host, e.g. `http://127.0.0.1:40123`. */
  url: string;
  /** Of the billing host. */
  billingUrl: string;
  /** The first of its keys. */
  apiKey: string;
  report(): SandboxReport;
  /** @returns what takes these rules, and no others, back. */
  addFaults(rules: FaultRule[]): () => void;
  /** From now on nothing goes wrong. */
  clearFaults(): void;
  setShapes(shapes: Partial<Shapes>): void;
  /**
   * From now on; what is not named stays as it is.
   *
   * @throws Error where it is no part of a profile, or changes what holds at the start only.
   */
  setProfile(change: ProfileChange): void;
  /** As it was at the start, without faults; shapes stay. */
  reset(): void;
  /** While it is down, connections are refused; it comes back on the same ports. */
  setDown(isDown: boolean): Promise<void>;
  close(): Promise<void>;
}

/** @throws Error where an option cannot be used or a port is taken. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const server = new SandboxServer(options);
  await server.listen();
  return {
    url: server.urls.api,
    billingUrl: server.urls.billing,
    apiKey: server.apiKey,
    report: () => server.report(),
    clearFaults: () => {
      server.clearFaults();
    },
    addFaults: (rules) => server.addFaults(rules),
    setShapes: (shapes) => {
      server.setShapes(shapes);
    },
    setProfile: (change) => {
      server.setProfile(change);
    },
    reset: () => {
      server.reset();
    },
    setDown: (isDown) => (isDown ? server.shut() : server.listen()),
    close: () => server.close(),
  };
}
