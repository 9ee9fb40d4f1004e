// Every image of a data store: what the page draws, beside the picture that the server renders of the same frame.
//
// The server's pictures are compared with pydicom and dcmtk elsewhere; so both are right, or both are found out.

import assert from 'node:assert/strict';

import { withPage } from './chromium.mjs';

const [address, least] = process.argv.slice(2);

// Runs in the page: compares the first frame of each instance; returns a line for each.
async function compared(datastore) {
  const lines = [],
    draw = (width, height, paint) => {
      const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d', {
        willReadFrequently: true,
      });
      paint(context);
      return context.getImageData(0, 0, width, height);
    };
  async function rendered({ uid }, sets) {
    for (const { image_set_id } of sets) {
      const args = { datastore_id: datastore, image_set_id, sop_instance_uid: uid, max_size: 4096 };
      const { content, isError } = await source.mcp(
        'tools/call',
        { name: 'get_image_frame', arguments: args },
        'get_image_frame',
      );
      const picture = !isError && content.find(({ type }) => type === 'image');
      if (picture) return createImageBitmap(new Blob([fromBase64(picture.data)]));
    }
    return null;
  }
  async function compare(instance, sets) {
    const image = { instance, number: 1 },
      expected = await rendered(instance, sets);
    if (!expected) return 'no picture';
    const frame = await view.frames.load(image),
      [width, height] = view.aspect(image, frame);
    if (Math.round(width) !== frame.columns || Math.round(height) !== frame.rows) return 'scaled';
    if (expected.width !== frame.columns || expected.height !== frame.rows)
      return `${expected.width} x ${expected.height}`;
    const theirs = draw(frame.columns, frame.rows, (context) => context.drawImage(expected, 0, 0));
    const ours = draw(frame.columns, frame.rows, (context) => {
      context.drawImage(view.rendered(frame, null, false, new Painter()), 0, 0);
      view.drawOverlays(context, frame);
    });
    const most = ours.data.reduce((most, value, at) => Math.max(most, Math.abs(value - theirs.data[at])), 0);
    // Samples of more than 16 bits are reduced to 16 before the window.
    return most <= (frame.isWide ? 1 : 0) ? 'same' : `differs by ${most}`;
  }
  for (let offset = 0, studies = []; offset === 0 || studies.length === 100; offset += 100) {
    studies = await source.json(`datastore/${datastore}/studies?limit=100&offset=${offset}`);
    for (const one of studies) {
      const study = text(one, 'StudyInstanceUID');
      for (const found of await source.json(`datastore/${datastore}/studies/${segment(study)}/series`)) {
        const series = text(found, 'SeriesInstanceUID');
        const sets = await source.tool('search_by_series_uid', {
          datastore_id: datastore,
          series_instance_uid: series,
        });
        for (const instance of (await source.series({ datastore, study, series })).slice(0, 3)) {
          const result = instance.set.Rows
            ? await compare(instance, sets.image_sets_metadata_summaries).catch((error) => `error: ${error.message}`)
            : 'no image';
          lines.push(`${text(instance.set, 'PatientID')} ${text(instance.set, 'Modality')}: ${result}`);
        }
      }
    }
  }
  return lines;
}

// The server has no native form of some frames, and no rendering of them over HTTP.
await withPage({ allowed: (problem) => /40[46]/.test(problem) }, async (page) => {
  await page.goto(`http://${address}/`);
  await page.waitForSelector('#studies table');
  const [datastore] = await page.locator('#search option').evaluateAll((options) => options.map(({ value }) => value));
  const lines = await page.evaluate(compared, datastore);
  const same = lines.filter((line) => line.endsWith(': same')),
    differing = lines.filter((line) => line.includes('differs by'));
  console.log(`  ${same.length} of ${lines.length} images are drawn as the server renders them`);
  console.log(
    lines
      .filter((line) => !line.endsWith(': same') && !line.endsWith(': no image'))
      .map((line) => `    ${line}`)
      .join('\n'),
  );
  assert.deepEqual(differing, []);
  assert.ok(same.length >= +least, 'images were compared');
});
