/** Objects whose members are absent rather than undefined. */

export type Present<T> = { [Name in keyof T]: Exclude<T[Name], undefined> };

/** An option that is not given is absent, not undefined. */
export function withoutUndefined<T extends object>(object: T): Present<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Present<T>;
}
