/** Main program of scripts/with-chirp-server. */

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { ChirpServer, hasChirpServer } from './chirp-server.ts';

const USAGE = `usage: with-chirp-server [--size 8M] [--auth METHOD]… [--idle SECONDS] [--stall SECONDS] [--quota 10MB] [--user USER] -- COMMAND [ARGS…]
Runs COMMAND with a chirp_server of its own: CHIRP_HOST, CHIRP_PORT and CHIRP_ROOT (the directory behind it) are set. Exits as COMMAND does.`;

function parse(): { server: Parameters<typeof ChirpServer.start>[0]; command: string; args: string[] } {
  const cut = process.argv.indexOf('--');
  const own = cut < 0 ? process.argv.slice(2) : process.argv.slice(2, cut);
  const [command, ...args] = cut < 0 ? [] : process.argv.slice(cut + 1);
  const text = { type: 'string' } as const;
  const options = {
    size: text,
    auth: { type: 'string', multiple: true },
    idle: text,
    stall: text,
    quota: text,
    user: text,
  } as const;
  const { values } = parseArgs({ args: own, options });
  if (command === undefined) throw new Error('no command given');
  if (values.size !== undefined && process.getuid?.() !== 0) throw new Error('--size mounts a tmpfs and needs root');
  const { idle, stall, ...rest } = values;
  return {
    server: {
      ...rest,
      ...(idle === undefined ? {} : { idle: Number(idle) }),
      ...(stall === undefined ? {} : { stall: Number(stall) }),
    },
    command,
    args,
  };
}

async function run(): Promise<number> {
  let request: ReturnType<typeof parse>;
  try {
    request = parse();
  } catch (error) {
    process.stderr.write(`with-chirp-server: ${(error as Error).message}\n${USAGE}\n`);
    return 64;
  }
  if (!hasChirpServer()) {
    process.stderr.write(
      'with-chirp-server: chirp_server is not installed (Debian: apt-get install coop-computing-tools)\n',
    );
    return 69;
  }
  await using server = await ChirpServer.start(request.server);
  const env = { ...process.env, CHIRP_HOST: server.host, CHIRP_PORT: String(server.port), CHIRP_ROOT: server.root };
  const child = spawn(request.command, request.args, { env, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return await new Promise((resolve) => {
    child.once('error', (error) => {
      process.stderr.write(`with-chirp-server: ${error.message}\n`);
      resolve(127);
    });
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
  });
}

process.exitCode = await run();
