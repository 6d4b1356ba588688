/** What the library in use can do, so that the layers above degrade in words and not in silence. */
import type { Provider } from './types.ts';

export interface Capabilities {
  /** Programs that were not started under it can be checkpointed. */
  readonly uncooperative: boolean;
  /** Memory is copied after the program runs on again. */
  readonly forkedSnapshot: boolean;
  /** Files can be captured inside the stop, consistent with memory. */
  readonly capture: boolean;
  /** A pending checkpoint can be given up. */
  readonly cancel: boolean;
  /** The context goes into any descriptor, pipes and sockets included. */
  readonly anyDescriptor: boolean;
  /** A new directory can take the place of an old path. */
  readonly binds: boolean;
  /** The restored job ends when its parent does. */
  readonly lifeline: boolean;
  /** The restored job's stdio can be chosen. */
  readonly stdio: boolean;
  /** Stop time, bytes and pages are reported. */
  readonly figures: boolean;
  /** A damaged context is recognised. */
  readonly checksums: boolean;
}

const WHAT_IS_MISSING: Readonly<Record<keyof Capabilities, string>> = {
  uncooperative: 'only programs started with cr_run (or linked with libcr) can be checkpointed',
  forkedSnapshot: 'the program stands still until its whole memory is written',
  capture: 'files are not captured together with memory: they are copied while the program runs',
  cancel: 'a checkpoint that has begun cannot be given up, only no longer waited for',
  anyDescriptor: 'contexts are streamed through a named FIFO',
  binds: 'a job can be restarted in another directory only by relocating its files one by one',
  lifeline: 'a restarted job outlives the death of the wrapper',
  stdio: "a restarted job's stdio is the wrapper's own",
  figures: 'stop time and pages are not known',
  checksums: 'contexts carry no checksums of their own',
};

/** The capabilities of the library that a provider has loaded. Source for BLCR's: docs/libcr.md. */
export function capabilitiesOf(provider: Provider): Capabilities {
  const has = provider.info.kind === 'userspace';
  return {
    uncooperative: has,
    forkedSnapshot: has,
    capture: has,
    cancel: has,
    anyDescriptor: has,
    binds: has,
    lifeline: has,
    stdio: has,
    figures: has,
    checksums: has,
  };
}

/** One sentence for each thing that the library in use cannot do; empty when it can do everything. */
export function describeLimits(provider: Provider): readonly string[] {
  const capabilities = capabilitiesOf(provider);
  return (Object.keys(WHAT_IS_MISSING) as (keyof Capabilities)[])
    .filter((name) => !capabilities[name])
    .map((name) => WHAT_IS_MISSING[name]);
}
