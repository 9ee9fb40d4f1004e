// The page at `/`: the start page, the viewer, and what a file can do to them.

import assert from 'node:assert/strict';
import fs from 'node:fs';

import { COLUMNS, ROWS, accessible, difference, known, linear, shown, withPage } from './chromium.mjs';

// The address of the server, and optionally a word of the steps to take.
const [address, only = ''] = process.argv.slice(2);
const base = `http://${address}/`;
const MARKUP = 'onerror=hacked=1';

async function step(name, run) {
  if (!name.includes(only)) return;
  const started = performance.now();
  await run();
  console.log(`  ${name} (${Math.round(performance.now() - started)} ms)`);
}

async function find(page, words) {
  await page.goto(base);
  await page.waitForSelector('#studies table');
  await page.getByLabel('Description').fill(words);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.waitForFunction(() => document.getElementById('status').textContent === '1 study');
}

// Opens a study and waits until a picture or document is there.
async function open(page, words, series) {
  await find(page, words);
  await page.click('#studies tbody a');
  await page.waitForSelector('#series button');
  await ready(page);
  if (series) {
    await page.locator('#series button', { hasText: series }).click();
    await ready(page);
  }
}

async function ready(page) {
  await page.waitForFunction(
    () =>
      document.querySelector('#series [aria-current=true]') &&
      (!document.getElementById('document').hidden ||
        (document.getElementById('notice').textContent === '' &&
          document.getElementById('port').getAttribute('aria-busy') === 'false')),
  );
  await painted(page);
}

const painted = (page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

async function press(page, key) {
  await page.focus('#port');
  await page.keyboard.press(key);
  await ready(page);
}

async function isShown(page, expected) {
  await ready(page);
  assert.equal(difference(await shown(page, COLUMNS, ROWS), expected), '');
}

async function starting(page, context) {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto(base);
  await page.waitForSelector('#jobs table');
  await page.waitForSelector('#studies table');
  const row = await page.locator('#datastores tr', { hasText: 'page' }).innerText();
  assert.match(row, /ACTIVE\s+8/);
  assert.match(await page.locator('#jobs').innerText(), /Import.*COMPLETED/);
  const headers = await (await page.request.get(base, { headers: { accept: 'text/html' } })).headers();
  assert.match(headers['content-security-policy'], /default-src 'none'/);
  assert.doesNotMatch(headers['content-security-policy'], /unsafe/);
  const lines = {};
  for (const name of ['MCP in Claude Code', 'DICOMweb', 'boto3', 'the AWS CLI']) {
    lines[name] = await page.locator(`h3:text-is("${name}") + .copy pre`).innerText();
    await page.getByRole('button', { name: `Copy the lines for ${name}` }).click();
    await page.waitForFunction((line) => navigator.clipboard.readText().then((copied) => copied === line), lines[name]);
    assert.ok(lines[name].includes(`http://${address}`));
  }
  // viewer.py runs them.
  fs.writeFileSync('lines.json', JSON.stringify(lines));
  await accessible(page, 'the start page');
  await page.screenshot({ path: 'pictures/start.png', fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await accessible(page, 'the start page, dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.getByLabel('Patient ID').fill('PAGE-1');
  await page.getByLabel('From').fill('2026-01-02');
  await page.getByLabel('Modality').fill('ct');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('status').textContent === '1 study');
  await page.getByLabel('From').fill('2026-02-02');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=No study matches.');
}

// The pictures of a stack, by keys, wheel, slider and touch.
async function pictures(page, painter) {
  await open(page, 'known');
  await press(page, 'o');
  await press(page, '1');
  const slice = (z, center, width) => isShown(page, (x, y) => linear(known(x, y, z) - 1024, center, width));
  await slice(0, 40, 400);
  await press(page, 'ArrowDown');
  assert.equal(await page.locator('#place').innerText(), '2 / 8');
  await slice(1, 40, 400);
  // The first picture is drawn by the canvas.
  assert.equal(await page.evaluate(() => view.painter.name), painter);
  await press(page, 'End');
  await slice(7, 40, 400);
  await press(page, 'Home');
  await page.locator('#port').hover();
  await page.mouse.wheel(0, 120);
  await page.waitForFunction(() => document.getElementById('place').textContent !== '1 / 8');
  await page.locator('#position').fill('5');
  await slice(4, 40, 400);
  await page.locator('#center').fill('-300');
  await page.locator('#width').fill('900');
  await page.keyboard.press('Enter');
  await slice(4, -300, 900);
  await page.locator('#preset').selectOption({ label: 'Lung' });
  await slice(4, -600, 1500);
  await press(page, 'i');
  await isShown(page, (x, y) => 255 - linearExact(known(x, y, 4) - 1024, -600, 1500));
  await press(page, 'r');
  await press(page, '1');
  await slice(4, 40, 400);
}

// The level before rounding, so that an inverse level is rounded once.
function linearExact(value, center, width) {
  const level =
    value <= center - 0.5 - (width - 1) / 2
      ? 0
      : value > center - 0.5 + (width - 1) / 2
        ? 255
        : ((value - (center - 0.5)) / (width - 1) + 0.5) * 255;
  return 255 - Math.round(255 - level);
}

async function middle(page) {
  const box = await page.locator('#port').boundingBox();
  return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];
}

async function dragged(page, from, to) {
  await page.mouse.move(...from);
  await page.mouse.down();
  await page.mouse.move(...to, { steps: 4 });
  await page.mouse.up();
  await painted(page);
}

async function tools(page) {
  await open(page, 'known');
  await press(page, '1');
  const [x, y] = await middle(page),
    announced = () => page.locator('#status').innerText();
  await press(page, 'l');
  await dragged(page, [x - 30, y], [x + 10, y]);
  assert.equal(await announced(), '28 mm');
  await press(page, 'a');
  for (const [dx, dy] of [
    [0, -30],
    [0, 0],
    [30, 0],
  ])
    await page.mouse.click(x + dx, y + dy);
  assert.equal(await announced(), '90°');
  assert.equal(await page.locator('#marks polyline').count(), 2);
  await press(page, 'ArrowDown');
  assert.equal(await page.locator('#marks polyline').count(), 0, 'marks belong to their image');
  await press(page, 'ArrowUp');
  await press(page, 'Delete');
  assert.equal(await page.locator('#marks polyline').count(), 0);

  await press(page, 'w');
  const width = await page.locator('#width').inputValue();
  await dragged(page, [x, y], [x + 40, y]);
  assert.ok(+(await page.locator('#width').inputValue()) > +width);
  await press(page, 'r');
  await press(page, 'p');
  await press(page, '1');
  await dragged(page, [x, y], [x + 12, y + 5]);
  assert.deepEqual(await page.evaluate(() => view.pan), [12, 5]);
  await press(page, 'z');
  await dragged(page, [x, y], [x, y - 60]);
  assert.ok((await page.evaluate(() => view.zoom)) > 1.2);

  // Overlays are white; the eight points of files.py.
  await press(page, 'r');
  await press(page, '1');
  const overlaid = (x, y) => y === 10 && x >= 20 && x < 28;
  const plain = (x, y) => linear(known(x, y, 0) - 1024, 40, 400);
  await isShown(page, (x, y) => (overlaid(x, y) ? 255 : plain(x, y)));
  await press(page, 'o');
  await isShown(page, plain);

  await press(page, 'm');
  await page.getByLabel('Search the metadata').fill('slicethick');
  assert.match(await page.locator('#attributes').innerText(), /SliceThickness\s+\(0018,0050\) DS\s+2/);
  await accessible(page, 'the viewer with metadata');
  await page.screenshot({ path: 'pictures/viewer.png' });
  await page.emulateMedia({ colorScheme: 'dark' });
  await accessible(page, 'the viewer, dark');
  await page.emulateMedia({ colorScheme: 'light' });
}

async function others(page) {
  await open(page, 'known', 'XA');
  await press(page, '1');
  // Without a window, from the least value to the greatest.
  let least = Infinity,
    most = -Infinity;
  for (let y = 0; y < ROWS; y++)
    for (let x = 0; x < COLUMNS; x++) [least, most] = [Math.min(least, known(x, y, 0)), Math.max(most, known(x, y, 0))];
  const width = most - least + 1;
  await isShown(page, (x, y) => linear(known(x, y, 0), least + width / 2, width));
  assert.match(await page.locator('#corners').innerText(), /No Pixel Spacing/);
  const [x, y] = await middle(page);
  await press(page, 'l');
  await dragged(page, [x, y], [x + 20, y]);
  assert.equal(await page.locator('#status').innerText(), '20 px (no Pixel Spacing)');

  await open(page, 'known', 'US');
  await press(page, '1');
  const color = (frame) => (x, y) => [(x * 2) % 256, (y * 2) % 256, 20 * frame];
  await isShown(page, color(0));
  assert.equal(await page.locator('#rate').inputValue(), '20', 'Frame Time 50 ms');
  await press(page, ' ');
  await page.waitForFunction(() => document.getElementById('place').textContent === '4 / 6');
  await press(page, ' ');
  await press(page, 'Home');
  await press(page, 'ArrowRight');
  await isShown(page, color(1));

  await open(page, 'known', 'SR');
  const report = await page.locator('#document').innerText();
  for (const words of ['Known report', 'COMPLETE, UNVERIFIED', 'Diameter: 12.5 mm', 'Impression: Nothing of note.'])
    assert.ok(report.includes(words), report);
  await accessible(page, 'a report');
  await page.screenshot({ path: 'pictures/report.png' });

  await open(page, 'known', 'DOC');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Save the document' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'document.pdf');
  assert.match(await page.locator('#document iframe').getAttribute('src'), /^blob:/);
}

// Fingers: one drags, two pinch.
async function touch(page) {
  await open(page, 'known');
  await page.locator('#modes button', { hasText: 'Scroll' }).click();
  const session = await page.context().newCDPSession(page),
    [x, y] = await middle(page);
  const send = (type, points) =>
    session.send('Input.dispatchTouchEvent', {
      type,
      touchPoints: points.map(([px, py], id) => ({ x: px, y: py, id })),
    });
  await send('touchStart', [[x, y]]);
  for (const to of [y + 10, y + 20, y + 30]) await send('touchMove', [[x, to]]);
  await send('touchEnd', []);
  await page.waitForFunction(() => document.getElementById('place').textContent !== '1 / 8');
  const zoom = await page.evaluate(() => view.zoom);
  await send('touchStart', [
    [x - 20, y],
    [x + 20, y],
  ]);
  for (const apart of [30, 50, 70])
    await send('touchMove', [
      [x - apart, y],
      [x + apart, y],
    ]);
  await send('touchEnd', []);
  await page.waitForFunction((before) => view.zoom > 1.5 * before, zoom);
  await page.setViewportSize({ width: 400, height: 800 });
  await accessible(page, 'the viewer on a telephone');
  await page.screenshot({ path: 'pictures/telephone.png' });
}

async function hostile(page) {
  await page.goto(base);
  await page.waitForSelector('#studies table');
  assert.ok((await page.locator('#studies').innerText()).includes(MARKUP));
  await page.getByLabel('From').fill('2026-01-03');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.waitForFunction(() => document.getElementById('status').textContent === '1 study');
  await page.click('#studies tbody a');
  await page.waitForSelector('#series button');
  await ready(page);
  const texts = ['#crumb', '#series', '#corners', '#preset'];
  for (const place of texts) assert.ok((await page.locator(place).innerText()).includes(MARKUP), place);
  assert.ok((await page.locator('#corners').innerText()).includes('left\\u{202e}right'), 'hidden characters are shown');
  await press(page, 'm');
  for (const words of ['PatientComments', 'ProtocolName', '00111001']) {
    await page.locator('#filter').fill(words);
    assert.ok((await page.locator('#attributes').innerText()).includes(MARKUP), words);
  }
  await page.screenshot({ path: 'pictures/hostile.png' });
  for (const series of ['SR', 'DOC']) {
    await page.locator('#series button', { hasText: new RegExp(`^${series} `) }).click();
    await ready(page);
    await page.waitForFunction((markup) => document.getElementById('document').innerText.includes(markup), MARKUP);
  }
  assert.equal(await page.locator('#document iframe').count(), 0, 'only a PDF is shown');
  assert.equal(await page.locator('img, object, embed, #view script').count(), 0);
  assert.equal(await page.evaluate(() => typeof hacked), 'undefined');
}

await step('the start page', () => withPage({}, starting));
await step('pictures by WebGL2', () =>
  withPage({ flags: ['--enable-unsafe-swiftshader'] }, async (page) => {
    // The page does not use it where a processor draws, as here.
    await page.addInitScript(() => {
      const { getContext } = HTMLCanvasElement.prototype;
      HTMLCanvasElement.prototype.getContext = function (kind, options) {
        return getContext.call(this, kind, options && { ...options, failIfMajorPerformanceCaveat: false });
      };
      const { getParameter } = WebGL2RenderingContext.prototype;
      WebGL2RenderingContext.prototype.getParameter = function (name) {
        // UNMASKED_RENDERER_WEBGL.
        return name === 0x9246 ? 'a graphics processor' : getParameter.call(this, name);
      };
    });
    await pictures(page, 'WebGL2');
  }),
);
await step('pictures by the canvas', () =>
  withPage({ flags: ['--disable-3d-apis'] }, (page) => pictures(page, 'canvas')),
);
await step('tools', () => withPage({}, tools));
await step('other images, reports, documents', () => withPage({}, others));
await step('touch', () => withPage({ hasTouch: true }, touch));
await step('markup in every attribute', () => withPage({}, hostile));
