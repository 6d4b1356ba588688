/** Worker thread of a write: context and files in; packs, unit table and recipes out. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { StoreError } from '../errors.ts';
import { openDigest } from '../native/digest.ts';
import { FrameSplitter, INLINE_BELOW, MAX_PIECE, type Piece, UNIT_BYTES } from './frames.ts';
import { BufferWindow, type InputWindow, PackWindow, READ_BYTES } from './input-window.ts';
import { RecipeWriter, readRecipe } from './recipe.ts';
import { badContext, badFile } from './store-error.ts';
import { StreamInput } from './stream-input.ts';
import { hashAt, type UnitHasher, unitHash, unitHasher } from './unit-hash.ts';
import { UnitStore } from './unit-store.ts';
import { ROW_BYTES } from './unit-table.ts';
import type {
  ContextInput,
  FileJob,
  FromWriteWorker,
  PreviousUnits,
  ToWriteWorker,
  WriteInit,
} from './write-protocol.ts';
import { toPlainError } from './write-protocol.ts';

const PROGRESS_BYTES = 16 * 1024 * 1024;
/** Hashed at once: small enough for the cache of a processor. */
const BATCH_BYTES = 512 * 1024;
const ZEROS = Buffer.alloc(UNIT_BYTES);

class WriteJob {
  readonly #units: UnitStore;
  readonly #hash: UnitHasher;
  readonly #context = new RecipeWriter();
  #contextBytes = 0;
  #fileBytes = 0;
  #reported = 0;
  #input: StreamInput | undefined;
  #pump: () => boolean = () => true;
  #isPaused = false;

  constructor(init: WriteInit) {
    this.#units = new UnitStore(init, (name, memory, length) => send({ type: 'pack', name, memory, length }));
    this.#hash = unitHasher(openDigest(init.addon));
    if (init.input === undefined) send({ type: 'context', bytes: 0 });
    else this.#readContext(init.input, windowFor(init, this.#units));
  }

  /** A pack has been shipped. */
  takeBack(memory: SharedArrayBuffer): void {
    this.#units.takeBack(memory);
    if (!this.#isPaused || !this.#pump()) return;
    this.#isPaused = false;
    this.#input?.resume();
  }

  async storeFiles(files: readonly FileJob[], previous: PreviousUnits | undefined): Promise<void> {
    // Packs of files are kept apart from memory: both age at their own pace.
    this.#units.flush();
    const recipes: Uint8Array[] = [];
    for (const file of files) recipes.push(await this.#storeFile(file, previous));
    this.#units.flush();
    const result = {
      rows: this.#units.rows,
      packs: this.#units.packs,
      context: this.#context.finish(),
      contextBytes: this.#contextBytes,
      files: recipes,
      fileBytes: this.#fileBytes,
    };
    send({ type: 'done', result }, [result.rows.buffer]);
  }

  #readContext({ fd, isStream, taken }: ContextInput, window: InputWindow): void {
    const splitter = new FrameSplitter();
    let isEnd = false;
    const onError = (error: unknown): void => {
      fail(error instanceof StoreError ? error : badContext('it cannot be read', error));
    };
    this.#pump = () => {
      try {
        const isDrained = this.#takePieces(splitter, window, isEnd) && (isEnd || window.space() !== undefined);
        this.#isPaused = !isDrained;
        if (isDrained && isEnd) send({ type: 'context', bytes: this.#contextBytes });
        return isDrained && !isEnd;
      } catch (error) {
        onError(error);
        return false;
      }
    };
    const onBytes = (count: number): boolean => {
      window.filled(count);
      return this.#pump();
    };
    const onEnd = (): void => {
      isEnd = true;
      this.#pump();
    };
    this.#input = new StreamInput(fd, isStream, { space: () => window.space(), onBytes, onEnd, onError });
    Atomics.store(taken, 0, 1);
  }

  /** False when it had to stop because all packs are under way. */
  #takePieces(splitter: FrameSplitter, window: InputWindow, isEnd: boolean): boolean {
    for (;;) {
      // Asked before the splitter moves on.
      if (!window.canStore(2 * MAX_PIECE)) return false;
      const pieces = nextPieces(splitter, window, isEnd);
      if (pieces.length === 0) return true;
      const units = pieces.filter(({ isInline }) => !isInline);
      const hashes = this.#hash(window.bytes, new Uint32Array(units.flatMap(({ start, length }) => [start, length])));
      let hashed = 0;
      for (const { start, length, isInline } of pieces) {
        const content = window.bytes.subarray(start, start + length);
        if (isInline) this.#context.inline(content);
        else this.#context.unit(this.#units.take(hashAt(hashes, hashed++), content));
        window.consume(length);
        this.#contextBytes += length;
      }
      this.#report();
    }
  }

  async #storeFile(file: FileJob, previous: PreviousUnits | undefined): Promise<Uint8Array> {
    const { path, size, source, carried } = file;
    const recipe = new RecipeWriter();
    if (carried !== undefined && previous !== undefined) await this.#carryFile(carried, previous, recipe);
    else if (source !== undefined) await this.#readFile(path, source, size, recipe);
    this.#fileBytes += size;
    this.#report();
    return recipe.finish();
  }

  async #carryFile(carried: Uint8Array, { rows, packs, revived }: PreviousUnits, recipe: RecipeWriter): Promise<void> {
    for (const step of readRecipe(carried, rows.length / ROW_BYTES)) {
      if (step.kind === 'inline') recipe.inline(step.bytes);
      else if (step.kind === 'zeros') recipe.zeros(step.length);
      else {
        const content = revived.get(step.row);
        if (content !== undefined) await this.#units.waitFor(content.length);
        recipe.unit(
          content === undefined
            ? this.#units.carry(rows, step.row, packs)
            : this.#units.take(unitHash(content), content),
        );
      }
    }
  }

  async #readFile(path: string, source: string, size: number, recipe: RecipeWriter): Promise<void> {
    let fd: number;
    try {
      // Non-blocking: a FIFO that took the file's place must not stop the checkpoint.
      fd = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      throw badFile(path, `its content at ${source} cannot be opened`, error);
    }
    try {
      if (!fstatSync(fd).isFile()) throw badFile(path, `${source} is not a regular file`);
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size));
      for (let done = 0; done < size; ) {
        const wanted = Math.min(buffer.length, size - done);
        readExactly(fd, buffer.subarray(0, wanted), done, path);
        for (let at = 0; at < wanted; at += UNIT_BYTES) {
          await this.#takeFilePiece(buffer.subarray(at, Math.min(at + UNIT_BYTES, wanted)), recipe);
        }
        done += wanted;
      }
    } finally {
      closeSync(fd);
    }
  }

  async #takeFilePiece(content: Uint8Array, recipe: RecipeWriter): Promise<void> {
    if (Buffer.compare(content, ZEROS.subarray(0, content.length)) === 0) recipe.zeros(content.length);
    else if (content.length < INLINE_BELOW) recipe.inline(content);
    else {
      await this.#units.waitFor(content.length);
      recipe.unit(this.#units.take(unitHash(content), content));
    }
  }

  #report(): void {
    const bytes = this.#contextBytes + this.#fileBytes;
    if (bytes - this.#reported < PROGRESS_BYTES) return;
    this.#reported = bytes;
    send({ type: 'progress', bytes });
  }
}

/** What is sealed or compressed goes into the packs in another form. */
function windowFor({ codec, key }: WriteInit, units: UnitStore): InputWindow {
  return codec === 'none' && key === undefined ? new PackWindow(units) : new BufferWindow(units);
}

interface PlacedPiece extends Piece {
  readonly start: number;
}

/** Complete pieces at the head of the window, about BATCH_BYTES of them. */
function nextPieces(splitter: FrameSplitter, { bytes, head, tail }: InputWindow, isEnd: boolean): PlacedPiece[] {
  const pieces: PlacedPiece[] = [];
  let start = head;
  while (start - head < BATCH_BYTES) {
    const piece = splitter.next(bytes.subarray(start, tail), isEnd);
    if (piece === undefined) break;
    pieces.push({ ...piece, start });
    start += piece.length;
  }
  return pieces;
}

function readExactly(fd: number, target: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < target.length; ) {
    const count = readSync(fd, target, done, target.length - done, position + done);
    if (count === 0) throw badFile(path, `it shrank to ${position + done} bytes while it was being stored`);
    done += count;
  }
}

function send(message: FromWriteWorker, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function fail(error: unknown): void {
  send({ type: 'error', error: toPlainError(error) });
}

const job = new WriteJob(workerData as WriteInit);
parentPort?.on('message', (message: ToWriteWorker) => {
  if (message.type === 'shipped') job.takeBack(message.memory);
  else job.storeFiles(message.files, message.previous).catch(fail);
});
