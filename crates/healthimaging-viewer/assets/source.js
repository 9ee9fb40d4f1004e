// Where data come from: this server over HTTP, or the host of an MCP App over postMessage.
//
// Both have: tool, resource, series(place), frame(image), bulk(element), parallel, memory.

const NATIVE = '1.2.840.10008.1.2.1',
  JPEG_BASELINE = '1.2.840.10008.1.2.4.50';

// The JSON of a tool's answer: structured content, or the first text; and its pictures.
function answerOf(result) {
  const first = result.content?.find(({ type }) => type === 'text')?.text ?? '';
  let answer = result.structuredContent;
  if (!answer)
    try {
      answer = JSON.parse(first);
    } catch {
      answer = { text: first };
    }
  if (result.isError) throw new Error(answer.message ?? first);
  const pictures = (result.content ?? []).filter(({ type }) => type === 'image');
  return pictures.length ? { ...answer, pictures } : answer;
}

// Identifiers come from files and addresses: each is one segment of a path.
const segment = encodeURIComponent;

// One instance of a series: its attributes, and how its frames are named.
const instanceOf = (place, set, more) => ({ ...place, set, uid: text(set, 'SOPInstanceUID'), ...more });

class HttpSource {
  constructor() {
    this.parallel = 5;
    this.memory = 384e6;
    this.isApp = false;
    this.base = location.pathname.replace(/[^/]*$/, '');
    try {
      this.token = sessionStorage.getItem('token');
    } catch {
      this.token = null;
    }
  }

  async request(path, options = {}) {
    const { early } = window;
    if (early?.path === this.base + path) {
      window.early = null;
      const response = await early.response;
      if (response?.ok) return response;
    }
    for (;;) {
      const headers = { ...options.headers },
        { token } = this;
      if (token) headers.Authorization = `Bearer ${token}`;
      const response = await fetch(this.base + path, { ...options, headers, cache: 'no-cache' });
      if (response.ok) return response;
      // A server with access keys alone accepts no token.
      const takesToken = /\bBearer\b/i.test(response.headers.get('WWW-Authenticate') ?? '');
      if ((response.status === 401 && takesToken) || (response.status === 403 && token)) {
        // Another request may have asked in the meantime.
        if (token === this.token) {
          this.asking ??= askForToken(!!token).finally(() => {
            this.asking = null;
          });
          this.token = await this.asking;
        }
        continue;
      }
      const body = await response.text();
      let message = '';
      try {
        message = JSON.parse(body).message;
      } catch {
        /* not JSON */
      }
      throw Object.assign(new Error(message || `the server answered ${response.status}`), { status: response.status });
    }
  }

  async json(path) {
    const response = await this.request(path, { headers: { Accept: 'application/dicom+json' } });
    return response.status === 204 ? [] : (await response.json()).map(fromJson);
  }

  // A request of the protocol of 2026-07-28, which needs no session.
  async mcp(method, params = {}, name) {
    const headers = {
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      'MCP-Protocol-Version': '2026-07-28',
      'Mcp-Method': method,
    };
    if (name) headers['Mcp-Name'] = name;
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'healthimaging-viewer', version: '1' },
    };
    const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } });
    const response = await this.request('mcp', { method: 'POST', headers, body: call });
    const body = await response.text();
    const messages = body.startsWith('{')
      ? [body]
      : body.split(/\r?\n\r?\n/).map((event) =>
          event
            .split(/\r?\n/)
            .filter((line) => line.startsWith('data:'))
            .map((line) => line.slice(5))
            .join('\n'),
        );
    const answer = messages
      .filter((message) => message.trim())
      .map((message) => JSON.parse(message))
      .find(({ id }) => id === 1);
    if (!answer || answer.error) throw new Error(answer?.error?.message ?? 'the server did not answer');
    return answer.result;
  }

  async tool(name, args) {
    return answerOf(await this.mcp('tools/call', { name, arguments: args }, name));
  }

  async resource(uri) {
    return JSON.parse((await this.mcp('resources/read', { uri }, uri)).contents[0].text);
  }

  path({ datastore, study, series }) {
    return [`datastore/${segment(datastore)}/studies`, segment(study), 'series', segment(series)].join('/');
  }

  async series(place) {
    const sets = await this.json(`${this.path(place)}/metadata`);
    return sets.map((set) => instanceOf(place, set));
  }

  // The instance in the middle of a series, for its thumbnail.
  async middle(place, count) {
    const offset = Math.floor((count - 1) / 2);
    const [found] = await this.json(`${this.path(place)}/instances?limit=1&offset=${Math.max(0, offset)}`);
    if (!found) return null;
    const [set] = await this.json(`${this.path(place)}/instances/${segment(text(found, 'SOPInstanceUID'))}/metadata`);
    return instanceOf(place, set);
  }

  async bulk(element) {
    const uri = element.uri.slice(element.uri.indexOf('/datastore/') + 1);
    return new Uint8Array(
      await (await this.request(uri, { headers: { Accept: 'application/octet-stream' } })).arrayBuffer(),
    );
  }

  async frame({ instance, number: frameNumber }) {
    const path = `${this.path(instance)}/instances/${segment(instance.uid)}/frames/${frameNumber}`;
    const isWhole = [1, 8, 16, 32, 64].includes(number(instance.set, 'BitsAllocated'));
    const { bytes, syntax, error } = isWhole ? await this.part(path).catch((error) => ({ error })) : {};
    if (syntax === NATIVE) return { bytes };
    if (syntax === JPEG_BASELINE) return { picture: bytes };
    // What the browser cannot decode, the server may.
    try {
      const response = await this.request(`${path}/rendered`, { headers: { Accept: 'image/png' } });
      return { rendered: new Uint8Array(await response.arrayBuffer()) };
    } catch (other) {
      throw error ?? other;
    }
  }

  // The one part of a multipart/related: native pixels, or as they are stored where they have no native form.
  async part(path) {
    const media = 'multipart/related; type="application/octet-stream"; transfer-syntax';
    const response = await this.request(path, { headers: { Accept: `${media}=${NATIVE}, ${media}=*; q=0.5` } });
    const body = new Uint8Array(await response.arrayBuffer());
    const boundary = /boundary="?([^";]+)/.exec(response.headers.get('Content-Type'))[1].length;
    const start = body.findIndex(
      (_, at) => body[at] === 13 && body[at + 1] === 10 && body[at + 2] === 13 && body[at + 3] === 10,
    );
    let end = body.length;
    while (body[end - 1] === 10 || body[end - 1] === 13) end--;
    const head = new TextDecoder().decode(body.subarray(0, start));
    return {
      bytes: body.subarray(start + 4, end - boundary - 6),
      syntax: /transfer-syntax="?([\d.]+)/.exec(head)?.[1],
    };
  }
}

// A view inside a host (MCP Apps, 2026-01-26). Frames come from resources
// `healthimaging://datastores/{id}/image-sets/{id}/frames/{id}/pixels?chunk=N`, whose JSON has `chunk`, `chunks` and
// `data`: base64 of a piece of the native frame in little endian, deflated without a header; what else it has beside
// them (`photometric_interpretation`, `bits_allocated` …) overrules the metadata.
class HostSource {
  constructor() {
    this.parallel = 3;
    this.memory = 192e6;
    this.isApp = true;
    this.waiting = new Map();
    this.last = 0;
    this.handlers = {};
    addEventListener('message', ({ source, data }) => {
      if (source !== parent || data?.jsonrpc !== '2.0') return;
      if (data.method) return this.receive(data);
      const waiting = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error) waiting?.reject(new Error(data.error.message));
      else waiting?.resolve(data.result);
    });
  }

  receive({ id, method, params }) {
    this.handlers[method]?.(params ?? {});
    if (id === undefined) return;
    const known = method === 'ping' || method === 'ui/resource-teardown';
    const error = { code: -32601, message: 'method not found' };
    this.send(known ? { id, result: {} } : { id, error });
  }

  send(message) {
    parent.postMessage({ jsonrpc: '2.0', ...message }, '*');
  }

  notify(method, params = {}) {
    this.send({ method, params });
  }

  request(method, params) {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  async open() {
    this.host = await this.request('ui/initialize', {
      appInfo: { name: 'healthimaging-viewer', version: '1' },
      protocolVersion: '2026-01-26',
      appCapabilities: { availableDisplayModes: ['inline', 'fullscreen'] },
    });
    this.notify('ui/notifications/initialized');
    return this.host;
  }

  async tool(name, args) {
    return answerOf(await this.request('tools/call', { name, arguments: args }));
  }

  async resource(uri) {
    return JSON.parse((await this.request('resources/read', { uri })).contents[0].text);
  }

  // Instances of one series of an image set.
  async series(place) {
    const at = `healthimaging://datastores/${place.datastore}/image-sets/${place.imageSet}`;
    this.documents ??= new Map();
    if (!this.documents.has(at)) this.documents.set(at, this.resource(`${at}/metadata`));
    const { Patient, Study } = await this.documents.get(at);
    const shared = {
      ...fromDocument(Patient?.DICOM, Patient?.DICOMVRs),
      ...fromDocument(Study?.DICOM, Study?.DICOMVRs),
    };
    return Object.entries(Study?.Series ?? {})
      .filter(([uid]) => !place.series || uid === place.series)
      .flatMap(([series, { DICOM, DICOMVRs, Instances }]) => {
        const ofSeries = { ...shared, ...fromDocument(DICOM, DICOMVRs) };
        return Object.values(Instances).map(({ DICOM: own, DICOMVRs: vrs, ImageFrames = [] }) =>
          instanceOf(
            { ...place, series },
            { ...ofSeries, ...fromDocument(own, vrs) },
            { frames: ImageFrames.map(({ ID }) => `${at}/frames/${ID}/pixels`) },
          ),
        );
      });
  }

  async middle(place) {
    const all = await this.series(place);
    return all[Math.floor((all.length - 1) / 2)] ?? null;
  }

  async frame({ instance, number: frameNumber }) {
    const { frames } = instance;
    // All frames of an instance may be stored as one.
    const isShared = frames.length === 1 && frameNumber > 1;
    const uri = frames[isShared ? 0 : frameNumber - 1];
    if (!uri) throw new Error('the metadata names no such frame');
    const piece = (at) => this.resource(`${uri}?chunk=${at}${isShared ? `&frame_number=${frameNumber}` : ''}`);
    const first = await piece(0);
    const others = Array.from({ length: first.chunks - 1 }, (_, at) => piece(at + 1));
    const chunks = [first, ...(await Promise.all(others))].map(({ data }) => fromBase64(data));
    const stream = new Blob(chunks).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    return { bytes: new Uint8Array(await new Response(stream).arrayBuffer()), described: first };
  }
}
