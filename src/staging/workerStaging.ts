/**
 * Staging, in a worker: makes a URL of a local file, wherever its bytes are. What is in the bucket any worker with
 * credentials can sign; paths are read only by the worker that shares the user's disk.
 */
import type { FilePlace, FileSource } from '../contract/training.js';
import { stagingWay } from './config.js';
import { StagingError } from './errors.js';
import { Tunnel } from './tunnel.js';

/** Of a URL that is signed just before the POST. The object is removed when its upload has ended, and the URL with it. */
const SIGNED_SECONDS = 24 * 3_600;

export interface WorkerStagingOptions {
  env: Record<string, string | undefined>;
  /** `TUNESMITH_HOME`. */
  home: string;
  /** This worker shares its disk with whoever starts trainings. */
  readsFiles: boolean;
  allowPrivateUrls: boolean;
}

export class WorkerStaging {
  readonly readsFiles: boolean;
  readonly #options: WorkerStagingOptions;
  #tunnel: Tunnel | undefined;

  constructor(options: WorkerStagingOptions) {
    this.#options = options;
    this.readsFiles = options.readsFiles;
  }

  get hasTunnel(): boolean {
    const { env, home } = this.#options;
    return this.readsFiles && stagingWay(env, home)?.kind === 'tunnel';
  }

  /**
   * Brings a file that this worker reads to where it can have a URL.
   *
   * @param workflowId of the training.
   * @param onSent gets how many bytes have arrived so far.
   * @returns where it is now.
   * @throws StagingError.
   */
  async stage(
    { sha256, bytes, at }: FileSource,
    workflowId: string,
    options: { signal?: AbortSignal; onSent?: (bytes: number) => void },
  ): Promise<FilePlace> {
    if (at.kind !== 'path') return at;
    if (at.via?.kind !== 's3') return at;
    const { objectFor, putFile, removeObject } = await import('./s3.js');
    const file = { path: at.path, sha256, bytes };
    const object = objectFor(at.via.bucket, workflowId, file);
    try {
      await putFile(object, file, options);
    } catch (error) {
      // Nobody will be told of it, so nobody else would remove it. It may have arrived all the same.
      if (options.signal?.aborted === true) await removeObject(object);
      throw error;
    }
    return { kind: 'object', object };
  }

  /**
   * A URL that Mountsea can fetch now, until the file is removed. It is a secret.
   *
   * @throws StagingError where there can be none.
   */
  async urlOf({ sha256, bytes, at }: FileSource): Promise<string> {
    if (at.kind === 'path') return this.#tunnelled().urlOf({ path: at.path, sha256, bytes });
    const { object, signed } = at;
    if (signed !== undefined) {
      if (Date.parse(signed.expiresAt) > Date.now()) return signed.url;
      throw new StagingError(`its signed URL ended at ${signed.expiresAt}, and this worker cannot sign`);
    }
    const { hasObject, signUrl } = await import('./s3.js');
    if (!(await hasObject(object, { sha256, bytes }))) {
      throw new StagingError(`it is not in the bucket ${object.bucket} any more, or cannot be read there`);
    }
    return (await signUrl(object, SIGNED_SECONDS)).url;
  }

  /** The file is needed no more. */
  async remove({ sha256, at }: Pick<FileSource, 'sha256' | 'at'>): Promise<void> {
    if (at.kind === 'path') {
      this.#tunnel?.takeBack({ path: at.path, sha256 });
      return;
    }
    const { removeObject } = await import('./s3.js');
    await removeObject(at.object);
  }

  async close(): Promise<void> {
    await this.#tunnel?.close();
  }

  #tunnelled(): Tunnel {
    const { env, home, allowPrivateUrls } = this.#options;
    const way = stagingWay(env, home);
    if (way?.kind !== 'tunnel') throw new StagingError('this worker has no TUNESMITH_TUNNEL');
    this.#tunnel ??= new Tunnel({ command: way.command, allowPrivateUrls });
    return this.#tunnel;
  }
}
