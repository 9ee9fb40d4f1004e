// OHIF, as it is published, on the data of the server: each kind of study opens, without an error or a failing request.

import assert from 'node:assert/strict';

import { withPage } from './chromium.mjs';

// The address of the server, a token or -, and optionally a word of the steps to take.
const [address, token, only = ''] = process.argv.slice(2);
const base = `http://${address}/`;
const [COLUMNS, ROWS] = [128, 96];
const FLAGS = ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
// Requests of the start page that end with it, and what OHIF writes in any deployment: advice of React, of i18n and of Cornerstone.
const OWN = [/\/mcp: net::ERR_ABORTED/, /^Warning: /, /i18n/, /React/, /vtk/i, /WebGL/, /deprecat/i, /preload/, /ICC Profile/, /Metadata add skipped/];
// The first requests of a page without its token are refused.
const isAsked = (problem) => token !== '-' && /\b401\b/.test(problem);
const allowed = (problem) => isAsked(problem) || OWN.some((one) => one.test(problem));

async function step(name, run) {
  if (!name.includes(only)) return;
  const started = performance.now();
  await withPage({ allowed, flags: FLAGS }, async (page) => {
    page.setDefaultTimeout(60000);
    await run(page);
    await page.screenshot({ path: `pictures/ohif-${name.replaceAll(' ', '-')}.png` });
  });
  console.log(`  OHIF: ${name} (${Math.round(performance.now() - started)} ms)`);
}

// Signs in where the server has a token, and returns the studies by their descriptions.
async function studies(page) {
  await page.goto(base);
  if (token !== '-') {
    await page.locator('#secret').fill(token);
    await page.keyboard.press('Enter');
  }
  await page.waitForSelector('#studies table');
  return page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll('#studies tbody tr')].map((row) => [
        row.cells[4].textContent,
        row.cells[6].querySelector('a').getAttribute('href'),
      ]),
    ),
  );
}

async function open(page, study, more = '') {
  const found = await studies(page);
  await page.goto(base + found[study] + more);
}

// Waits until viewports show images, and returns what they show.
const shown = async (page, count = 1) => {
  await page.waitForFunction(
    (count) => {
      const all = window.cornerstone?.getRenderingEngines()?.flatMap((engine) => engine.getViewports()) ?? [];
      const ready = all.filter((one) => {
        const image = one.getCurrentImageId?.();
        return one.viewportStatus === 'rendered' && (image || one.getImageData?.());
      });
      return ready.length >= count;
    },
    count,
    { timeout: 60000 },
  );
  await page.evaluate(() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 500)));
  return page.evaluate(() =>
    window.cornerstone
      .getRenderingEngines()
      .flatMap((engine) => engine.getViewports())
      .map((one) => ({ type: one.type, images: one.getImageIds?.().length, at: one.getCurrentImageIdIndex?.() })),
  );
};

// Colors on the screen, as it is seen.
async function screen(page, places) {
  const picture = (await page.screenshot()).toString('base64');
  return page.evaluate(
    async ([picture, places]) => {
      const bytes = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0)),
        bitmap = await createImageBitmap(new Blob([bytes])),
        context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
      context.drawImage(bitmap, 0, 0);
      return places.map(([x, y]) => [...context.getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3));
    },
    [picture, places],
  );
}

// The gray value on the canvas at a pixel of the frame.
const level = async (page, x, y) => (await color(page, x, y))[0];

// The color on the canvas at a pixel of the frame, through the viewport's own transform.
const color = (page, x, y) =>
  page.evaluate(
    ([x, y]) => {
      const viewport = window.cornerstone.getRenderingEngines()[0].getViewports()[0],
        { origin, spacing, direction } = viewport.getImageData();
      const world = [0, 1, 2].map(
        (axis) => origin[axis] + x * spacing[0] * direction[axis] + y * spacing[1] * direction[3 + axis],
      );
      const canvas = viewport.getCanvas(),
        [left, top] = viewport.worldToCanvas(world),
        scale = canvas.width / canvas.clientWidth;
      return [...canvas.getContext('2d').getImageData(Math.round(left * scale), Math.round(top * scale), 1, 1).data].slice(0, 3);
    },
    [x, y],
  );

// Samples of the current image.
const samples = (page) =>
  page.evaluate(() => {
    const viewport = window.cornerstone.getRenderingEngines()[0].getViewports()[0];
    return [...viewport.getCornerstoneImage().voxelManager.getScalarData()];
  });

// The values of ohif_files.py: 200 + 20 z, and 300 more for each quadrant, rescaled to HU.
const stored = (x, y, z) => 200 + 20 * z + 300 * ((x >= COLUMNS / 2) + 2 * (y >= ROWS / 2)) - 1024;
// PS3.3 C.11.2.1.2.1, LINEAR.
const windowed = (value, center, width) =>
  Math.round(Math.min(1, Math.max(0, (value - (center - 0.5)) / (width - 1) + 0.5)) * 255);

// What is on the canvas, and in the memory of the viewer, is the slice at its position.
async function isSlice(page) {
  const z = await page.evaluate(() => {
    const id = window.cornerstone.getRenderingEngines()[0].getViewports()[0].getCurrentImageId();
    return window.cornerstone.metaData.get('imagePlaneModule', id).imagePositionPatient[2] / 2;
  });
  const found = await samples(page);
  for (const [at, value] of found.entries()) {
    const wanted = stored(at % COLUMNS, Math.floor(at / COLUMNS), z);
    if (value !== wanted) assert.fail(`pixel ${at} of slice ${z} is ${value}, not ${wanted}`);
  }
  for (const [x, y] of [[20, 20], [100, 20], [20, 80], [100, 80]]) {
    const [got, wanted] = [await level(page, x, y), windowed(stored(x, y, z), 0, 2048)];
    assert.ok(Math.abs(got - wanted) <= 2, `(${x}, ${y}) of slice ${z} is ${got} on the canvas, not ${wanted}`);
  }
}

await step('study list', async (page) => {
  await studies(page);
  await page.getByRole('link', { name: 'Open in OHIF', exact: true }).click();
  await page.waitForSelector('text=ohif-ct');
  for (const study of ['ohif-mr', 'ohif-xa', 'ohif-mg', 'ohif-slide']) await page.waitForSelector(`text=${study}`);
});

await step('CT scroll', async (page) => {
  await open(page, 'ohif-ct');
  const [first] = await shown(page);
  assert.equal(first.images, 24);
  await isSlice(page);
  await page.locator('canvas').first().hover();
  for (let turn = 0; turn < 7; turn++) await page.mouse.wheel(0, 100);
  await page.waitForFunction(
    (at) => window.cornerstone.getRenderingEngines()[0].getViewports()[0].getCurrentImageIdIndex() !== at,
    first.at,
  );
  await shown(page);
  await isSlice(page);
});

await step('MPR', async (page) => {
  await open(page, 'ohif-ct', '&hangingProtocolId=mpr');
  const found = await shown(page, 3);
  assert.equal(found.filter(({ type }) => type === 'orthographic').length, 3, JSON.stringify(found));
});

for (const [study, name] of [['ohif-mr', 'MR'], ['ohif-xa', 'XA'], ['ohif-mg', 'MG']])
  await step(name, async (page) => {
    await open(page, study);
    const [first] = await shown(page);
    assert.equal(first.images, { MR: 8, XA: 12, MG: 1 }[name]);
  });

// Opens a series of the panel by a double click on its name.
async function openSeries(page, name) {
  await page.locator('[data-cy^=study-browser-thumbnail]', { hasText: name }).first().dblclick();
}

await step('SEG overlay', async (page) => {
  await open(page, 'ohif-ct');
  await shown(page);
  await openSeries(page, 'segment');
  const confirm = page.getByRole('button', { name: 'Yes' });
  await confirm.click({ timeout: 15000 }).catch(() => {});
  await page.waitForFunction(() => window.cornerstoneTools.segmentation.state.getSegmentations().length > 0);
  await page.waitForTimeout(2000);
  const [inside, outside] = [await color(page, 64, 40), await color(page, 20, 20)];
  assert.ok(Math.max(...inside) - Math.min(...inside) > 20, `the segment has no color: ${inside}`);
  assert.ok(Math.max(...outside) - Math.min(...outside) <= 2, `there is color outside of the segment: ${outside}`);
});

await step('SR', async (page) => {
  await open(page, 'ohif-ct');
  await shown(page);
  await openSeries(page, 'report');
  await page.waitForSelector('text=Nothing of note.');
});

await step('PDF', async (page) => {
  await open(page, 'ohif-ct');
  await shown(page);
  await openSeries(page, 'document');
  const element = page.locator('object[type="application/pdf"]');
  await element.waitFor();
  const address = await element.getAttribute('data');
  const head = await page.evaluate(async (address) => (await (await fetch(address)).text()).slice(0, 5), address);
  assert.equal(head, '%PDF-');
});

async function isSlide(page, study) {
  await open(page, study);
  await page.waitForSelector('.ol-viewport canvas');
  // Colors of the quadrants, by ohif_files.py: tiles may be JPEG, and the middle of the picture is that of the slide.
  const near = (found, wanted) => found.every((value, channel) => Math.abs(value - wanted[channel]) <= 12);
  const box = await page.locator('.ol-viewport').first().boundingBox();
  const [left, top] = [box.x + box.width / 2, box.y + box.height / 2];
  const wanted = [[-60, -60], [60, -60], [-60, 60], [60, 60]];
  let found = [];
  for (let turn = 0; turn < 40; turn++) {
    found = await screen(page, wanted.map(([x, y]) => [left + x, top + y]));
    const colors = [[40, 60, 120], [220, 60, 120], [40, 200, 120], [220, 200, 120]];
    if (colors.every((one) => found.some((other) => near(other, one)))) return;
    await page.waitForTimeout(500);
  }
  assert.fail(`the slide has other colors: ${JSON.stringify(found)}`);
}

await step('whole slide', (page) => isSlide(page, 'ohif-slide'));

// Stored as HTJ2K, which the microscopy viewer does not decode and does not list in its requests.
await step('whole slide without loss', (page) => isSlide(page, 'ohif-raw-slide'));
