// A document that the server joined of compressed blocks, as Node and Chromium read it: by fetch, which decodes the
// content encoding, and by DecompressionStream and zlib, which fail on what is behind one member.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { gunzipSync } from 'node:zlib';

import { withPage } from './chromium.mjs';

const [address, url, digest] = process.argv.slice(2);

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

const answer = await fetch(url, { method: 'POST', body: '{}' });
assert.equal(hash(Buffer.from(await answer.arrayBuffer())), digest, 'fetch of Node');

const packed = await new Promise((resolve, reject) => {
  const request = http.request(url, { method: 'POST' }, (response) => {
    const pieces = [];
    response.on('data', (piece) => pieces.push(piece));
    response.on('end', () => resolve(Buffer.concat(pieces)));
  });
  request.on('error', reject).end('{}');
});
assert.equal(hash(gunzipSync(packed)), digest, 'zlib of Node');

await withPage({}, async (page) => {
  await page.goto(`http://${address}/`);
  const read = await page.evaluate(
    async ([url, packed]) => {
      const bytes = (response) => response.arrayBuffer().then((buffer) => new Uint8Array(buffer)),
        hex = async (text) =>
          [...new Uint8Array(await crypto.subtle.digest('SHA-256', text))]
            .map((byte) => byte.toString(16).padStart(2, '0'))
            .join('');
      const fetched = await bytes(await fetch(url, { method: 'POST', body: '{}' }));
      const compressed = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
      const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream('gzip'));
      return [await hex(fetched), await hex(await bytes(new Response(stream)))];
    },
    [url, packed.toString('base64')],
  );
  assert.deepEqual(read, [digest, digest], 'fetch and DecompressionStream of Chromium');
});
