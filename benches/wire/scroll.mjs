// Scrolling through a series in the viewer at `/`: `node scroll.mjs URL SERIES`. Prints JSON: milliseconds until the first picture, and
// pictures a second while the wheel asks for another image at each repaint of the browser.

import { withPage } from './chromium.mjs';

const [url, count, rounds] = process.argv.slice(2);

// Watches what is shown: an image counts when it is painted, and not while it is loading.
const watch = () => {
  window.shown = [];
  const look = (now) => {
    const port = document.getElementById('port'),
      place = document.querySelector('#corners .br')?.textContent.match(/Image (\d+) of/)?.[1];
    const isPainted = place && port.getAttribute('aria-busy') === 'false' && !document.getElementById('notice').textContent;
    if (isPainted && window.shown.at(-1)?.place !== place) window.shown.push({ place, at: now });
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
};

// One step of the wheel at each repaint, through the whole series and back.
const scroll = async (count) => {
  const port = document.getElementById('port');
  window.shown = [];
  let repaints = 0;
  const began = performance.now();
  for (const direction of [1, -1]) {
    for (let step = 1; step < count; step++) {
      await new Promise(requestAnimationFrame);
      repaints += 1;
      port.dispatchEvent(new WheelEvent('wheel', { deltaY: 40 * direction, cancelable: true, bubbles: true }));
    }
  }
  const seconds = (performance.now() - began) / 1000;
  return { painted: window.shown.length / seconds, repaints: repaints / seconds };
};

const first = [], again = [], cold = [], warm = [];
for (let round = 0; round < +rounds; round++) {
  // A browser of its own: nothing is cached.
  await withPage({}, async (page) => {
    await page.addInitScript(watch);
    await page.goto('about:blank');
    await page.goto(url);
    await page.waitForFunction(() => window.shown.length);
    first.push(await page.evaluate(() => window.shown[0].at));
    cold.push(await page.evaluate(scroll, +count));
    warm.push(await page.evaluate(scroll, +count));
    // As in a browser that is open already.
    await page.goto('about:blank');
    await page.goto(url);
    await page.waitForFunction(() => window.shown.length);
    again.push(await page.evaluate(() => window.shown[0].at));
  });
}
console.log(JSON.stringify({ first, again, cold, warm }));
