// A stack of images: loading, scrolling and drawing it.

class Stack {
  constructor(source) {
    Object.assign(this, { source, images: [], at: 0, overlays: true, painter: new Painter(true) });
    this.frames = new Frames(source, (image) => {
      if (image === this.image) this.changed();
      this.progress();
      this.loadThumbnails();
    });
  }

  get image() {
    return this.images[this.at];
  }

  get frame() {
    const frame = this.image && this.frames.get(this.image);
    return frame && !frame.error ? frame : null;
  }

  // `list`: { place, count, title, detail } of each series; `wanted`: { series, slice, window, instances }.
  async open(list, wanted = {}) {
    this.stop();
    this.list = list;
    const nav = byId('series');
    nav.replaceChildren(
      ...list.map(
        (entry) =>
          (entry.button = el(
            'button',
            { type: 'button', onclick: () => this.show(entry) },
            (entry.thumbnail = el('canvas', { width: 128, height: 128, 'aria-hidden': 'true' })),
            el('bdi', {}, entry.title),
            el('small', {}, entry.detail),
          )),
      ),
    );
    const first =
      list.find(({ place }) => place.series === wanted.series) ??
      list.find(({ modality }) => !['SR', 'PR', 'KO', 'SEG'].includes(modality)) ??
      list[0];
    if (!first) return this.notice('This study has no series that can be shown.');
    this.withoutThumbnails = true;
    const { instances, ...others } = wanted;
    await this.show(first, first.place.series === wanted.series ? wanted : others);
    if (!this.image) this.loadThumbnails();
  }

  // Loads the thumbnails that can be seen, as soon as the first image no longer waits for the server.
  loadThumbnails() {
    if (!this.withoutThumbnails) return;
    this.withoutThumbnails = false;
    const { list } = this;
    const seen = new IntersectionObserver(
      (entries) =>
        entries
          .filter(({ isIntersecting }) => isIntersecting)
          .forEach(({ target }) => {
            seen.unobserve(target);
            this.thumbnail(list.find(({ button }) => button === target));
          }),
      { root: byId('series') },
    );
    list.forEach(({ button }) => seen.observe(button));
  }

  async thumbnail(entry) {
    const context = entry.thumbnail.getContext('2d');
    Object.assign(context, {
      font: '600 28px system-ui',
      textAlign: 'center',
      fillStyle: '#9aa9b6',
      imageSmoothingQuality: 'high',
    });
    try {
      const instance = await this.source.middle(entry.place, entry.count);
      if (!instance?.set.Rows) return context.fillText(entry.modality, 64, 74);
      const image = { instance, number: Math.ceil(number(instance.set, 'NumberOfFrames', 1) / 2) };
      const frame = await this.frames.load(image),
        drawn = this.rendered(frame, null, false, new Painter());
      const [wide, high] = this.aspect(image, frame),
        scale = 128 / Math.max(wide, high);
      context.drawImage(drawn, 64 - (wide * scale) / 2, 64 - (high * scale) / 2, wide * scale, high * scale);
    } catch {
      context.fillText(entry.modality, 64, 74);
    }
  }

  async show(entry, { slice, window, frame, instances: opening } = {}) {
    this.stop();
    this.list.forEach(({ button }) => button.setAttribute('aria-current', button === entry.button));
    Object.assign(this, { entry, images: [], at: 0, voi: null, invert: false, zoom: 1, pan: [0, 0], wasFit: true });
    byId('do-invert').setAttribute('aria-pressed', 'false');
    this.clear();
    this.notice('Loading…', true);
    let instances;
    try {
      instances = await (opening ?? this.source.series(entry.place));
    } catch (error) {
      return this.notice(`The series could not be loaded: ${visible(error.message)}`);
    }
    if (entry !== this.entry) return;
    this.instances = instances;
    const frames = instances
      .filter(({ set }) => set.Rows)
      .flatMap((instance) =>
        Array.from({ length: number(instance.set, 'NumberOfFrames', 1) || 1 }, (_, at) => ({ instance, number: at + 1 })),
      );
    this.images = sorted(frames);
    const isDocument = !this.images.length;
    for (const id of ['port', 'slider', 'tools', 'keys']) byId(id).hidden = isDocument;
    byId('document').hidden = !isDocument;
    if (isDocument) {
      this.instance = instances[0];
      this.changed();
      return showDocuments(this.source, instances, byId('document'));
    }
    if (window) this.voi = window;
    byId('position').max = this.images.length;
    byId('slider').hidden = this.images.length < 2;
    byId('rate').value = this.fileRate();
    this.go(clamp((slice ?? frame ?? 1) - 1, 0, this.images.length - 1), true);
  }

  fileRate() {
    const { set } = this.image.instance,
      time = number(set, 'FrameTime', 0);
    return clamp(
      Math.round(
        number(set, 'RecommendedDisplayFrameRate') ?? number(set, 'CineRate') ?? (time > 0 ? 1000 / time : 10),
      ),
      1,
      60,
    );
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
    const order = [this.image],
      ahead = Math.min(this.images.length, 64);
    for (let step = 1; step < ahead; step++) {
      for (const next of step % 4 ? [at + direction * step] : [at + direction * step, at - (direction * step) / 4]) {
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

  // Removes the picture, so that none is beside the name of another series.
  clear() {
    const canvas = byId('canvas');
    canvas.getContext('2d').setTransform(1, 0, 0, 1, 0, 0);
    canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
    this.scale = null;
    this.corners();
  }

  draw() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      this.paint();
    });
  }

  // The window that an image is seen through: the person's, that of the file, or the range of its values.
  effective(frame) {
    if (!frame?.display || frame.display.isPalette) return this.voi?.isColor ? this.voi : null;
    const own = this.voi?.isColor ? null : this.voi;
    // The assistant names a window without its function.
    if (own?.width > 0 && !own.shape)
      return { ...own, shape: frame.isFractional || own.width < 1 ? 'LINEAR_EXACT' : 'LINEAR' };
    return own ?? frame.display.vois[0] ?? spanning(frame, frame.display);
  }

  rendered(frame, voi, invert, painter = this.painter) {
    if (frame.colors) return painter.paintColors(frame, voi?.isColor ? voi : null, invert);
    const shown = this.effective.call({ voi }, frame) ?? {};
    const key = JSON.stringify([shown.center, shown.width, shown.shape, shown.name, invert]);
    // A table has 256 KiB: only the last one is kept.
    if (painter.frame !== frame || painter.key !== key)
      Object.assign(painter, { frame, key, table: colorTable(frame, frame.display, shown, invert) });
    return painter.paint(frame, painter.table);
  }

  paint() {
    const canvas = byId('canvas'),
      ratio = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio),
      height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!this.image || !width) return;
    const found = this.frames.get(this.image);
    if (!found) return this.notice('Loading…', true);
    const context = canvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (found.error) {
      this.corners();
      return this.notice(`This image cannot be shown: ${visible(found.error.message)}`);
    }
    const drawn = this.rendered(found, this.voi, this.invert),
      [wide, high] = this.aspect(this.image, found);
    const fit = Math.min(width / wide, height / high);
    if (this.wasFit) this.zoom = fit / ratio;
    const scale = this.zoom * ratio;
    this.scale = [(scale * wide) / found.columns, (scale * high) / found.rows];
    // On whole pixels, so that one to one is exact.
    this.origin = [
      Math.round((width - wide * scale) / 2 + this.pan[0] * ratio),
      Math.round((height - high * scale) / 2 + this.pan[1] * ratio),
    ];
    context.imageSmoothingEnabled = scale !== 1 || wide !== found.columns || high !== found.rows;
    context.imageSmoothingQuality = 'high';
    context.setTransform(this.scale[0], 0, 0, this.scale[1], ...this.origin);
    context.drawImage(drawn, 0, 0);
    if (this.overlays) this.drawOverlays(context, found);
    this.notice('');
    this.corners();
  }

  drawOverlays(context, frame) {
    for (const overlay of frame.overlays) {
      if (!overlay.canvas) {
        const { rows, columns } = overlay;
        overlay.canvas = Object.assign(document.createElement('canvas'), { width: columns, height: rows });
        const image = new ImageData(columns, rows),
          pixels = new Uint32Array(image.data.buffer);
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
    const { set } = image.instance,
      spacing = spacingOf(image);
    const join = (...lines) => lines.filter(Boolean).join('\n');
    const voi = frame && this.effective(frame),
      digits = voi?.width < 10 ? 4 : 1,
      window = voi?.center !== undefined ? `C ${round(voi.center, digits)} W ${round(voi.width, digits)}` : visible(voi?.name ?? '');
    const texts = {
      tl: join(
        person(text(set, 'PatientName')),
        visible(text(set, 'PatientID')),
        [day(text(set, 'PatientBirthDate')), visible(text(set, 'PatientSex'))].filter(Boolean).join(' '),
      ),
      tr: join(
        visible(text(set, 'StudyDescription')),
        visible(text(set, 'SeriesDescription')),
        day(text(set, 'StudyDate')),
      ),
      bl: join(
        ...(frame?.notes ?? []),
        this.pointed(),
        [window, `Zoom ${round(this.zoom * 100, 0)} %`].filter(Boolean).join(' · '),
      ),
      br: join(
        'Not for diagnosis',
        spacing?.ratio !== undefined && spacing.ratio !== 1 ? 'Scaled to square pixels' : '',
        !spacing?.mm ? 'No Pixel Spacing' : '',
        frame ? `${frame.columns} × ${frame.rows}` : '',
        text(set, 'SliceLocation') ? `Location ${round(number(set, 'SliceLocation'))} mm` : '',
        number(set, 'NumberOfFrames', 1) > 1 ? `Frame ${image.number}` : '',
        `Image ${this.at + 1} of ${this.images.length}`,
      ),
      ...orientation(image),
    };
    byId('corners').replaceChildren(
      ...Object.entries(texts).map(([place, value]) => el('span', { class: place }, value)),
    );
    byId('port').setAttribute(
      'aria-label',
      `Image ${this.at + 1} of ${this.images.length}${window ? `, ${window}` : ''}`,
    );
  }

  // The value under the pointer.
  pointed() {
    const { frame } = this;
    if (!this.pointer || !frame || !this.scale) return '';
    const [x, y] = this.toImage(this.pointer).map(Math.floor),
      at = y * frame.columns + x;
    if (x < 0 || y < 0 || x >= frame.columns || y >= frame.rows) return '';
    if (frame.colors) return `(${x}, ${y}) ${Array.from(frame.colors.slice(4 * at, 4 * at + 3)).join(' ')}`;
    const code = frame.values[at],
      stored = frame.signed ? (code << 16) >> 16 : code;
    return `(${x}, ${y}) ${round(frame.display.modality(stored), 2)} ${frame.display.unit}`;
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
    const box = byId('port').getBoundingClientRect(),
      zoom = clamp(this.zoom * factor, 0.02, 64),
      by = zoom / this.zoom;
    const from = point ? [point.clientX - box.x - box.width / 2, point.clientY - box.y - box.height / 2] : [0, 0];
    this.pan = this.pan.map((pan, axis) => from[axis] - (from[axis] - pan) * by);
    Object.assign(this, { zoom, wasFit: false });
    this.draw();
  }

  toImage({ clientX, clientY }) {
    const box = byId('port').getBoundingClientRect(),
      ratio = devicePixelRatio || 1;
    return [(clientX - box.x) * ratio, (clientY - box.y) * ratio].map(
      (value, axis) => (value - this.origin[axis]) / this.scale[axis],
    );
  }

  toPort([x, y]) {
    const ratio = devicePixelRatio || 1;
    return [x, y].map((value, axis) => (value * this.scale[axis] + this.origin[axis]) / ratio);
  }
}
