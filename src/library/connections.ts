/**
 * Client side: the connection that a `TrainingClient` has at the moment. It is made when it is first needed, and again when
 * it is lost: our own server ends when there is nothing to do, and is brought back by whoever needs it.
 */
import type { Client } from '@temporalio/client';
import { attachFollower } from '../temporal/background.js';
import type { Settings } from '../temporal/settings.js';
import { connect, type Connection, connectionOf, type ConnectOptions } from './connect.js';
import { isConnectionLost } from './trainings.js';

export interface ConnectionsOptions extends Pick<ConnectOptions, 'env' | 'say'> {
  settings: Settings;
  /** Used instead of a connection of our own. */
  client?: Client;
}

export class Connections {
  /** A server that this machine runs in the background. */
  readonly isOwn: boolean;
  readonly #options: ConnectionsOptions;
  #current: Promise<Connection | undefined> | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.isOwn = options.client === undefined && options.settings.temporal === undefined;
  }

  /** @returns undefined where there is no server and no state, and so nothing to look at. */
  async get(): Promise<Connection | undefined> {
    const connection = await (this.#current ??= this.#open({ purpose: 'if-state' }));
    return connection?.isCurrent() === false ? this.again(connection) : connection;
  }

  /**
   * A connection to a server that can train: our own is started where it is not there.
   *
   * @throws what `connect` throws where a training could not run.
   */
  async toTrain(wants: Pick<ConnectOptions, 'notifies'> = {}): Promise<Connection> {
    const before = await this.#held();
    if (before !== undefined && !this.isOwn) return before;
    // Asked each time: our own server may have ended since, or have come back without a worker.
    const next = await this.#open({ purpose: 'train', ...wants });
    if (next === undefined) throw new Error('A server that can train is always there.');
    if (before?.address !== undefined && before.isCurrent() && addressOf(before) === addressOf(next)) {
      // Somebody may be following through it.
      await next.close();
      return before;
    }
    this.#current = Promise.resolve(next);
    await before?.close();
    return next;
  }

  /** Asks a server, and once more on a new connection where the old one was lost. @returns undefined as `get` does. */
  async ask<T>(question: (connection: Connection) => Promise<T>): Promise<T | undefined> {
    const connection = await this.get();
    if (connection === undefined) return undefined;
    try {
      return await question(connection);
    } catch (error) {
      if (!this.isOwn || !isConnectionLost(error)) throw error;
    }
    const next = await this.again(connection);
    return next === undefined ? undefined : question(next);
  }

  /** A connection in the place of a lost one, which another caller may have replaced already. */
  async again(lost: Connection): Promise<Connection | undefined> {
    // A configured server's own channel reconnects by itself, and a caller's client is not ours to replace.
    if (!this.isOwn) return lost;
    if ((await this.#held()) === lost) {
      this.#current = this.#open({ purpose: 'if-state' });
      await lost.close();
    }
    return this.get();
  }

  /** Keeps our own server alive until what is returned is called. */
  hold(): () => void {
    return this.isOwn ? attachFollower(this.#options.settings) : (): void => undefined;
  }

  async close(): Promise<void> {
    const current = await this.#held();
    this.#current = undefined;
    await current?.close();
  }

  async #held(): Promise<Connection | undefined> {
    try {
      return await this.#current;
    } catch {
      return undefined;
    }
  }

  #open(wants: Pick<ConnectOptions, 'purpose' | 'notifies'>): Promise<Connection | undefined> {
    const { client, settings, env, say } = this.#options;
    if (client !== undefined) return Promise.resolve(connectionOf(client));
    const opened: Promise<Connection | undefined> = connect(settings, { ...wants, env, say });
    // Where it failed, or where there was nothing yet, the next call tries again.
    const forget = (connection?: unknown): void => {
      if (connection === undefined && this.#current === opened) this.#current = undefined;
    };
    opened.then(forget, () => {
      forget();
    });
    return opened;
  }
}

function addressOf({ address }: Connection): string | undefined {
  return address?.connectionOptions.address;
}
