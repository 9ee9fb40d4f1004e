// The README's pictures: `readme.mjs ADDRESS FOLDER` takes them from a server that holds the demonstration's archive.
//
// What the conversation shows is what the tools answered; only the words of the two people are made up.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

import { withPage } from './chromium.mjs';

const [address, folder] = process.argv.slice(2);
const LARGEST = 150_000;
const size = { width: 960, height: 600 };

const client = new Client({ name: 'readme', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(`http://${address}/mcp`)));
const call = async (name, args) => {
  const { content, isError } = await client.callTool({ name, arguments: args });
  assert.ok(!isError, content[0].text);
  return { answer: JSON.parse(content[0].text), image: content.find(({ type }) => type === 'image') };
};

async function taken(page, name) {
  const file = path.join(folder, `${name}.png`);
  await page.screenshot({ path: file });
  const { size } = fs.statSync(file);
  assert.ok(size < LARGEST, `${file} has ${size} bytes`);
  console.log(`${file}: ${size} bytes`);
}

const { answer: found } = await call('search_image_sets', { modality: 'CT' });
const sets = found.image_sets_metadata_summaries.toSorted(
  (one, other) =>
    other.dicom_tags.NumberOfStudyRelatedInstances - one.dicom_tags.NumberOfStudyRelatedInstances ||
    (one.image_set_id < other.image_set_id ? -1 : 1),
);
const { DICOMStudyInstanceUID: study, DICOMSeriesInstanceUID: series } = sets[0].dicom_tags;
const datastore = found.datastore_id;

await withPage({ viewport: size, colorScheme: 'light' }, async (page) => {
  await page.goto(`http://${address}/`);
  await page.locator('#datastores').getByText('ACTIVE').first().waitFor();
  await page.locator('#search button').first().click();
  await page.waitForLoadState('networkidle');
  await taken(page, 'start-page');
});

await withPage({ viewport: size, colorScheme: 'dark' }, async (page) => {
  await page.goto(`http://${address}/#${datastore}/${study}/${series}`);
  await page.waitForFunction(() => view.image && view.frame);
  await page.evaluate(() => view.go(Math.floor(view.images.length / 2)));
  await page.waitForFunction(() => view.frame && byId('notice').textContent === '');
  await page.waitForLoadState('networkidle');
  await taken(page, 'viewer');
});

const sheet = await call('get_series_contact_sheet', { series_instance_uid: series, count: 6, max_size: 512 });
const { notes = [], ...facts } = sheet.answer;
const turns = [
  ['You', 'Show me the chest CT of DEMO-0001.'],
  ['tool', 'search_image_sets', found.summary],
  ['tool', 'get_series_contact_sheet', sheet.answer.summary],
  ['Assistant', `It has ${facts.number_of_slices} slices. These are ${facts.slices.length} of them, from the first to the last:`, sheet.image],
];
await withPage({ viewport: { width: 700, height: 590 } }, async (page) => {
  await page.setContent(`<!doctype html><html lang="en"><title>Conversation</title><style>
    body { font: 15px/1.45 system-ui, sans-serif; margin: 0; padding: 20px 28px; background: #faf9f7; color: #222 }
    p { margin: 0 0 12px; max-width: 600px } .you { background: #e9e6df; border-radius: 14px; padding: 9px 14px; width: fit-content; margin-left: auto }
    .tool { font-size: 13px; color: #555; border: 1px solid #ddd; border-radius: 8px; padding: 6px 12px }
    code { color: #8a3c12 } img { display: block; border-radius: 8px; max-width: 512px; margin-top: 4px }</style><main></main>`);
  await page.evaluate((turns) => {
    const main = document.querySelector('main');
    for (const [who, ...parts] of turns) {
      const turn = document.createElement('p');
      turn.className = who.toLowerCase();
      if (who === 'tool') {
        turn.append(Object.assign(document.createElement('code'), { textContent: parts[0] }), ` ${parts[1]}`);
      } else turn.append(parts[0]);
      main.append(turn);
      const image = parts[1];
      if (image?.data) {
        const shown = Object.assign(new Image(), { src: `data:${image.mimeType};base64,${image.data}`, alt: '' });
        main.append(shown);
      }
    }
  }, turns);
  await page.waitForFunction(() => [...document.images].every(({ complete }) => complete));
  await taken(page, 'conversation');
});
await client.close();
