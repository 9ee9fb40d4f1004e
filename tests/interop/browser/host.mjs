// The page as an MCP App: in a sandboxed frame under the default policy, with the bridge that hosts use
// (`@modelcontextprotocol/ext-apps`) and the official client against the server.

import assert from 'node:assert/strict';
import http from 'node:http';

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { AppBridge, getToolUiResourceUri } from '@modelcontextprotocol/ext-apps/app-bridge';

import { COLUMNS, ROWS, accessible, difference, known, linear, shown, withPage } from './chromium.mjs';

const [address] = process.argv.slice(2);
const POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; media-src 'self' data:; connect-src 'none'";
const MARKUP = 'onerror=hacked=1';

const URI = 'ui://healthimaging/viewer',
  MEDIA_TYPE = 'text/html;profile=mcp-app';
const connected = async (capabilities) => {
  const client = new Client({ name: 'browser-test', version: '1' }, { capabilities });
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://${address}/mcp`)));
  return client;
};
const client = await connected({ extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: [MEDIA_TYPE] } } });

async function tool(name, args) {
  const { structuredContent, content, isError } = await client.callTool({ name, arguments: args });
  assert.ok(!isError, content?.[0]?.text);
  return structuredContent ?? JSON.parse(content[0].text);
}

// The tool names the page, and the page is a resource.
const { tools } = await client.listTools();
const withPages = tools.filter(({ _meta }) => _meta?.ui);
assert.deepEqual(
  withPages.map(({ name, _meta }) => [name, _meta.ui, getToolUiResourceUri({ _meta })]),
  [['view_series', { resourceUri: URI }, URI]],
);
const { contents } = await client.readResource({ uri: URI });
assert.deepEqual([contents.length, contents[0].mimeType, contents[0].uri], [1, MEDIA_TYPE, URI]);
assert.deepEqual(contents[0]._meta.ui, { prefersBorder: false });
const html = contents[0].text;
assert.ok(html.length <= 60000, `${html.length}`);

// A page that is a host: it only passes messages between its frame and this program.
const server = http.createServer((request, response) => {
  const isView = request.url === '/view';
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    ...(isView && { 'content-security-policy': POLICY }),
  });
  response.end(
    isView
      ? html
      : `<!doctype html><html lang="en"><title>Host</title>
    <iframe title="App" sandbox="allow-scripts" style="width:900px;height:640px;border:0"></iframe>
    <script>addEventListener('message', ({ data }) => fromView(data))</script>`,
  );
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));

// Shows the result of a tool in a view, then runs `test` with the frame and what the view sent to the model.
async function viewed(result, test) {
  await withPage({}, async (page) => {
    const bridge = new AppBridge(
      null,
      { name: 'host', version: '1' },
      { serverTools: {}, serverResources: {}, updateModelContext: { text: {}, structuredContent: {} } },
      { hostContext: { theme: 'dark', displayMode: 'inline', availableDisplayModes: ['inline', 'fullscreen'] } },
    );
    const contexts = [],
      modes = [];
    const transport = {
      async start() {},
      async close() {},
      send: (message) =>
        page.evaluate((message) => document.querySelector('iframe').contentWindow.postMessage(message, '*'), message),
    };
    await page.exposeFunction('fromView', (message) => transport.onmessage?.(message));
    await bridge.connect(transport);
    bridge.onreadresource = ({ uri }) => client.readResource({ uri });
    bridge.oncalltool = (call) => client.callTool(call);
    bridge.onupdatemodelcontext = async (context) => {
      contexts.push(context);
      return {};
    };
    bridge.onrequestdisplaymode = async ({ mode }) => {
      modes.push(mode);
      return { mode };
    };
    const initialized = new Promise((ready) => bridge.addEventListener('initialized', ready));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.evaluate(() => {
      document.querySelector('iframe').src = '/view';
    });
    await initialized;
    await bridge.sendToolInput({ arguments: {} });
    await bridge.sendToolResult(result);
    const [, frame] = page.frames();
    await frame.waitForFunction(
      () => view.image && view.frame && document.getElementById('notice').textContent === '',
      null,
      { polling: 50 },
    );
    const sent = async (test) => {
      for (let tries = 0; tries < 100; tries++) {
        const last = contexts.at(-1)?.structuredContent;
        if (last && test(last)) return last;
        await page.evaluate(() => new Promise((next) => setTimeout(next, 50)));
      }
      throw new Error(`the model was sent ${JSON.stringify(contexts)}`);
    };
    await test({ page, frame, bridge, contexts, modes, sent });
  });
}

const isShown = async (frame, expected) => {
  await frame.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  assert.equal(difference(await shown(frame, COLUMNS, ROWS), expected), '');
};

const [{ datastore_id }] = (await tool('list_datastores', {})).datastore_summaries;
const all = (await tool('search_image_sets', { datastore_id })).image_sets_metadata_summaries;
const ofSeries = async (study, modality) => {
  for (const { image_set_id } of all) {
    const { contents } = await client.readResource({
      uri: `healthimaging://datastores/${datastore_id}/image-sets/${image_set_id}/metadata`,
    });
    const { Study } = JSON.parse(contents[0].text);
    const [[uid, { DICOM }]] = Object.entries(Study.Series);
    if (DICOM.Modality === modality && (study === 'known') === (Study.DICOM.StudyDescription === 'known'))
      return { image_set_id, uid };
  }
  throw new Error(`no ${modality}`);
};

try {
  const ct = await ofSeries('known', 'CT'),
    us = await ofSeries('known', 'US');
  const asked = {
    datastore_id,
    series_instance_uid: ct.uid,
    slice: '3',
    window_center: -600,
    window_width: 1500,
  };
  const shows = async (args) => {
    const result = await client.callTool({ name: 'view_series', arguments: args });
    assert.ok(!result.isError, result.content[0].text);
    // With a viewer there is no picture; pictures come without structured content, which would replace them.
    assert.deepEqual([result.content.map(({ type }) => type), result.structuredContent], [['text'], undefined]);
    return result;
  };
  await viewed(await shows(asked), async ({ page, frame, bridge, contexts, modes, sent }) => {
    await frame.locator('#do-11').click();
    await frame.locator('#do-overlays').click();
    await isShown(frame, (x, y) => linear(known(x, y, 2) - 1024, -600, 1500));
    const first = await sent(({ slice }) => slice === 3);
    assert.deepEqual(
      [first.slices, first.window, first.series_instance_uid],
      [8, { center: -600, width: 1500 }, ct.uid],
    );
    await frame.locator('#port').press('ArrowDown');
    await frame.locator('#preset').selectOption({ label: 'Bone' });
    await isShown(frame, (x, y) => linear(known(x, y, 3) - 1024, 480, 2500));
    await sent(({ slice, window }) => slice === 4 && window.center === 480);
    // Nothing of the files goes into what the model reads as ours.
    assert.ok(!JSON.stringify(contexts).includes('KNOWN'));
    assert.equal(await frame.evaluate(() => document.documentElement.style.colorScheme), 'dark');
    await bridge.sendHostContextChange({ theme: 'light' });
    await frame.waitForFunction(() => document.documentElement.style.colorScheme === 'light');
    await frame.getByRole('button', { name: 'Full screen' }).click();
    await frame.waitForFunction(() => true);
    assert.deepEqual(modes, ['fullscreen']);
    await accessible(frame, 'the app');
    await page.screenshot({ path: 'pictures/app.png' });
    await bridge.teardownResource({});
  });
  console.log('  a series that the assistant chose');

  // LINEAR begins at a width of 1; through less, one whole number is gray here (PS3.3 C.11.2.1.3.2).
  const value = known(0, 0, 2) - 1024,
    narrow = { window_center: value + 0.05, window_width: 0.5 };
  await viewed(await shows({ ...asked, ...narrow }), async ({ frame, sent }) => {
    await frame.locator('#do-11').click();
    await frame.locator('#do-overlays').click();
    const gray = (-0.05 / 0.5 + 0.5) * 255;
    await isShown(frame, (x, y) => {
      const found = known(x, y, 2) - 1024;
      return found === value ? gray : found < value ? 0 : 255;
    });
    await sent(({ window }) => window.width === 0.5);
  });
  console.log('  a window narrower than 1');

  const study = {
    datastore_id,
    series: [ct, us].map(({ image_set_id }) => ({ image_set_id })),
    series_instance_uid: us.uid,
    slice: 2,
  };
  await viewed(
    { content: [{ type: 'text', text: JSON.stringify(study) }] },
    async ({ frame, sent }) => {
      assert.equal(await frame.locator('#series button').count(), 2);
      await frame.locator('#do-11').click();
      await isShown(frame, (x, y) => [(x * 2) % 256, (y * 2) % 256, 20]);
      await sent(({ slice, frame: number }) => slice === 2 && number === 2);
      await frame.locator('#series button', { hasText: 'CT' }).click();
      await sent(({ series_instance_uid }) => series_instance_uid === ct.uid);
    },
  );
  console.log('  a study of two series');

  const hostile = await ofSeries('hostile', 'CT');
  await viewed(await shows({ datastore_id, series_instance_uid: hostile.uid }), async ({ frame }) => {
    assert.ok((await frame.locator('#corners').innerText()).includes(MARKUP));
    assert.equal(await frame.evaluate(() => typeof hacked), 'undefined');
    assert.equal(await frame.locator('img, #view script').count(), 0);
  });
  console.log('  markup in attributes');

  // A host without MCP Apps: a picture, and where the viewer is.
  const plain = await connected({});
  const { content } = await plain.callTool({ name: 'view_series', arguments: asked });
  assert.deepEqual(
    content.map(({ type }) => type),
    ['text', 'image'],
  );
  const told = JSON.parse(content[0].text);
  assert.ok(told.viewer_url.startsWith(`http://${address}/#${datastore_id}/`), told.viewer_url);
  await withPage({}, async (page) => {
    await page.goto(told.viewer_url);
    await page.waitForFunction(() => view.image && view.frame);
    assert.equal(await page.evaluate(() => view.instance.series), ct.uid);
  });
  await plain.close();
  console.log('  a host without apps');
} finally {
  server.close();
  server.closeAllConnections();
  await client.close();
}
