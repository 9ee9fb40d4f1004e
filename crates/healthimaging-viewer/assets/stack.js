// The view of a study: series, the stack of one, and what the person does with it.

const byId = (id) => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

// A node; text goes in as text, so what a file says is never markup.
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

const announce = (message) => { byId('status').textContent = message; };
const round = (value, digits = 1) => Number.isFinite(value) ? String(+value.toFixed(digits)) : '–';
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const PRESETS = {
  CT: [['Soft tissue', 50, 400], ['Lung', -600, 1500], ['Bone', 480, 2500], ['Brain', 40, 80], ['Mediastinum', 50, 350], ['Liver', 60, 160]],
};

const MODES = { w: ['window', 'Window'], p: ['pan', 'Pan'], z: ['zoom', 'Zoom'], s: ['scroll', 'Scroll'], l: ['length', 'Length'], a: ['angle', 'Angle'] };

class View {
  constructor(source) {
    Object.assign(this, { source, painter: new Painter(true), images: [], at: 0, mode: 'window', marks: new Map(), pointers: new Map() });
    this.frames = new Frames(source, (image) => {
      if (image === this.image) this.changed();
      this.progress();
    });
    for (const [key, [mode, label]] of Object.entries(MODES)) {
      byId('modes').append(el('button', { type: 'button', 'aria-keyshortcuts': key, 'data-mode': mode, onclick: () => this.setMode(mode) }, label));
    }
    const action = (label, key, run, pressed) => byId('actions').append(el('button',
      { type: 'button', id: `do-${label.toLowerCase().replace(/\W/g, '')}`, 'aria-keyshortcuts': key, 'aria-pressed': pressed, onclick: run }, label));
    action('Invert', 'i', () => this.toggle('invert'), 'false');
    action('Overlays', 'o', () => this.toggle('overlays'), 'true');
    action('Fit', 'f', () => this.fit());
    action('1:1', '1', () => this.oneToOne());
    action('Reset', 'r', () => this.reset());
    action('Clear marks', 'Delete', () => this.clearMarks());
    action('Metadata', 'm', () => this.toggleMetadata(), 'false');
    this.overlays = true;
    this.setMode('window');
    this.listen();
  }

  get image() { return this.images[this.at]; }
  get frame() {
    const frame = this.image && this.frames.get(this.image);
    return frame && !frame.error ? frame : null;
  }

  listen() {
    const port = byId('port'), position = byId('position');
    new ResizeObserver(() => this.draw()).observe(port);
    position.addEventListener('input', () => this.go(position.value - 1));
    byId('play').addEventListener('click', () => this.play());
    byId('preset').addEventListener('change', ({ target }) => this.choosePreset(target.value));
    for (const id of ['center', 'width']) byId(id).addEventListener('change', () => this.typed());
    byId('filter').addEventListener('input', () => this.showMetadata());
    port.addEventListener('wheel', (event) => {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) return this.zoomBy(Math.exp(-event.deltaY / 300), event);
      this.rolled = (this.rolled ?? 0) + (event.deltaMode ? 40 * event.deltaY : event.deltaY);
      const steps = Math.trunc(this.rolled / 40) || 0;
      if (steps) { this.rolled -= 40 * steps; this.go(this.at + clamp(steps, -3, 3)); }
    }, { passive: false });
    port.addEventListener('contextmenu', (event) => event.preventDefault());
    port.addEventListener('pointerdown', (event) => this.down(event));
    port.addEventListener('pointermove', (event) => this.move(event));
    for (const end of ['pointerup', 'pointercancel']) port.addEventListener(end, (event) => this.up(event));
    port.addEventListener('pointerleave', () => { this.pointer = null; this.corners(); });
    port.addEventListener('keydown', (event) => this.key(event));
  }

  // Series ---------------------------------------------------------------------------------------------------

  // `list`: { place, count, title, detail } of each series; `wanted`: { series, slice, window }.
  async open(list, wanted = {}) {
    this.stop();
    this.list = list;
    const nav = byId('series');
    nav.replaceChildren(...list.map((entry) => entry.button = el('button', { type: 'button', onclick: () => this.show(entry) },
      entry.thumbnail = el('canvas', { width: 128, height: 128, 'aria-hidden': 'true' }),
      el('bdi', {}, entry.title), el('small', {}, entry.detail))));
    const seen = new IntersectionObserver((entries) => entries.filter(({ isIntersecting }) => isIntersecting).forEach(({ target }) => {
      seen.unobserve(target);
      this.thumbnail(list.find(({ button }) => button === target));
    }), { root: nav });
    list.forEach(({ button }) => seen.observe(button));
    const first = list.find(({ place }) => place.series === wanted.series) ?? list.find(({ modality }) => !['SR', 'PR', 'KO', 'SEG'].includes(modality)) ?? list[0];
    if (first) await this.show(first, wanted);
    else this.notice('This study has no series that can be shown.');
  }

  async thumbnail(entry) {
    const context = entry.thumbnail.getContext('2d');
    Object.assign(context, { font: '600 28px system-ui', textAlign: 'center', fillStyle: '#9aa9b6', imageSmoothingQuality: 'high' });
    try {
      const instance = await this.source.middle(entry.place, entry.count);
      if (!instance?.set.Rows) return context.fillText(entry.modality, 64, 74);
      const image = { instance, number: Math.ceil(number(instance.set, 'NumberOfFrames', 1) / 2) };
      const frame = await this.frames.load(image), drawn = this.rendered(frame, null, false, new Painter());
      const [wide, high] = this.aspect(image, frame), scale = 128 / Math.max(wide, high);
      context.drawImage(drawn, 64 - wide * scale / 2, 64 - high * scale / 2, wide * scale, high * scale);
    } catch { context.fillText(entry.modality, 64, 74); }
  }

  async show(entry, { slice, window, frame } = {}) {
    this.stop();
    this.list.forEach(({ button }) => button.setAttribute('aria-current', button === entry.button));
    Object.assign(this, { entry, images: [], at: 0, voi: null, invert: false, zoom: 1, pan: [0, 0], wasFit: true });
    byId('do-invert').setAttribute('aria-pressed', 'false');
    this.notice('Loading…');
    let instances;
    try {
      instances = await this.source.series(entry.place);
    } catch (error) {
      return this.notice(`The series could not be loaded: ${visible(error.message)}`);
    }
    if (entry !== this.entry) return;
    this.instances = instances;
    this.images = sorted(instances.filter(({ set }) => set.Rows)).flatMap((instance) =>
      Array.from({ length: number(instance.set, 'NumberOfFrames', 1) || 1 }, (_, at) => ({ instance, number: at + 1 })));
    const isDocument = !this.images.length;
    for (const id of ['port', 'slider', 'tools']) byId(id).hidden = isDocument;
    byId('document').hidden = !isDocument;
    if (isDocument) {
      this.instance = instances[0];
      this.changed();
      return showDocuments(this.source, instances, byId('document'));
    }
    if (window) this.voi = { ...window, shape: window.shape ?? 'LINEAR' };
    byId('position').max = this.images.length;
    byId('slider').hidden = this.images.length < 2;
    byId('rate').value = this.fileRate();
    this.go(clamp((slice ?? frame ?? 1) - 1, 0, this.images.length - 1), true);
  }

  fileRate() {
    const { set } = this.image.instance, time = number(set, 'FrameTime', 0);
    return clamp(Math.round(number(set, 'RecommendedDisplayFrameRate') ?? number(set, 'CineRate') ?? (time > 0 ? 1000 / time : 10)), 1, 60);
  }

  go(at, always) {
    at = clamp(at, 0, this.images.length - 1);
    if (at === this.at && !always) return;
    const direction = at < this.at ? -1 : 1;
    this.at = at;
    this.instance = this.image.instance;
    this.pending = null;
    byId('position').value = at + 1;
    byId('place').textContent = `${at + 1} / ${this.images.length}`;
    byId('position').setAttribute('aria-valuetext', `image ${at + 1} of ${this.images.length}`);
    const order = [this.image], ahead = Math.min(this.images.length, 64);
    for (let step = 1; step < ahead; step++) {
      for (const next of step % 4 ? [at + direction * step] : [at + direction * step, at - direction * step / 4]) {
        if (this.images[next]) order.push(this.images[next]);
      }
    }
    this.frames.want(order);
    this.changed();
  }

  progress() {
    const loaded = this.images.filter((image) => this.frames.cache.has(this.frames.key(image))).length;
    byId('position').title = `${loaded} of ${this.images.length} loaded`;
  }

  play() {
    if (this.playing) return this.stop();
    byId('play').textContent = 'Stop';
    byId('play').setAttribute('aria-pressed', 'true');
    let last = performance.now();
    const step = (now) => {
      this.playing = requestAnimationFrame(step);
      const next = (this.at + 1) % this.images.length;
      if (now - last < 1000 / clamp(+byId('rate').value || 10, 1, 60) - 4) return;
      // A frame on its way is waited for.
      if (!this.frames.cache.has(this.frames.key(this.image))) return;
      last = now;
      this.go(next);
    };
    this.playing = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = null;
    byId('play').textContent = 'Play';
    byId('play').setAttribute('aria-pressed', 'false');
  }

  // Drawing --------------------------------------------------------------------------------------------------

  // Something to look at has changed: the image, its window, its place.
  changed() {
    this.draw();
    this.presets();
    if (!byId('panel').hidden) this.showMetadata();
    this.onchange?.();
  }

  draw() {
    this.drawing ??= requestAnimationFrame(() => { this.drawing = null; this.paint(); });
  }

  // The window that an image is seen through: the person's, that of the file, or the range of its values.
  effective(frame) {
    if (!frame?.display || frame.display.isPalette) return this.voi?.isColor ? this.voi : null;
    return (this.voi?.isColor ? null : this.voi) ?? frame.display.vois[0] ?? spanning(frame, frame.display);
  }

  rendered(frame, voi, invert, painter = this.painter) {
    if (frame.colors) return painter.paintColors(frame, voi?.isColor ? voi : null, invert);
    const shown = this.effective.call({ voi }, frame) ?? {};
    const key = JSON.stringify([shown.center, shown.width, shown.shape, shown.name, invert]);
    if (frame.tableKey !== key) Object.assign(frame, { tableKey: key, table: colorTable(frame, frame.display, shown, invert) });
    return painter.paint(frame, frame.table);
  }

  paint() {
    const canvas = byId('canvas'), ratio = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!this.image || !width) return;
    const found = this.frames.get(this.image);
    if (!found) return this.notice('Loading…', true);
    const context = canvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (found.error) {
      this.corners();
      this.drawMarks();
      return this.notice(`This image cannot be shown: ${visible(found.error.message)}`);
    }
    const drawn = this.rendered(found, this.voi, this.invert), [wide, high] = this.aspect(this.image, found);
    const fit = Math.min(width / wide, height / high);
    if (this.wasFit) this.zoom = fit / ratio;
    const scale = this.zoom * ratio;
    this.scale = [scale * wide / found.columns, scale * high / found.rows];
    // On whole pixels, so that one to one is exact.
    this.origin = [Math.round((width - wide * scale) / 2 + this.pan[0] * ratio), Math.round((height - high * scale) / 2 + this.pan[1] * ratio)];
    context.imageSmoothingEnabled = scale !== 1 || wide !== found.columns || high !== found.rows;
    context.imageSmoothingQuality = 'high';
    context.setTransform(this.scale[0], 0, 0, this.scale[1], ...this.origin);
    context.drawImage(drawn, 0, 0);
    if (this.overlays) this.drawOverlays(context, found);
    this.notice('');
    this.corners();
    this.drawMarks();
  }

  drawOverlays(context, frame) {
    for (const overlay of frame.overlays) {
      if (!overlay.canvas) {
        const { rows, columns } = overlay;
        overlay.canvas = Object.assign(document.createElement('canvas'), { width: columns, height: rows });
        const image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer);
        for (let at = 0; at < pixels.length; at++) if (overlay.isSet(at)) pixels[at] = 0xffffffff;
        overlay.canvas.getContext('2d').putImageData(image, 0, 0);
      }
      context.drawImage(overlay.canvas, overlay.left, overlay.top);
    }
  }

  // Width and height with square pixels.
  aspect(image, { rows, columns }) {
    const ratio = spacingOf(image)?.ratio ?? 1;
    return ratio > 1 ? [columns, rows * ratio] : [columns / ratio, rows];
  }

  notice(message, isWaiting) {
    if (byId('notice').textContent !== message) byId('notice').textContent = message;
    byId('port').setAttribute('aria-busy', !!isWaiting);
    if (message && !isWaiting) announce(message);
  }

  corners() {
    const { image, frame } = this;
    if (!image) return byId('corners').replaceChildren();
    const { set } = image.instance, spacing = spacingOf(image);
    const join = (...lines) => lines.filter(Boolean).join('\n');
    const voi = frame && this.effective(frame), window = voi?.center !== undefined ? `C ${round(voi.center)} W ${round(voi.width)}` : visible(voi?.name ?? '');
    const texts = {
      tl: join(person(text(set, 'PatientName')), visible(text(set, 'PatientID')), [day(text(set, 'PatientBirthDate')), visible(text(set, 'PatientSex'))].filter(Boolean).join(' ')),
      tr: join(visible(text(set, 'StudyDescription')), visible(text(set, 'SeriesDescription')), day(text(set, 'StudyDate'))),
      bl: join(...(frame?.notes ?? []), this.pointed(), [window, `Zoom ${round(this.zoom * 100, 0)} %`].filter(Boolean).join(' · ')),
      br: join('Not for diagnosis', spacing?.ratio !== undefined && spacing.ratio !== 1 ? 'Scaled to square pixels' : '', !spacing?.mm ? 'No Pixel Spacing' : '',
        frame ? `${frame.columns} × ${frame.rows}` : '', text(set, 'SliceLocation') ? `Location ${round(number(set, 'SliceLocation'))} mm` : '',
        number(set, 'NumberOfFrames', 1) > 1 ? `Frame ${image.number}` : '', `Image ${this.at + 1} of ${this.images.length}`),
      ...orientation(image),
    };
    byId('corners').replaceChildren(...Object.entries(texts).map(([place, value]) => el('span', { class: place }, value)));
    byId('port').setAttribute('aria-label', `Image ${this.at + 1} of ${this.images.length}${window ? `, ${window}` : ''}`);
  }

  // The value under the pointer.
  pointed() {
    const { frame } = this;
    if (!this.pointer || !frame || !this.scale) return '';
    const [x, y] = this.toImage(this.pointer).map(Math.floor), at = y * frame.columns + x;
    if (x < 0 || y < 0 || x >= frame.columns || y >= frame.rows) return '';
    if (frame.colors) return `(${x}, ${y}) ${Array.from(frame.colors.slice(4 * at, 4 * at + 3)).join(' ')}`;
    const code = frame.values[at], stored = frame.signed ? code << 16 >> 16 : code;
    return `(${x}, ${y}) ${round(frame.display.modality(stored), 2)} ${frame.display.unit}`;
  }

  // Window ---------------------------------------------------------------------------------------------------

  presets() {
    const { frame, image } = this, select = byId('preset'), voi = this.effective(frame);
    const file = frame?.display?.vois ?? [], own = PRESETS[image && text(image.instance.set, 'Modality')] ?? [];
    const names = [...file.map(({ name }) => visible(name)), 'Range of values', ...own.map(([name]) => name), 'Custom'];
    const key = names.join('\n');
    if (this.presetNames !== key) {
      this.presetNames = key;
      select.replaceChildren(...names.map((name, at) => el('option', { value: at }, name)));
    }
    select.value = String(this.voi ? this.preset ?? names.length - 1 : 0);
    for (const id of ['center', 'width']) {
      if (document.activeElement !== byId(id)) byId(id).value = voi?.[id] === undefined ? '' : round(voi[id], 2);
    }
  }

  choosePreset(index) {
    const { frame, image } = this;
    if (!frame) return;
    const file = frame.display?.vois ?? [], own = PRESETS[text(image.instance.set, 'Modality')] ?? [], at = +index;
    if (at < file.length) this.voi = at || this.voi ? file[at] : null;
    else if (at === file.length) this.voi = frame.display ? spanning(frame, frame.display) : null;
    else if (own[at - file.length - 1]) {
      const [, center, width] = own[at - file.length - 1];
      this.voi = { center, width, shape: 'LINEAR' };
    }
    this.preset = at;
    this.changed();
  }

  typed() {
    const center = +byId('center').value, width = +byId('width').value, shape = this.effective(this.frame)?.shape ?? 'LINEAR';
    if (byId('center').value && isUsable({ center, width, shape })) this.setWindow(center, width);
  }

  setWindow(center, width) {
    const shape = this.effective(this.frame)?.shape ?? 'LINEAR';
    this.voi = { center, width: Math.max(width, shape === 'LINEAR' ? 1 : 1e-6), shape, isColor: !!this.frame?.colors };
    this.preset = null;
    this.changed();
  }

  toggle(what) {
    this[what] = !this[what];
    byId(`do-${what}`).setAttribute('aria-pressed', this[what]);
    this.changed();
  }

  // Place ----------------------------------------------------------------------------------------------------

  fit() {
    Object.assign(this, { wasFit: true, pan: [0, 0] });
    this.changed();
  }

  oneToOne() {
    Object.assign(this, { wasFit: false, zoom: 1 / (devicePixelRatio || 1), pan: [0, 0] });
    this.changed();
  }

  reset() {
    Object.assign(this, { voi: null, preset: null, invert: false });
    byId('do-invert').setAttribute('aria-pressed', 'false');
    this.fit();
  }

  // Zooms about a point of the page, or the middle.
  zoomBy(factor, point) {
    const box = byId('port').getBoundingClientRect(), zoom = clamp(this.zoom * factor, 0.02, 64), by = zoom / this.zoom;
    const from = point ? [point.clientX - box.x - box.width / 2, point.clientY - box.y - box.height / 2] : [0, 0];
    this.pan = this.pan.map((pan, axis) => from[axis] - (from[axis] - pan) * by);
    Object.assign(this, { zoom, wasFit: false });
    this.draw();
  }

  toImage({ clientX, clientY }) {
    const box = byId('port').getBoundingClientRect(), ratio = devicePixelRatio || 1;
    return [(clientX - box.x) * ratio, (clientY - box.y) * ratio].map((value, axis) => (value - this.origin[axis]) / this.scale[axis]);
  }

  toPort([x, y]) {
    const ratio = devicePixelRatio || 1;
    return [x, y].map((value, axis) => (value * this.scale[axis] + this.origin[axis]) / ratio);
  }

  setMode(mode) {
    Object.assign(this, { mode, pending: null });
    for (const button of byId('modes').children) button.setAttribute('aria-pressed', button.dataset.mode === mode);
  }

  // Pointers -------------------------------------------------------------------------------------------------

  down(event) {
    const port = byId('port');
    port.focus({ preventScroll: true });
    port.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    const voi = this.effective(this.frame) ?? { center: 128, width: 256 };
    const mode = event.button === 2 ? 'zoom' : event.button === 1 ? 'pan' : event.pointerType === 'touch' && this.mode === 'window' && !this.touched ? 'window' : this.mode;
    this.drag = { mode, x: event.clientX, y: event.clientY, at: this.at, pan: this.pan, center: voi.center, width: voi.width };
    if (this.pointers.size === 2) this.drag.mode = 'pinch';
    if (!this.frame || !this.scale || event.button > 0 || this.pointers.size > 1) return;
    if (mode === 'length' || mode === 'angle') {
      const point = this.toImage(event);
      if (this.pending) this.follow(event);
      else this.pending = { kind: mode, points: [point, point], key: this.frames.key(this.image), isNew: true };
      this.drawMarks();
    }
  }

  move(event) {
    this.pointer = event;
    const before = this.pointers.get(event.pointerId), { drag } = this;
    if (!before || !drag) {
      if (this.pending) this.follow(event);
      return this.corners();
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
    this.pointers.set(event.pointerId, event);
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    const stepX = event.clientX - before.clientX, stepY = event.clientY - before.clientY;
    if (drag.mode === 'pinch' && others[0]) {
      const apart = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY) || 1;
      this.pan = [this.pan[0] + stepX / 2, this.pan[1] + stepY / 2];
      this.zoomBy(apart(event) / apart(before), { clientX: (event.clientX + others[0].clientX) / 2, clientY: (event.clientY + others[0].clientY) / 2 });
    } else if (drag.mode === 'pan') {
      this.pan = [this.pan[0] + stepX, this.pan[1] + stepY];
      this.wasFit = false;
      this.draw();
    } else if (drag.mode === 'zoom') {
      this.zoomBy(Math.exp(-stepY / 120));
    } else if (drag.mode === 'scroll') {
      this.go(drag.at + Math.round(dy / 8));
    } else if (drag.mode === 'window' && drag.width !== undefined && !this.frame?.display?.isPalette) {
      const speed = Math.max(drag.width, 1) / 256;
      this.setWindow(drag.center + dy * speed, drag.width + dx * speed * 2);
    } else if (this.pending) {
      this.follow(event);
    }
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const { drag, pending } = this;
    this.drag = null;
    if (!pending || !drag || event.type !== 'pointerup') return;
    const isFirst = pending.isNew;
    pending.isNew = false;
    // Drawn by dragging, or by clicking each point.
    if (isFirst && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < 3) return;
    if (pending.points.length < (pending.kind === 'length' ? 2 : 3)) {
      pending.points.push(this.toImage(event));
      return;
    }
    this.marks.set(pending.key, [...this.marks.get(pending.key) ?? [], pending]);
    this.pending = null;
    announce(this.measured(pending).label);
    this.changed();
  }

  follow(event) {
    this.pending.points[this.pending.points.length - 1] = this.toImage(event);
    this.drawMarks();
  }

  // Measurements ---------------------------------------------------------------------------------------------

  clearMarks() {
    this.pending = null;
    if (this.image) this.marks.delete(this.frames.key(this.image));
    this.changed();
  }

  measured({ kind, points }) {
    const spacing = spacingOf(this.image, points[0]), [down, across] = spacing?.mm ?? [spacing?.ratio ?? 1, 1];
    const [first, middle, last] = points.map(([x, y]) => [x * across, y * down]);
    if (kind === 'length') {
      const length = Math.hypot(middle[0] - first[0], middle[1] - first[1]);
      const unit = spacing?.mm ? 'mm' : 'px', more = spacing?.mm ? spacing.note : 'no Pixel Spacing';
      return { value: length, unit, label: `${round(length)} ${unit}${more ? ` (${more})` : ''}` };
    }
    if (!last) return { label: '' };
    const arm = (end) => Math.atan2(end[1] - middle[1], end[0] - middle[0]);
    let angle = Math.abs(arm(first) - arm(last)) * 180 / Math.PI;
    if (angle > 180) angle = 360 - angle;
    return { value: angle, unit: 'degrees', label: `${round(angle)}°` };
  }

  drawMarks() {
    const svg = byId('marks');
    if (!this.image || !this.scale) return svg.replaceChildren();
    const key = this.frames.key(this.image), all = [...this.marks.get(key) ?? [], ...this.pending ? [this.pending] : []];
    const make = (name, attributes, label) => {
      const node = document.createElementNS(SVG, name);
      for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
      if (label) node.textContent = label;
      return node;
    };
    svg.replaceChildren(...all.flatMap((mark) => {
      const points = mark.points.map((point) => this.toPort(point)), [x, y] = points[points.length - 1];
      return [make('polyline', { points: points.join(' ') }), ...points.map(([cx, cy]) => make('circle', { cx, cy, r: 3 })),
        make('text', { x: x + 8, y: y - 6 }, this.measured(mark).label)];
    }));
  }

  // Keys -----------------------------------------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event, mode = MODES[key.toLowerCase()];
    const page = Math.max(5, Math.round(this.images.length / 10));
    const moves = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -page, PageDown: page, Home: -1e9, End: 1e9 };
    const acts = {
      i: () => this.toggle('invert'), o: () => this.toggle('overlays'), f: () => this.fit(), 1: () => this.oneToOne(), r: () => this.reset(),
      ' ': () => this.play(), m: () => this.toggleMetadata(), Delete: () => this.clearMarks(), Escape: () => { this.pending = null; this.drawMarks(); },
      '+': () => this.zoomBy(1.25), '-': () => this.zoomBy(0.8),
    };
    const act = key in moves ? () => this.go(this.at + moves[key]) : mode ? () => this.setMode(mode[0]) : acts[key.length > 1 ? key : key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  toggleMetadata() {
    const panel = byId('panel');
    panel.hidden = !panel.hidden;
    byId('do-metadata').setAttribute('aria-pressed', !panel.hidden);
    if (!panel.hidden) this.showMetadata();
    this.draw();
  }

  showMetadata() { showAttributes(this.instance?.set ?? {}, byId('filter').value, byId('attributes')); }
}

// Geometry -------------------------------------------------------------------------------------------------------

const attributeOf = ({ instance, number: frame }, group, key) => numbers(groupOr(instance.set, frame, group), key);

// How large pixels are: { mm: [down, across], ratio, note }; undefined where the file does not say.
function spacingOf(image, point) {
  const { set } = image.instance;
  const regions = items(set, 'SequenceOfUltrasoundRegions').filter((region) => number(region, 'PhysicalUnitsXDirection') === 3);
  const [x, y] = point ?? [];
  const region = regions.find((one) => x === undefined || (x >= number(one, 'RegionLocationMinX0') && x <= number(one, 'RegionLocationMaxX1')
    && y >= number(one, 'RegionLocationMinY0') && y <= number(one, 'RegionLocationMaxY1')));
  const sources = [['PixelSpacing', attributeOf(image, 'PixelMeasuresSequence', 'PixelSpacing'), ''],
    ['ImagerPixelSpacing', numbers(set, 'ImagerPixelSpacing'), 'at the detector'],
    ['NominalScannedPixelSpacing', numbers(set, 'NominalScannedPixelSpacing'), 'of the scan']];
  for (const [, [down, across], note] of sources) {
    if (down > 0 && across > 0) {
      const ratio = down / across;
      return { mm: [down, across], note, ratio: ratio >= 0.01 && ratio <= 100 && Math.abs(ratio - 1) > 0.001 ? ratio : 1 };
    }
  }
  if (region) {
    const [across, down] = ['PhysicalDeltaX', 'PhysicalDeltaY'].map((key) => Math.abs(number(region, key, 0)) * 10);
    if (down > 0 && across > 0) return { mm: [down, across], note: '', ratio: 1 };
  }
  const [vertical, horizontal] = numbers(set, 'PixelAspectRatio');
  return vertical > 0 && horizontal > 0 ? { ratio: vertical / horizontal } : undefined;
}

// Letters of the edges, from the direction cosines (PS3.3 C.7.6.1.1.1).
function orientation(image) {
  const cosines = attributeOf(image, 'PlaneOrientationSequence', 'ImageOrientationPatient');
  if (cosines.length < 6) return {};
  const letters = (vector) => vector.map((value, axis) => [Math.abs(value), 'RAFLPH'[axis + (value > 0 ? 3 : 0)]])
    .filter(([size]) => size > 0.3).sort(([one], [other]) => other - one).map(([, letter]) => letter).join('');
  const row = cosines.slice(0, 3), column = cosines.slice(3, 6), back = (vector) => vector.map((value) => -value);
  return { e: letters(row), w: letters(back(row)), s: letters(column), n: letters(back(column)) };
}

// In the order of their place in the body where all are parallel, or else by Instance Number.
function sorted(instances) {
  const placed = instances.map((instance) => {
    const [a, b, c, d, e, f] = numbers(instance.set, 'ImageOrientationPatient'), position = numbers(instance.set, 'ImagePositionPatient');
    const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
    return { instance, normal, along: normal.reduce((sum, value, axis) => sum + value * position[axis], 0), number: number(instance.set, 'InstanceNumber', 0) };
  });
  const [first] = placed;
  const areParallel = placed.every(({ normal, along }) => Number.isFinite(along) && normal.every((value, axis) => Math.abs(value - first.normal[axis]) < 0.01));
  placed.sort((one, other) => (areParallel ? one.along - other.along : 0) || one.number - other.number);
  // The scanner's own direction is kept.
  if (areParallel && placed.length > 1 && placed[0].number > placed[placed.length - 1].number) placed.reverse();
  return placed.map(({ instance }) => instance);
}
