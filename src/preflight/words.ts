/**
 * Preflight: files, spans and sizes in words. Pure.
 */
import { lastPartOf } from '../contract/labels.js';

/** e.g. `File 3 (song.mp3)`: the number is what `fix` takes, the name is what people know. */
export function fileWords({ number, label }: { number: number; label: string }): string {
  return `File ${number} (${lastPartOf(label)})`;
}

/** e.g. `3 min`; for what is left of a signature. */
export function spanOf(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1_000))} s`;
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

/** e.g. `5.2 MB`, in powers of ten as file managers show it. */
export function sizeWords(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1_000)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
