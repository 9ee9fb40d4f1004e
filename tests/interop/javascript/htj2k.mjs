// Cornerstone's OpenJPH on the frames of a folder: `node htj2k.mjs FOLDER` writes the samples of NAME.jp2 to NAME.jp2.raw.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const openjph = await createRequire(import.meta.url)("@cornerstonejs/codec-openjph")();
const [folder] = process.argv.slice(2);
for (const name of readdirSync(folder).filter((it) => it.endsWith(".jp2"))) {
  const frame = readFileSync(`${folder}/${name}`);
  const decoder = new openjph.HTJ2KDecoder();
  decoder.getEncodedBuffer(frame.length).set(frame);
  decoder.decode();
  // A view of the codec's own memory, which the next frame takes over.
  writeFileSync(`${folder}/${name}.raw`, Buffer.from(decoder.getDecodedBuffer()));
  decoder.delete();
}
