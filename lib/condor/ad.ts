/** ClassAds in their line form, `Name = expression`, as HTCondor leaves them in a job's sandbox. Source: HTCondor manual, "ClassAds". */

import { readFileSync } from 'node:fs';

/** Attributes of one ad. Names are the same whatever their case. */
export class Ad {
  readonly #expressions: ReadonlyMap<string, string>;

  /** @param text Lines of another shape are passed over. */
  constructor(text: string) {
    const expressions = new Map<string, string>();
    for (const line of text.split('\n')) {
      const match = /^([A-Za-z_]\w*)\s*=\s*(.*)$/.exec(line.trim());
      if (match?.[1] !== undefined && match[2] !== undefined) expressions.set(match[1].toLowerCase(), match[2]);
    }
    this.#expressions = expressions;
  }

  /** The ad in a file; an empty one when there is no such file or it cannot be read. */
  static read(path: string | undefined): Ad {
    if (path === undefined || path === '') return new Ad('');
    try {
      return new Ad(readFileSync(path, 'utf8'));
    } catch {
      return new Ad(''); // then it tells us nothing
    }
  }

  get isEmpty(): boolean {
    return this.#expressions.size === 0;
  }

  /** The value of a string literal; undefined for anything else. */
  text(name: string): string | undefined {
    const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(this.#expressions.get(name.toLowerCase()) ?? '')?.[1];
    return quoted?.replaceAll(/\\(.)/g, '$1');
  }

  /** A whole number, also where the ad has a product such as `10 * 60`; undefined for any other expression. */
  integer(name: string): number | undefined {
    const expression = this.#expressions.get(name.toLowerCase());
    if (expression === undefined || !/^\d+(\s*\*\s*\d+)*$/.test(expression)) return undefined;
    return expression.split('*').reduce((product, factor) => product * Number(factor), 1);
  }

  /** Whatever it is, as it is written. */
  expression(name: string): string | undefined {
    return this.#expressions.get(name.toLowerCase());
  }

  boolean(name: string): boolean | undefined {
    const expression = this.#expressions.get(name.toLowerCase())?.toLowerCase();
    return expression === 'true' ? true : expression === 'false' ? false : undefined;
  }
}
