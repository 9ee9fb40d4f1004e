// The page of a server that asks for a token.

import assert from 'node:assert/strict';

import { accessible, withPage } from './chromium.mjs';

const [address, token] = process.argv.slice(2);

// The browser reports each answer 401 and 403, and requests that end because the page is loaded again.
await withPage({ allowed: (problem) => /\b40[13]\b|ERR_ABORTED/.test(problem) }, async (page) => {
  await page.goto(`http://${address}/`);
  const secret = page.locator('#secret');
  await secret.waitFor();
  await accessible(page, 'the question for a token');
  await page.screenshot({ path: 'pictures/token.png' });
  await secret.fill('not-the-token-of-this-server');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=The server did not accept the token.');
  await secret.fill(token);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#jobs table');
  await page.reload();
  await page.waitForSelector('#jobs table');
  await page.waitForSelector('#studies table');
  await page.click('#studies tbody a');
  await page.waitForFunction(() => view.frame);
  await page.getByRole('button', { name: 'Forget token' }).click();
  // Also where a study is what was asked for first.
  await secret.fill(token);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => view.frame);
  await page.getByRole('button', { name: 'Forget token' }).click();
  await secret.waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  console.log('  a token');
});
