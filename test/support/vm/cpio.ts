/** Archives of the kind that Linux unpacks into its first root file system. */

/** @see the kernel's Documentation/driver-api/early-userspace/buffer-format.rst, "newc". */
export class CpioArchive {
  readonly #parts: Buffer[] = [];
  #inode = 1;

  directory(path: string): this {
    return this.#add(path, 0o040755, Buffer.alloc(0));
  }

  file(path: string, content: Buffer | string, mode = 0o644): this {
    return this.#add(path, 0o100000 | mode, Buffer.from(content as string));
  }

  end(): Buffer {
    this.#add('TRAILER!!!', 0, Buffer.alloc(0));
    return Buffer.concat(this.#parts);
  }

  #add(path: string, mode: number, content: Buffer): this {
    const fields = [this.#inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, path.length + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    this.#parts.push(padded(Buffer.from(`${header}${path}\0`)), padded(content));
    return this;
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
