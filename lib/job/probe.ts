/** What this host allows, whichever libcr is in use. */
import { type Probe, probeHost } from '../checkpoint/probe.ts';
import type { Provider } from '../checkpoint/types.ts';
import { probeBlcr } from './blcr/probe.ts';

/** Really checkpoints, kills and restarts a program; at most about 60 s. Never rejects. */
export function probeProvider(provider: Provider): Promise<Probe> {
  const { kind, keeper } = provider.info;
  if (kind === 'blcr') return probeBlcr(provider);
  if (keeper !== undefined) return probeHost(keeper);
  const reason = `${provider.info.path} has no keeper beside it`;
  return Promise.resolve({ ok: false, reason, userNamespaces: false, kernel: '' });
}
