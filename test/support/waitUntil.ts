/**
 * Waits for a condition instead of for time. The label says in a failure what never came true.
 */
export async function waitUntil<T>(
  label: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 150_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${label}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
