/** The demo: see scripts/demo. Expects $CHIRP_HOST and $CHIRP_PORT; `--short`: a machine is lost once only. */
import { parseArgs } from 'node:util';
import { actOne } from './act-one.ts';
import { actTwo } from './act-two.ts';
import { heading, say } from './narrative.ts';
import { makeStage, SHORT, WHOLE } from './stage.ts';

async function main(): Promise<boolean> {
  const host = process.env['CHIRP_HOST'];
  const port = Number(process.env['CHIRP_PORT']);
  if (host === undefined || !(port > 0))
    throw new Error('CHIRP_HOST and CHIRP_PORT must name a Chirp server: use scripts/demo');
  const { values } = parseArgs({ options: { short: { type: 'boolean', default: false } } });
  const length = values.short ? SHORT : WHOLE;
  using stage = makeStage(host, port);
  heading(`Act one: a compression job loses its machine ${length.kills === 1 ? 'once' : `${length.kills} times`}`);
  say(`a real chirp_server listens on ${host}:${port}; everything runs as uid ${process.getuid?.()}`);
  const isFirstGood = await actOne(stage, length);
  heading('Act two: a Python program is evicted and goes on elsewhere');
  const isSecondGood = await actTwo(stage, length.shortestPythonMs);
  heading('Verdict');
  const isGood = isFirstGood && isSecondGood;
  say(isGood ? 'PASSED: both jobs came to the same result as if nothing had happened' : 'FAILED');
  return isGood;
}

process.exitCode = (await main()) ? 0 : 1;
