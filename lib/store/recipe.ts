/**
 * How a byte stream is put together again: `inline` bytes, runs of consecutive rows of the manifest's unit table, and zeros (holes of files).
 * Each step begins with a varint, `value * 4 + kind`.
 */
import { ByteSink, ByteSource } from './bytes.ts';

const INLINE = 0;
const UNITS = 1;
const ZEROS = 2;

export type Step =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'unit'; readonly row: number }
  | { readonly kind: 'zeros'; readonly length: number };

/** Collects steps; neighbours of one kind are joined. */
export class RecipeWriter {
  readonly #out = new ByteSink();
  readonly #inline = new ByteSink();
  #firstRow = 0;
  #rows = 0;
  #zeros = 0;

  inline(bytes: Uint8Array): void {
    if (this.#inline.length === 0) this.#flush();
    this.#inline.push(bytes);
    if (this.#inline.length > 1 << 20) this.#flush();
  }

  unit(row: number): void {
    if (this.#rows === 0 || row !== this.#firstRow + this.#rows) {
      this.#flush();
      this.#firstRow = row;
    }
    this.#rows++;
  }

  zeros(length: number): void {
    if (this.#zeros === 0) this.#flush();
    this.#zeros += length;
  }

  /** The finished recipe; the writer must not be used afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#flush();
    return this.#out.view();
  }

  #flush(): void {
    if (this.#inline.length > 0) {
      this.#out.pushVarint(this.#inline.length * 4 + INLINE);
      this.#out.push(this.#inline.view());
      this.#inline.clear();
    }
    if (this.#rows > 0) {
      this.#out.pushVarint(this.#rows * 4 + UNITS);
      this.#out.pushVarint(this.#firstRow);
      this.#rows = 0;
    }
    if (this.#zeros > 0) {
      this.#out.pushVarint(this.#zeros * 4 + ZEROS);
      this.#zeros = 0;
    }
  }
}

/**
 * Steps of a recipe in order, units one by one.
 * @param rowCount Rows of the unit table the recipe refers to.
 * @throws {RangeError} When the bytes are not a recipe for such a table.
 */
export function* readRecipe(bytes: Uint8Array, rowCount: number): Generator<Step, void, undefined> {
  const source = new ByteSource(bytes);
  while (!source.isAtEnd) {
    const tag = source.takeVarint();
    const value = Math.floor(tag / 4);
    const kind = tag % 4;
    if (value === 0) throw new RangeError('an empty step');
    if (kind === INLINE) yield { kind: 'inline', bytes: source.take(value) };
    else if (kind === ZEROS) yield { kind: 'zeros', length: value };
    else if (kind === UNITS) {
      const first = source.takeVarint();
      if (value > rowCount || first > rowCount - value) throw new RangeError('a unit outside the table');
      for (let row = first; row < first + value; row++) yield { kind: 'unit', row };
    } else throw new RangeError(`an unknown step ${kind}`);
  }
}
