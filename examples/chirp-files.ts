/**
 * Files on a Chirp server: a directory, an upload from a stream, a listing, a download, and what an error looks like.
 *
 *     node examples/chirp-files.ts HOST PORT        (Node 22.18 or later; with Node 20: node --import tsx examples/chirp-files.ts HOST PORT)
 *     scripts/with-chirp-server -- sh -c 'node --import tsx examples/chirp-files.ts "$CHIRP_HOST" "$CHIRP_PORT"'
 */

import { Readable } from 'node:stream';
import { ChirpClient, isBlcrError } from 'node-blcr';

const [host = 'localhost', port = '9094'] = process.argv.slice(2);

await using client = new ChirpClient({ host, port: Number(port), auth: ['hostname', 'unix', 'address'] });
const { method, name: self } = await client.connect();
console.log(`the server knows us as ${method}:${self}`);

const directory = `/example-${process.pid}`;
await client.mkdirp(directory);
try {
  const lines = Array.from({ length: 1000 }, (_, number) => `line ${number}\n`);
  const size = Buffer.byteLength(lines.join(''));
  await client.putFile(`${directory}/lines.txt`, Readable.from(lines.map((line) => Buffer.from(line))), { size });
  await client.rename(`${directory}/lines.txt`, `${directory}/lines-1.txt`);

  for (const { name, stat } of await client.getlongdir(directory)) console.log(`${name}: ${stat.size} bytes`);

  const content = await client.getBuffer(`${directory}/lines-1.txt`);
  console.log(content.toString() === lines.join('') ? 'came back as it was' : 'came back DIFFERENT');

  try {
    await client.getBuffer(`${directory}/nothing`);
  } catch (error) {
    if (!isBlcrError(error)) throw error;
    console.log(`a missing file is ${error.code}`);
  }
} finally {
  await client.rmall(directory);
}
