/** The requests that need one line and get one answer; ChirpClient adds connecting, retrying and moving files. */

import { Acl } from './acl.ts';
import * as attributes from './commands/attributes.ts';
import type { Run } from './commands/command.ts';
import * as directories from './commands/directories.ts';
import * as identity from './commands/identity.ts';
import * as names from './commands/names.ts';
import { Tickets } from './tickets.ts';
import type { ChirpEntry, ChirpPath, ChirpStat, ChirpStatfs, RequestOptions } from './types.ts';
import type { PathRules } from './wire/path.ts';
import { ExtendedAttributes } from './xattr.ts';

/**
 * All methods: rejected with `ChirpError` (`CHIRP_*`, wire number in `result`) when the server refuses, `ChirpConnectionError` (errno name) when it cannot
 * be reached or was lost, `ChirpAuthError`, `ChirpProtocolError`, `UsageError` before anything is sent for names the protocol cannot carry
 * (`ERR_CHIRP_INVALID_NAME`, `ERR_CHIRP_NAME_TOO_LONG`, `ERR_CHIRP_LINE_TOO_LONG`, `ERR_CHIRP_RESERVED_NAME`), or with the reason of an aborted signal. May be called
 * concurrently: requests are pipelined in the order of the calls. What is not idempotent (mkdir, unlink, rename, …) is repeated only when it surely has not been sent.
 */
export abstract class ChirpOperations {
  /** Access control lists of directories. */
  readonly acl: Acl;
  readonly xattr: ExtendedAttributes;
  /** Registration of public keys as logins with limited rights. */
  readonly tickets: Tickets;
  protected readonly rules: PathRules;

  protected constructor(rules: PathRules) {
    const run: Run = (command, options) => this.run(command, options);
    this.rules = rules;
    this.acl = new Acl(run, rules);
    this.xattr = new ExtendedAttributes(run, rules);
    this.tickets = new Tickets(run, rules);
  }

  protected abstract readonly run: Run;

  /** Attributes of what a name leads to. Needs right l. */
  async stat(path: ChirpPath, options?: RequestOptions): Promise<ChirpStat> {
    return this.run(attributes.stat(path, this.rules), options);
  }

  /** Attributes of the name itself, symbolic links not followed. */
  async lstat(path: ChirpPath, options?: RequestOptions): Promise<ChirpStat> {
    return this.run(attributes.lstat(path, this.rules), options);
  }

  /** stat, with undefined for a missing name. (Without rights on the directory the server says not authorized, also for missing names.) */
  async statIfExists(path: ChirpPath, options?: RequestOptions): Promise<ChirpStat | undefined> {
    return this.run(attributes.statIfExists(path, this.rules), options);
  }

  /** Throws unless all of `bits` are allowed: 0 existence, 1 execute, 2 write, 4 read, default 0. */
  async access(path: ChirpPath, bits: number = 0, options?: RequestOptions): Promise<void> {
    return this.run(attributes.access(path, bits, this.rules), options);
  }

  /** Sets permission bits, group's and others' included. */
  async chmod(path: ChirpPath, mode: number, options?: RequestOptions): Promise<void> {
    return this.run(attributes.chmod(path, mode, this.rules), options);
  }

  /** Cuts or extends with zeros to `size` bytes. */
  async truncate(path: ChirpPath, size: number, options?: RequestOptions): Promise<void> {
    return this.run(attributes.truncate(path, size, this.rules), options);
  }

  /** Sets times in seconds since 1970; fractions are cut off. */
  async utime(path: ChirpPath, atime: number, mtime: number, options?: RequestOptions): Promise<void> {
    return this.run(attributes.utime(path, atime, mtime, this.rules), options);
  }

  /** Free space below a directory. CHIRP_NOT_DIRECTORY for a file. */
  async statfs(directory: ChirpPath, options?: RequestOptions): Promise<ChirpStatfs> {
    return this.run(attributes.statfs(directory, this.rules), options);
  }

  /** MD5 of a file's content, computed by the server. */
  async md5(path: ChirpPath, options?: RequestOptions): Promise<Buffer> {
    return this.run(attributes.md5(path, this.rules), options);
  }

  /** Digest of a file's content, computed by the server; known servers offer only md5 and sha1. */
  async hash(algorithm: string, path: ChirpPath, options?: RequestOptions): Promise<Buffer> {
    return this.run(attributes.hash(algorithm, path, this.rules), options);
  }

  /** Renames; an existing file is replaced atomically. Needs rights rd on the old directory and w on the new one. Not idempotent. */
  async rename(from: ChirpPath, to: ChirpPath, options?: RequestOptions): Promise<void> {
    return this.run(names.rename(from, to, this.rules), options);
  }

  /** Removes a file or symbolic link. Not idempotent. */
  async unlink(path: ChirpPath, options?: RequestOptions): Promise<void> {
    return this.run(names.unlink(path, this.rules), options);
  }

  /** Hard link `path` to `existing`. Needs rights rw. Not idempotent. */
  async link(existing: ChirpPath, path: ChirpPath, options?: RequestOptions): Promise<void> {
    return this.run(names.link(existing, path, this.rules), options);
  }

  /** Symbolic link. The protocol carries no blanks or control characters in `target` (ERR_CHIRP_INVALID_NAME). Not idempotent. */
  async symlink(target: ChirpPath, path: ChirpPath, options?: RequestOptions): Promise<void> {
    return this.run(names.symlink(target, path, this.rules), options);
  }

  /** Target of a symbolic link; CHIRP_INVALID_REQUEST for anything else. */
  async readlink(path: ChirpPath, options?: RequestOptions): Promise<string> {
    return this.run(names.readlink(path, this.rules), options);
  }

  /** Makes one directory, which inherits its parent's ACL. A missing parent is answered CHIRP_NOT_AUTHORIZED. `mode` default 0o755. Not idempotent. */
  async mkdir(path: ChirpPath, mode: number = 0o755, options?: RequestOptions): Promise<void> {
    return this.run(directories.mkdir(path, mode, this.rules), options);
  }

  /** Removes an empty directory. Not idempotent. */
  async rmdir(path: ChirpPath, options?: RequestOptions): Promise<void> {
    return this.run(directories.rmdir(path, this.rules), options);
  }

  /** Removes a file or a directory with all it holds. Missing is success (servers differ: 0 or CHIRP_DOES_NOT_EXIST), so it is idempotent. */
  async rmall(path: ChirpPath, options?: RequestOptions): Promise<void> {
    return this.run(directories.rmall(path, this.rules), options);
  }

  /** Names in a directory, `.` and `..` left out, in the server's order. Names with line feeds fall apart: the protocol does not encode them; getlongdir finds them again. */
  async getdir(path: ChirpPath, options?: RequestOptions): Promise<string[]> {
    return this.run(directories.getdir(path, this.rules), options);
  }

  /** Names and lstat data of a directory's entries, `.` and `..` left out. */
  async getlongdir(path: ChirpPath, options?: RequestOptions): Promise<ChirpEntry[]> {
    return this.run(directories.getlongdir(path, this.rules), options);
  }

  /** The subject the server knows this client by, as `method:name` (with a ticket: its owner's). */
  async whoami(options?: RequestOptions): Promise<string> {
    return this.run(identity.whoami(), options);
  }
}
