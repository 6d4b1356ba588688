/** Method unix: the server names a file, and whoever can create it is its owner. */

import { constants, unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { errorMessage } from '../../util/error-facts.ts';
import { type Conversation, readLine } from '../wire/conversation.ts';
import type { Verdict } from './config.ts';
import { readYes, say } from './lines.ts';

const NAME = /^challenge\.\d+\.\d+$/;
const FLAGS = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY;

export function* byUnix(directories: readonly string[]): Conversation<Verdict> {
  const path = (yield* readLine(4096)).toString();
  // The server is a stranger: it may not make us create files where or as it likes.
  if (!NAME.test(basename(path)) || !directories.includes(dirname(path))) {
    yield* say('no');
    return `the server asks for the file ${JSON.stringify(path)}, which is not a challenge in ${directories.join(', ')}`;
  }
  const challenge = new Challenge(path);
  try {
    yield { kind: 'wait', promise: challenge.create() };
    if (challenge.failure !== undefined) {
      yield* say('no');
      return `the challenge file cannot be created: ${challenge.failure}`;
    }
    yield* say('yes');
    return (yield* readYes()) ? undefined : 'the server did not accept the owner of the challenge file';
  } finally {
    challenge.remove();
  }
}

class Challenge {
  failure: string | undefined;
  readonly #path: string;
  #exists = false;
  #removed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Never rejects: `failure` says what happened. */
  async create(): Promise<void> {
    try {
      await (await open(this.#path, FLAGS, 0o600)).close();
      this.#exists = true;
    } catch (error) {
      this.failure = errorMessage(error);
    }
    // The login may have been given up meanwhile.
    if (this.#removed) this.remove();
  }

  /** Removes the file if it is ours. Synchronous, so that it also runs when the conversation is cut off. */
  remove(): void {
    this.#removed = true;
    if (!this.#exists) return;
    this.#exists = false;
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody was quicker; the file has no content and no further use.
    }
  }
}
