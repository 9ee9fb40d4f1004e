// The view of a study: the stack, its tools, and what a person does with pointers and keys.

const PRESETS = {
  CT: [
    ['Soft tissue', 50, 400],
    ['Lung', -600, 1500],
    ['Bone', 480, 2500],
    ['Brain', 40, 80],
    ['Mediastinum', 50, 350],
    ['Liver', 60, 160],
  ],
};
const MODES = {
  w: ['window', 'Window'],
  p: ['pan', 'Pan'],
  z: ['zoom', 'Zoom'],
  s: ['scroll', 'Scroll'],
  l: ['length', 'Length'],
  a: ['angle', 'Angle'],
};
class View extends Stack {
  constructor(source) {
    super(source);
    Object.assign(this, { marks: new Map(), pointers: new Map() });
    for (const [key, [mode, label]] of Object.entries(MODES)) {
      byId('modes').append(
        el(
          'button',
          { type: 'button', 'aria-keyshortcuts': key, 'data-mode': mode, onclick: () => this.setMode(mode) },
          label,
        ),
      );
    }
    const action = (label, key, run, pressed) =>
      byId('actions').append(
        el(
          'button',
          {
            type: 'button',
            id: `do-${label.toLowerCase().replace(/\W/g, '')}`,
            'aria-keyshortcuts': key,
            'aria-pressed': pressed,
            onclick: run,
          },
          label,
        ),
      );
    action('Invert', 'i', () => this.toggle('invert'), 'false');
    action('Overlays', 'o', () => this.toggle('overlays'), 'true');
    action('Fit', 'f', () => this.fit());
    action('1:1', '1', () => this.oneToOne());
    action('Reset', 'r', () => this.reset());
    action('Clear marks', 'Delete', () => this.clearMarks());
    action('Metadata', 'm', () => this.toggleMetadata(), 'false');
    this.setMode(matchMedia('(pointer: coarse)').matches ? 'scroll' : 'window');
    this.listen();
  }
  listen() {
    const port = byId('port'),
      position = byId('position');
    new ResizeObserver(() => this.draw()).observe(port);
    position.addEventListener('input', () => this.go(position.value - 1));
    byId('play').addEventListener('click', () => this.play());
    byId('preset').addEventListener('change', ({ target }) => this.choosePreset(target.value));
    for (const id of ['center', 'width']) byId(id).addEventListener('change', () => this.typed());
    byId('filter').addEventListener('input', () => this.showMetadata());
    port.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault();
        if (event.ctrlKey || event.metaKey) return this.zoomBy(Math.exp(-event.deltaY / 300), event);
        this.rolled = (this.rolled ?? 0) + (event.deltaMode ? 40 * event.deltaY : event.deltaY);
        const steps = Math.trunc(this.rolled / 40) || 0;
        if (steps) {
          this.rolled -= 40 * steps;
          this.go(this.at + clamp(steps, -3, 3));
        }
      },
      { passive: false },
    );
    port.addEventListener('contextmenu', (event) => event.preventDefault());
    port.addEventListener('pointerdown', (event) => this.down(event));
    port.addEventListener('pointermove', (event) => this.move(event));
    for (const end of ['pointerup', 'pointercancel']) port.addEventListener(end, (event) => this.up(event));
    port.addEventListener('pointerleave', () => {
      this.pointer = null;
      this.corners();
    });
    // Wherever the focus is, but where a key means something else.
    document.addEventListener('keydown', (event) => {
      const { key, target } = event;
      const isPress = key === ' ' || key === 'Enter';
      if (byId('view').hidden || target.closest('input, select, dialog, #panel')) return;
      if ((isPress && target.closest('button, a')) || (!this.images.length && key.toLowerCase() !== 'm')) return;
      this.key(event);
    });
  }
  setMode(mode) {
    Object.assign(this, { mode, pending: null });
    for (const button of byId('modes').children) button.setAttribute('aria-pressed', button.dataset.mode === mode);
  }
  // Something to look at has changed: the image, its window, its place.
  changed() {
    this.draw();
    this.presets();
    if (!byId('panel').hidden) this.showMetadata();
    this.onchange?.();
  }

  clear() {
    super.clear();
    this.pending = null;
    this.drawMarks();
  }

  // Draws the marks above the picture.
  paint() {
    super.paint();
    this.drawMarks();
  }

  presets() {
    const { frame, image } = this,
      select = byId('preset'),
      voi = this.effective(frame);
    const file = frame?.display?.vois ?? [],
      own = PRESETS[image && text(image.instance.set, 'Modality')] ?? [];
    const names = [...file.map(({ name }) => visible(name)), 'Range of values', ...own.map(([name]) => name), 'Custom'];
    const key = names.join('\n');
    if (this.presetNames !== key) {
      this.presetNames = key;
      select.replaceChildren(...names.map((name, at) => el('option', { value: at }, name)));
    }
    select.value = String(this.voi ? (this.preset ?? names.length - 1) : 0);
    for (const id of ['center', 'width']) {
      if (document.activeElement !== byId(id)) byId(id).value = voi?.[id] === undefined ? '' : round(voi[id], voi.width < 10 ? 6 : 2);
    }
  }
  choosePreset(index) {
    const { frame, image } = this;
    if (!frame) return;
    const file = frame.display?.vois ?? [],
      own = PRESETS[text(image.instance.set, 'Modality')] ?? [],
      at = +index;
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
    const center = +byId('center').value,
      width = +byId('width').value,
      shape = this.effective(this.frame)?.shape ?? 'LINEAR';
    if (byId('center').value && isUsable({ center, width, shape })) this.setWindow(center, width);
  }
  down(event) {
    const port = byId('port');
    port.focus({ preventScroll: true });
    port.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    const voi = this.effective(this.frame) ?? { center: 128, width: 256 };
    const mode = { 1: 'pan', 2: 'zoom' }[event.button] ?? this.mode;
    this.drag = {
      mode,
      x: event.clientX,
      y: event.clientY,
      at: this.at,
      pan: this.pan,
      center: voi.center,
      width: voi.width,
      isExact: voi.shape === 'LINEAR_EXACT',
    };
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
    const before = this.pointers.get(event.pointerId),
      { drag } = this;
    if (!before || !drag) {
      if (this.pending) this.follow(event);
      return this.corners();
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
    this.pointers.set(event.pointerId, event);
    const dx = event.clientX - drag.x,
      dy = event.clientY - drag.y;
    const stepX = event.clientX - before.clientX,
      stepY = event.clientY - before.clientY;
    if (drag.mode === 'pinch' && others[0]) {
      const apart = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY) || 1;
      this.pan = [this.pan[0] + stepX / 2, this.pan[1] + stepY / 2];
      this.zoomBy(apart(event) / apart(before), {
        clientX: (event.clientX + others[0].clientX) / 2,
        clientY: (event.clientY + others[0].clientY) / 2,
      });
    } else if (drag.mode === 'pan') {
      this.pan = [this.pan[0] + stepX, this.pan[1] + stepY];
      this.wasFit = false;
      this.draw();
    } else if (drag.mode === 'zoom') {
      this.zoomBy(Math.exp(-stepY / 120));
    } else if (drag.mode === 'scroll') {
      this.go(drag.at + Math.round(dy / 8));
    } else if (drag.mode === 'window' && drag.width !== undefined && !this.frame?.display?.isPalette) {
      const speed = Math.max(drag.width, drag.isExact ? 0 : 1) / 256;
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
    this.marks.set(pending.key, [...(this.marks.get(pending.key) ?? []), pending]);
    this.pending = null;
    announce(this.measured(pending).label);
    this.changed();
  }

  follow(event) {
    this.pending.points[this.pending.points.length - 1] = this.toImage(event);
    this.drawMarks();
  }
  clearMarks() {
    this.pending = null;
    if (this.image) this.marks.delete(this.frames.key(this.image));
    this.changed();
  }

  measured({ kind, points }) {
    const spacing = spacingOf(this.image, points[0]),
      [down, across] = spacing?.mm ?? [spacing?.ratio ?? 1, 1];
    const [first, middle, last] = points.map(([x, y]) => [x * across, y * down]);
    if (kind === 'length') {
      const length = Math.hypot(middle[0] - first[0], middle[1] - first[1]);
      const unit = spacing?.mm ? 'mm' : 'px',
        more = spacing?.mm ? spacing.note : 'no Pixel Spacing';
      return { value: length, unit, label: `${round(length)} ${unit}${more ? ` (${more})` : ''}` };
    }
    if (!last) return { label: '' };
    const arm = (end) => Math.atan2(end[1] - middle[1], end[0] - middle[0]);
    let angle = (Math.abs(arm(first) - arm(last)) * 180) / Math.PI;
    if (angle > 180) angle = 360 - angle;
    return { value: angle, unit: 'degrees', label: `${round(angle)}°` };
  }

  drawMarks() {
    const svg = byId('marks');
    if (!this.image || !this.scale) return svg.replaceChildren();
    const key = this.frames.key(this.image),
      all = [...(this.marks.get(key) ?? []), ...(this.pending ? [this.pending] : [])];
    const make = (name, attributes, label) => {
      const node = document.createElementNS(SVG, name);
      for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
      if (label) node.textContent = label;
      return node;
    };
    svg.replaceChildren(
      ...all.flatMap((mark) => {
        const points = mark.points.map((point) => this.toPort(point)),
          [x, y] = points[points.length - 1];
        return [
          make('polyline', { points: points.join(' ') }),
          ...points.map(([cx, cy]) => make('circle', { cx, cy, r: 3 })),
          make('text', { x: x + 8, y: y - 6 }, this.measured(mark).label),
        ];
      }),
    );
  }
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event,
      mode = MODES[key.toLowerCase()];
    const page = Math.max(5, Math.round(this.images.length / 10));
    const moves = {
      ArrowUp: -1,
      ArrowLeft: -1,
      ArrowDown: 1,
      ArrowRight: 1,
      PageUp: -page,
      PageDown: page,
      Home: -1e9,
      End: 1e9,
    };
    const acts = {
      i: () => this.toggle('invert'),
      o: () => this.toggle('overlays'),
      f: () => this.fit(),
      1: () => this.oneToOne(),
      r: () => this.reset(),
      ' ': () => this.play(),
      m: () => this.toggleMetadata(),
      Delete: () => this.clearMarks(),
      Escape: () => {
        this.pending = null;
        this.drawMarks();
      },
      '+': () => this.zoomBy(1.25),
      '-': () => this.zoomBy(0.8),
    };
    const act =
      key in moves
        ? () => this.go(this.at + moves[key])
        : mode
          ? () => this.setMode(mode[0])
          : acts[key.length > 1 ? key : key.toLowerCase()];
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

  showMetadata() {
    showAttributes(this.instance?.set ?? {}, byId('filter').value, byId('attributes'));
  }
}
