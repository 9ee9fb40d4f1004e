// A fresh Chromium, and everything that a page should not do: errors, failed requests, violations of its policy.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import axe from 'axe-core';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function withPage(options, test) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'healthimaging-chromium-'));
  const { flags = [], allowed = () => false, ...more } = options;
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    viewport: { width: 1280, height: 800 },
    args: [...FLAGS, ...flags],
    ...more,
  });
  const problems = [];
  try {
    await context.addInitScript(() =>
      addEventListener('securitypolicyviolation', (event) =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`),
      ),
    );
    const page = context.pages()[0];
    page.setDefaultTimeout(20000);
    // Advice on speed: of a renderer without a graphics processor, and on reading the canvas, which only this test does.
    const isAdvice = (text) => text.includes('GPU stall') || text.includes('willReadFrequently');
    page.on(
      'console',
      (message) =>
        ['error', 'warning'].includes(message.type()) && !isAdvice(message.text()) && problems.push(message.text()),
    );
    page.on('pageerror', (error) => problems.push(String(error.stack)));
    page.on('requestfailed', (request) => problems.push(`${request.url()}: ${request.failure()?.errorText}`));
    page.on(
      'response',
      (response) => response.status() >= 400 && problems.push(`${response.status()} ${response.url()}`),
    );
    await test(page, context);
    const left = problems.filter((problem) => !allowed(problem));
    if (left.length) throw new Error(`the page had problems:\n${left.join('\n')}`);
  } catch (error) {
    await context
      .pages()[0]
      ?.screenshot({ path: 'pictures/failed.png' })
      .catch(() => {});
    if (problems.length) console.error(problems.join('\n'));
    throw error;
  } finally {
    await context.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
}

// What axe-core finds wrong for people who use a keyboard or a screen reader, or need contrast.
export async function accessible(page, name) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}\n  ${nodes
        .map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`)
        .join('\n  ')}`,
  );
  if (found.length) throw new Error(`axe-core, ${name}:\n${found.join('\n')}`);
}

// The gray or color values of the picture where it is shown one to one, by its own columns and rows.
export function shown(page, columns, rows) {
  return page.evaluate(
    ([columns, rows]) => {
      const canvas = document.getElementById('canvas'),
        left = Math.round((canvas.width - columns) / 2),
        top = Math.round((canvas.height - rows) / 2);
      return [...canvas.getContext('2d').getImageData(left, top, columns, rows).data];
    },
    [columns, rows],
  );
}

// PS3.3 C.11.2.1.2.1, LINEAR.
export function linear(value, center, width) {
  if (value <= center - 0.5 - (width - 1) / 2) return 0;
  if (value > center - 0.5 + (width - 1) / 2) return 255;
  return Math.round(((value - (center - 0.5)) / (width - 1) + 0.5) * 255);
}

// The pixels of files.py.
export const [COLUMNS, ROWS] = [128, 96];
export const known = (x, y, z) => (x * 37 + y * 11 + z * 101) % 2048;

// Where a picture differs from `expected(x, y)`, a gray value or three.
export function difference(pixels, expected) {
  for (let y = 0; y < ROWS; y++) {
    for (let x = 0; x < COLUMNS; x++) {
      const at = 4 * (y * COLUMNS + x),
        wanted = [expected(x, y)].flat();
      const found = pixels.slice(at, at + 3);
      if (found.some((value, channel) => value !== (wanted[channel] ?? wanted[0])))
        return `(${x}, ${y}): ${found}, not ${wanted}`;
    }
  }
  return '';
}
