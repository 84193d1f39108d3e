/**
 * Contract: which API and which key a training belongs to. Holds no secret.
 */
export interface Affinity {
  /** API origin, e.g. `https://api.mountsea.ai`. */
  origin: string;
  /** HMAC-SHA-256 of the origin under the API key, first 8 hex digits: the same on every machine. */
  keyFingerprint: string;
}
