/**
 * Worker side: bridges zod, which gives `undefined` for what is absent, and `exactOptionalPropertyTypes`, which wants it
 * left out.
 */

type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** @returns a copy without the properties that are undefined. */
export function compact<T extends object>(value: T): Compact<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined),
  ) as unknown as Compact<T>;
}
