/** In front of variables that would have changed how Node starts. Source: native/starter/environment.h. */
const HELD = 'BLCR_HELD_';

/** Set when this process was started by one of our starters. Source: native/starter/environment.cc, as are the next. */
const MARK = 'BLCR_HELD';

/** For Node's start alone. */
const FOR_NODE = ['NODE_OPTIONS', 'MALLOC_ARENA_MAX', 'LD_PRELOAD'];

/** Makes `environment` again what the user had set, once, before anything reads it or is started with it. */
export function releaseEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  if (environment[MARK] === undefined) return;
  for (const name of [MARK, ...FOR_NODE]) delete environment[name];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(HELD)) continue;
    delete environment[name];
    environment[name.slice(HELD.length)] = value;
  }
}
