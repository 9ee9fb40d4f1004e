// dicomweb-client as OHIF and VolView use it, in a page of another origin: `node page_client.mjs ROOT FOLDER HEADERS`.
// FOLDER has files and known.json; what the client retrieved is written into folders of it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { withPage } from './chromium.mjs';

const [root, folder, headers] = process.argv.slice(2);
const known = JSON.parse(fs.readFileSync(path.join(folder, 'known.json')));
const studies = [...new Set(known.map(({ study }) => study))];
const series = [...new Map(known.map((one) => [one.series, one])).values()];
const library = 'node_modules/dicomweb-client/build/dicomweb-client.js';

// The origin of the page: the library, and the files that it stores.
const site = http.createServer((request, response) => {
  const name = request.url.slice(1);
  if (name === '') response.end('<!doctype html><link rel="icon" href="data:,"><script src="library.js"></script>');
  else response.end(fs.readFileSync(name === 'library.js' ? library : path.join(folder, path.basename(name))));
});
await new Promise((ready) => site.listen(0, '127.0.0.1', ready));

const value = (found, tag) => found[tag].Value[0];
const base64 = (text) => Buffer.from(text, 'base64');
const write = (way, name, bytes) => {
  fs.mkdirSync(path.join(folder, way), { recursive: true });
  fs.writeFileSync(path.join(folder, way, name), bytes);
};
// A refused request is asked for below.
const allowed = (problem) => /\b(404|406)\b/.test(problem);

await withPage({ allowed }, async (page) => {
  await page.goto(`http://localhost:${site.address().port}/`);
  await page.evaluate(
    ([url, headers]) => {
      window.client = new window.DICOMwebClient.api.DICOMwebClient({ url, headers, verbose: false });
      window.single = new window.DICOMwebClient.api.DICOMwebClient({ url, headers, verbose: false, singlepart: true });
      window.text = (buffer) => {
        let text = '';
        const bytes = new Uint8Array(buffer);
        for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
        return btoa(text);
      };
      window.packed = (found) =>
        found instanceof ArrayBuffer
          ? { bytes: window.text(found), contentType: found.contentType, transferSyntaxUID: found.transferSyntaxUID }
          : Array.isArray(found)
            ? found.map(window.packed)
            : found;
    },
    [root, JSON.parse(headers)],
  );
  // The answer of a method, with buffers in base64.
  const call = (method, options, of = 'client') =>
    page.evaluate(async ([method, options, of]) => window.packed(await window[of][method](options)), [method, options, of]);
  const refused = (method, options) =>
    page.evaluate(([method, options]) => window.client[method](options).then(() => 0, ({ status }) => status), [method, options]);
  const of = ({ study, series, instance }) => ({ studyInstanceUID: study, seriesInstanceUID: series, sopInstanceUID: instance });

  // STOW-RS: all files in one request.
  const stored = await page.evaluate(async (files) => {
    const datasets = await Promise.all(files.map((file) => fetch(file).then((answer) => answer.arrayBuffer())));
    return JSON.parse(await window.client.storeInstances({ datasets }));
  }, known.map(({ file }) => file));
  assert.equal(stored['00081199'].Value.length, known.length, 'stored');
  assert(value(stored['00081199'].Value[0], '00081190').startsWith(root), 'an address of the root that the client has');

  // What VolView asks for, in its order: studies, series, metadata, a picture, all files of the series.
  const rows = await call('searchForStudies');
  assert.deepEqual(new Set(rows.map((row) => value(row, '0020000D'))), new Set(studies));
  for (const study of studies) {
    const found = await call('searchForSeries', { studyInstanceUID: study });
    const expected = series.filter((one) => one.study === study).map((one) => one.series);
    assert.deepEqual(new Set(found.map((row) => value(row, '0020000E'))), new Set(expected));
  }
  for (const one of series) {
    const ids = { studyInstanceUID: one.study, seriesInstanceUID: one.series };
    const metadata = await call('retrieveSeriesMetadata', ids);
    const members = known.filter((other) => other.series === one.series);
    assert.deepEqual(new Set(metadata.map((row) => value(row, '00080018'))), new Set(members.map(({ instance }) => instance)));
    assert.equal(value(metadata[0], '00100010').Alphabetic, one.patient);
    assert.deepEqual([value(metadata[0], '00280011'), value(metadata[0], '00280010')], [one.columns, one.rows]);
    const [picture] = [await call('retrieveInstanceRendered', { ...of(one), mediaTypes: [{ mediaType: 'image/jpeg' }] })].flat();
    assert.equal(base64(picture.bytes).subarray(0, 2).toString('hex'), 'ffd8');
    const files = await call('retrieveSeries', ids);
    assert.equal(files.length, members.length);
    files.forEach(({ bytes }, index) => write('series', `${one.series}-${index}.dcm`, base64(bytes)));
  }

  // What OHIF and others use beside it.
  const query = { queryParams: { ModalitiesInStudy: known[0].modality, limit: 101, offset: 0, fuzzymatching: false, includefield: '00081030,00080060' } };
  assert((await call('searchForStudies', query)).length > 0);
  assert.equal((await call('searchForInstances', { queryParams: { SOPInstanceUID: known[0].instance } })).length, 1);
  for (const study of studies) {
    const members = known.filter((one) => one.study === study);
    assert.equal((await call('retrieveStudyMetadata', { studyInstanceUID: study })).length, members.length);
    const files = await call('retrieveStudy', { studyInstanceUID: study });
    assert.equal(files.length, members.length);
    files.forEach(({ bytes }, index) => write('study', `${study}-${index}.dcm`, base64(bytes)));
  }
  for (const one of known) {
    const ids = of(one);
    assert.equal(value((await call('retrieveInstanceMetadata', ids))[0], '00080018'), one.instance);
    write('instance', `${one.instance}.dcm`, base64((await call('retrieveInstance', ids)).bytes));
    const [plain] = await call('retrieveInstanceFrames', { ...ids, frameNumbers: [1] });
    assert.equal(plain.bytes, one.frame, `a frame of ${one.modality}`);
    assert.equal(plain.transferSyntaxUID, '1.2.840.10008.1.2.1');
    const any = [{ mediaType: 'application/octet-stream', transferSyntaxUID: '*' }];
    const [frame] = await call('retrieveInstanceFrames', { ...ids, frameNumbers: [1], mediaTypes: any });
    write('frames', `${one.instance}.bin`, base64(frame.bytes));
    const whole = await page.evaluate(async ([url, headers]) => {
      const answer = await fetch(url, { headers: { ...headers, Accept: 'application/dicom; transfer-syntax=*' } });
      return window.text(await answer.arrayBuffer());
    }, [`${root}/studies/${one.study}/series/${one.series}/instances/${one.instance}`, JSON.parse(headers)]);
    write('stored', `${one.instance}.dcm`, base64(whole));
  }

  // Pictures, as a browser decodes them.
  const size = (bytes) =>
    page.evaluate(async (bytes) => {
      const blob = new Blob([Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0))]);
      const { width, height } = await createImageBitmap(blob);
      return [width, height];
    }, bytes);
  const one = known[0];
  for (const [method, options, expected] of [
    ['retrieveInstanceRendered', {}, [one.columns, one.rows]],
    ['retrieveInstanceRendered', { mediaTypes: [{ mediaType: 'image/png' }], queryParams: { viewport: '40,30' } }, null],
    ['retrieveInstanceFramesRendered', { frameNumbers: [1], queryParams: { window: '40,400,linear' } }, [one.columns, one.rows]],
    ['retrieveInstanceFramesRendered', { frameNumbers: [1], mediaTypes: [{ mediaType: 'image/png' }] }, [one.columns, one.rows]],
    ['retrieveInstanceThumbnail', {}, null],
    ['retrieveInstanceThumbnail', { mediaTypes: [{ mediaType: 'image/jpeg' }], queryParams: { viewport: '64,64' } }, null],
    ['retrieveInstanceFramesThumbnail', { frameNumbers: [1] }, null],
  ]) {
    const [picture] = [await call(method, { ...of(one), ...options })].flat();
    const found = await size(picture.bytes);
    if (expected) assert.deepEqual(found, expected, method);
    else assert(found[0] <= 256 && found[1] <= 256, `${method}: ${found}`);
  }

  // Bulk data: whole, a range of it, and without a multipart.
  const metadata = await call('retrieveInstanceMetadata', of(one));
  const uri = metadata[0]['00991001'].BulkDataURI;
  const [bulk] = await call('retrieveBulkData', { BulkDataURI: uri });
  const expected = Buffer.alloc(1280000, Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
  assert(base64(bulk.bytes).equals(expected), 'bulk data');
  const [alone] = await call('retrieveBulkData', { BulkDataURI: uri }, 'single');
  assert(base64(alone.bytes).equals(expected), 'bulk data that is no multipart');

  // Errors reach the page with their status.
  assert.equal(await refused('retrieveInstance', { ...of(one), sopInstanceUID: '1.2.3' }), 404);
  const other = { ...of(one), frameNumbers: [1], mediaTypes: [{ mediaType: 'image/jls', transferSyntaxUID: '1.2.840.10008.1.2.4.80' }] };
  assert.equal(await refused('retrieveInstanceFrames', other), 406);
});
site.close();
