// Pixels: native frames to values or colors, and the way from a value to a level (PS3.3 C.7.6.3, C.11).

// XA and XRF: their modality LUT is for measuring, not for display (PS3.3 C.8.7.1.1.2).
const WITHOUT_MODALITY_LUT = ['1', '2', '3'].map((end) => `1.2.840.10008.5.1.4.1.1.12.${end}`);

function describe(set) {
  const allocated = number(set, 'BitsAllocated', 8);
  const stored = Math.min(number(set, 'BitsStored', allocated), allocated) || allocated;
  const samples = number(set, 'SamplesPerPixel', 1);
  return {
    rows: number(set, 'Rows', 0), columns: number(set, 'Columns', 0), samples, allocated, stored,
    high: Math.min(number(set, 'HighBit', stored - 1), allocated - 1),
    signed: number(set, 'PixelRepresentation', 0) === 1,
    isFloat: allocated === 64 || (allocated === 32 && !set.PixelRepresentation),
    photometric: text(set, 'PhotometricInterpretation') || (samples > 1 ? 'RGB' : 'MONOCHROME2'),
    planar: number(set, 'PlanarConfiguration', 0) === 1,
  };
}

// A frame: { rows, columns, values, lowest, highest, slope, intercept, raw } with 16-bit codes of gray or palette
// images, or { rows, columns, colors } with RGBA.
function decode(bytes, shape, set) {
  const { rows, columns, samples, allocated } = shape, count = rows * columns;
  const needed = Math.ceil(count * samples * allocated / 8);
  if (!count) throw new Error('the image has no rows or no columns');
  const notes = [];
  if (bytes.length < needed) {
    notes.push('The frame is cut short; missing pixels are shown as 0.');
    const whole = new Uint8Array(needed);
    whole.set(bytes);
    bytes = whole;
  }
  const frame = samples >= 3 ? colorFrame(bytes, shape) : grayFrame(bytes, shape, set);
  return Object.assign(frame, { rows, columns, notes });
}

// The words of native samples in little endian, whatever their place in memory.
function typed(bytes, Type, count) {
  const aligned = bytes.byteOffset % Type.BYTES_PER_ELEMENT ? bytes.slice() : bytes;
  return new Type(aligned.buffer, aligned.byteOffset, count);
}

function grayFrame(bytes, shape, set) {
  const { allocated, stored, high, signed, isFloat } = shape, count = shape.rows * shape.columns;
  if (allocated === 1) {
    const values = new Uint16Array(count);
    for (let at = 0; at < count; at++) values[at] = bytes[at >> 3] >> (at & 7) & 1;
    return { values, signed: false, lowest: 0, highest: 1 };
  }
  if (allocated > 16 || isFloat) return wideFrame(bytes, shape, set);
  const raw = allocated === 8 ? bytes.subarray(0, count) : typed(bytes, Uint16Array, count);
  const left = 31 - high, right = 32 - stored;
  let values = raw;
  if (stored < 16 || allocated === 8) {
    values = new Uint16Array(count);
    for (let at = 0; at < count; at++) values[at] = signed ? raw[at] << left >> right : raw[at] << left >>> right;
  }
  return { values, raw, signed, ...range(values, signed, paddingOf(set, shape)) };
}

// Samples of 32 and 64 bits and of floating point become codes of 16 bits over the range that occurs; 0 is padding.
function wideFrame(bytes, { rows, columns, allocated, signed, isFloat }, set) {
  const Type = allocated === 64 ? Float64Array : isFloat ? Float32Array : signed ? Int32Array : Uint32Array;
  const samples = typed(bytes, Type, rows * columns), padding = paddingOf(set, { allocated, signed, isFloat });
  const skipped = (value) => !Number.isFinite(value) || (padding && value >= padding[0] && value <= padding[1]);
  let low = Infinity, high = -Infinity;
  for (const value of samples) {
    if (skipped(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) low = high = 0;
  const step = (high - low) / 65534 || 1, code = (value) => skipped(value) ? 0 : 1 + Math.round((value - low) / step);
  return { values: Uint16Array.from(samples, code), signed: false, lowest: 1, highest: code(high), slope: step,
    intercept: low - step, isWide: true, isFractional: isFloat };
}

// The least and greatest stored value apart from padding, or of all where there is nothing else.
function range(values, signed, padding) {
  const find = (from, to) => {
    let lowest = Infinity, highest = -Infinity;
    for (let at = 0; at < values.length; at++) {
      const value = signed ? values[at] << 16 >> 16 : values[at];
      if (value >= from && value <= to) continue;
      if (value < lowest) lowest = value;
      if (value > highest) highest = value;
    }
    return { lowest, highest };
  };
  const found = find(...(padding ?? [1, 0]));
  return found.lowest > found.highest ? find(1, 0) : found;
}

// Pixel Padding as stored values: written as US or SS, whatever the pixels are (PS3.3 C.7.5.1.1.2).
function paddingOf(set, { allocated, signed, isFloat }) {
  const kind = isFloat ? allocated === 64 ? 'DoubleFloatPixelPadding' : 'FloatPixelPadding' : 'PixelPadding';
  const value = number(set, `${kind}Value`);
  if (value === undefined) return null;
  const all = 2 ** allocated;
  const asStored = (one) => isFloat ? one : signed && one >= all / 2 && one < all ? one - all
    : !signed && one < 0 && one >= -all / 2 ? one + all : one;
  const limit = number(set, `${kind}RangeLimit`, value);
  return [asStored(value), asStored(limit)].sort((one, other) => one - other);
}

function colorFrame(bytes, { rows, columns, samples, allocated, stored, high, photometric, planar }) {
  const count = rows * columns, colors = new Uint8ClampedArray(4 * count);
  const words = allocated === 8 ? bytes : allocated === 16 ? typed(bytes, Uint16Array, count * samples)
    : typed(bytes, Uint32Array, count * samples);
  const shift = high + 1 - stored, most = 2 ** stored - 1;
  const level = stored === 8 && allocated === 8 ? (value) => value
    : (value) => Math.round((value / 2 ** shift & most) * 255 / most);
  const [next, step] = planar ? [count, 1] : [1, samples];
  const convert = COLOR_SPACES[photometric] ?? ((one, two, three) => [one, two, three]);
  const isPlain = !COLOR_SPACES[photometric];
  for (let at = 0, from = 0, to = 0; at < count; at++, from += step, to += 4) {
    const one = level(words[from]), two = level(words[from + next]), three = level(words[from + 2 * next]);
    if (isPlain) { colors[to] = one; colors[to + 1] = two; colors[to + 2] = three; } else {
      const converted = convert(one, two, three, samples > 3 ? level(words[from + 3 * next]) : 0);
      colors[to] = converted[0]; colors[to + 1] = converted[1]; colors[to + 2] = converted[2];
    }
    colors[to + 3] = 255;
  }
  return { colors };
}

const fromYbr = (y, blue, red) => [y + 1.402 * red, y - 0.344136286 * blue - 0.714136286 * red, y + 1.772 * blue];
const full = (y, blue, red) => fromYbr(y, blue - 128, red - 128);
const partial = (y, blue, red) => fromYbr((y - 16) * 255 / 219, (blue - 128) * 255 / 224, (red - 128) * 255 / 224);
// What is subsampled in a frame is not so after decoding.
const COLOR_SPACES = {
  YBR_FULL: full, YBR_FULL_422: full, YBR_PARTIAL_422: partial, YBR_PARTIAL_420: partial,
  CMYK: (cyan, magenta, yellow, black) => [cyan, magenta, yellow].map((ink) => 255 - Math.min(255, ink + black)),
  ARGB: (_, red, green, blue) => [red, green, blue],
  HSV: (hue, saturation, value) => [5, 3, 1].map((shift) => {
    const away = (shift + hue / 256 * 6) % 6, lack = Math.min(1, Math.max(0, Math.min(away, 4 - away)));
    return value - value * saturation / 255 * lack;
  }),
};

// Lookup tables --------------------------------------------------------------------------------------------------

// The entries of a table of `count`, as bytes or words, and how many bits they have; as many as there are.
function entriesOf([count, , bits], data) {
  count = count % 65536 || 65536;
  bits = bits >= 1 && bits <= 16 ? bits : 0;
  const pad = data.length === count + 1 && count % 2;
  const inBytes = count > 1 && (data.length === count || pad || (bits && bits <= 8 && data.length < 2 * count));
  const entries = inBytes ? data.subarray(0, data.length - (pad ? 1 : 0)) : typed(data, Uint16Array, data.length >> 1);
  let greatest = 0;
  for (const entry of entries) if (entry > greatest) greatest = entry;
  const needed = 32 - Math.clz32(greatest), declared = inBytes ? Math.min(bits || 8, 8) : bits || 16;
  return { entries, bits: declared >= needed ? declared : Math.ceil(needed / 8) * 8, greatest };
}

const firstOf = ([, first], signed) => signed && first > 32767 ? first - 65536 : first;

function lookupTable(set, signed) {
  const descriptor = numbers(set, 'LUTDescriptor'), data = bytesOf(set, 'LUTData');
  if (descriptor.length < 3 || !data || data.length < 2) return null;
  const { entries, bits } = entriesOf(descriptor, data), first = firstOf(descriptor, signed);
  const at = (value) => entries[Math.min(entries.length - 1, Math.max(0, Math.floor(value - first)))];
  return { at, level: (value) => at(value) * 255 / (2 ** bits - 1), first, entries: entries.length };
}

// Segmented palettes (PS3.3 C.7.9.2).
function expand(segments, perEntry) {
  const entries = [];
  const direct = (at) => {
    const code = segments[at], length = segments[at + 1];
    if (!(length <= 65536 - entries.length)) return 0;
    if (code === 0 && at + 2 + length <= segments.length) {
      entries.push(...segments.subarray(at + 2, at + 2 + length));
      return at + 2 + length;
    }
    if (code === 1 && entries.length && at + 2 < segments.length) {
      const start = entries[entries.length - 1], rise = segments[at + 2] - start;
      for (let step = 1; step <= length; step++) entries.push(Math.round(start + rise * step / length));
      return at + 3;
    }
    return 0;
  };
  for (let at = 0; at + 1 < segments.length;) {
    if (segments[at] === 2) {
      let offset = 0;
      for (let part = 4 / perEntry; part > 0; part--) offset = offset * 2 ** (8 * perEntry) + segments[at + 1 + part];
      let from = offset / perEntry;
      for (let left = segments[at + 1]; left > 0 && from; left--) from = direct(from);
      at += 2 + 4 / perEntry;
    } else {
      at = direct(at);
    }
    if (!at) break;
  }
  return Uint16Array.from(entries);
}

function palette(set, signed) {
  const tables = ['Red', 'Green', 'Blue'].map((color) => {
    const descriptor = numbers(set, `${color}PaletteColorLookupTableDescriptor`);
    const segmented = bytesOf(set, `Segmented${color}PaletteColorLookupTableData`);
    const data = segmented ?? bytesOf(set, `${color}PaletteColorLookupTableData`);
    if (descriptor.length < 3 || !data) return null;
    const isShort = descriptor[2] <= 8;
    const table = segmented
      ? { entries: expand(isShort ? segmented : typed(segmented, Uint16Array, segmented.length >> 1), isShort ? 1 : 2), bits: descriptor[2] }
      : entriesOf(descriptor, data);
    return table.entries.length ? { ...table, first: firstOf(descriptor, signed) } : null;
  });
  if (tables.includes(null)) return null;
  // Entries of 16 bits that never exceed 8 are entries of 8 bits: the picture would be black.
  const isLow = tables.every(({ entries }) => entries.every((entry) => entry < 256));
  const channels = tables.map(({ entries, bits }) => {
    const most = 2 ** (isLow && bits === 16 ? 8 : bits) - 1;
    return Uint8ClampedArray.from(entries, (entry) => Math.round(entry * 255 / most));
  });
  const { first } = tables[0];
  const at = (value) => channels.map((channel) => channel[Math.min(channel.length - 1, Math.max(0, value - first))]);
  return { first, at };
}

// Display --------------------------------------------------------------------------------------------------------

// What the attributes say about how a gray or palette frame is shown.
function displayOf(set, frameNumber, shape, frame) {
  const notes = [];
  let modality = (stored) => stored, unit = '';
  const isPlain = WITHOUT_MODALITY_LUT.includes(text(set, 'SOPClassUID'));
  const transformation = functionalGroup(set, frameNumber, 'PixelValueTransformationSequence') ?? set;
  const table = isPlain ? null : lookupTable(item(set, 'ModalityLUTSequence'), shape.signed);
  let slope = number(transformation, 'RescaleSlope', 1), intercept = number(transformation, 'RescaleIntercept', 0);
  if (slope === 0) { notes.push('RescaleSlope is 0 and was not applied.'); slope = 1; intercept = 0; }
  const dose = number(set, 'DoseGridScaling', 0);
  if (dose > 0 && slope === 1 && intercept === 0) { slope = dose; unit = visible(text(set, 'DoseUnits')).toLowerCase(); }
  const stored = frame.isWide ? (code) => frame.slope * code + frame.intercept : (code) => code;
  if (table) modality = (code) => table.at(stored(code));
  else if (isPlain) modality = stored;
  else {
    modality = (code) => slope * stored(code) + intercept;
    unit ||= visible(text(transformation, 'RescaleType')) || (text(set, 'Modality') === 'CT' ? 'HU' : '');
    if (unit === 'US') unit = '';
  }
  const shapeOfLevels = text(set, 'PresentationLUTShape');
  const isSupplemental = ['COLOR', 'MIXED'].includes(text(set, 'PixelPresentation'));
  const isPalette = shape.photometric === 'PALETTE COLOR';
  const colors = isPalette || isSupplemental ? palette(set, shape.signed) : null;
  if (isPalette && !colors) notes.push('The palette is not usable; stored values are shown in gray.');
  return {
    modality, unit, notes, colors, isPalette: isPalette && !!colors,
    inverse: shapeOfLevels === 'INVERSE' || (shapeOfLevels !== 'IDENTITY' && shape.photometric === 'MONOCHROME1'),
    padding: frame.isWide ? [0, 0] : paddingOf(set, shape),
    vois: isPalette && colors ? [] : voisOf(set, frameNumber, shape, modality, notes),
  };
}

// The VOI LUTs and windows of a frame that are usable, each { name, table } or { name, center, width, shape }.
function voisOf(set, frameNumber, shape, modality, notes) {
  const source = groupOr(set, frameNumber, 'FrameVOILUTSequence');
  const lowest = shape.signed ? -(2 ** (shape.stored - 1)) : 0;
  const signed = modality(lowest) < 0;
  const found = [];
  for (const one of items(source, 'VOILUTSequence')) {
    const table = lookupTable(one, signed);
    if (table) found.push({ name: text(one, 'LUTExplanation') || 'VOI LUT', table });
  }
  if (items(source, 'VOILUTSequence').length && !found.length) notes.push('The VOI LUT is not usable.');
  const centers = values(source, 'WindowCenter').map(toNumber), widths = values(source, 'WindowWidth').map(toNumber);
  const names = values(source, 'WindowCenterWidthExplanation');
  const term = text(source, 'VOILUTFunction'), lut = ['LINEAR_EXACT', 'SIGMOID'].includes(term) ? term : 'LINEAR';
  centers.forEach((center, at) => {
    const window = { name: names[at] || `Window ${at + 1}`, center, width: widths[at], shape: lut };
    if (isUsable(window)) found.push(window);
  });
  if (centers.length && !found.some((voi) => !voi.table)) {
    notes.push('The window of the file is not usable; the range of values is shown.');
  }
  return found;
}

const isUsable = ({ center, width, shape }) =>
  Number.isFinite(center) && Number.isFinite(width) && (shape === 'LINEAR' ? width >= 1 : width > 0);

// The window that shows the least value black and the greatest white.
function spanning(frame, display) {
  const ends = [display.modality(frame.lowest), display.modality(frame.highest)];
  const low = Math.min(...ends), high = Math.max(...ends), span = high - low;
  if (span > 0 && (frame.isFractional || span < 1)) return { center: low + span / 2, width: span, shape: 'LINEAR_EXACT' };
  const width = span > 0 ? span + 1 : 2;
  return { center: low + width / 2, width, shape: 'LINEAR' };
}

// PS3.3 C.11.2.1.2 and C.11.2.1.3.
function levelOf({ center, width, shape, table }, value) {
  if (table) return table.level(value);
  if (shape === 'SIGMOID') return 255 / (1 + Math.exp(-4 * (value - center) / width));
  const exact = shape === 'LINEAR_EXACT', from = exact ? value - center : value - (center - 0.5), over = exact ? width : width - 1;
  return from <= -over / 2 ? 0 : from > over / 2 ? 255 : (from / over + 0.5) * 255;
}

// The color of each 16-bit code as RGBA, for both painters.
function colorTable(frame, display, voi, invert) {
  const table = new Uint32Array(65536), { padding, colors, isPalette } = display;
  const [least, greatest] = padding ? [Math.min(padding[0], frame.lowest), Math.max(padding[1], frame.highest)] : [frame.lowest, frame.highest];
  const flip = display.inverse !== invert;
  const opaque = (red, green, blue) => (0xff000000 | blue << 16 | green << 8 | red) >>> 0;
  table.fill(opaque(0, 0, 0));
  for (let code = Math.max(least, -32768); code <= Math.min(greatest, 65535); code++) {
    if (colors && (isPalette || code >= colors.first)) {
      const [red, green, blue] = colors.at(code);
      table[code & 0xffff] = isPalette && invert ? opaque(255 - red, 255 - green, 255 - blue) : opaque(red, green, blue);
      continue;
    }
    if (padding && code >= padding[0] && code <= padding[1]) continue;
    const level = levelOf(voi, display.modality(code));
    const shown = Math.round(Math.min(255, Math.max(0, flip ? 255 - level : level)));
    table[code & 0xffff] = opaque(shown, shown, shown);
  }
  return table;
}

// Overlays (60xx), each { top, left, rows, columns, bit(row, column) } (PS3.3 C.9.2).
function overlaysOf(set, frameNumber, shape, frame) {
  const found = [];
  for (let plane = 0; plane < 16; plane++) {
    const key = (element, keyword) => set[`60${(2 * plane).toString(16).padStart(2, '0').toUpperCase()}${element}`]
      ? `60${(2 * plane).toString(16).padStart(2, '0').toUpperCase()}${element}` : plane === 0 ? keyword : '';
    const rows = number(set, key('0010', 'OverlayRows'), 0), columns = number(set, key('0011', 'OverlayColumns'), 0);
    if (!rows || !columns) continue;
    const [top = 1, left = 1] = numbers(set, key('0050', 'OverlayOrigin'));
    const frames = Math.max(1, number(set, key('0015', 'NumberOfFramesInOverlay'), 1));
    const origin = number(set, key('0051', 'ImageFrameOrigin'));
    const index = frames === 1 && origin === undefined ? 0 : frameNumber - Math.max(1, origin ?? 1);
    if (index < 0 || index >= frames) continue;
    const data = bytesOf(set, key('3000', 'OverlayData')), position = number(set, key('0102', 'OverlayBitPosition'), -1);
    let isSet;
    if (data) {
      isSet = (at) => data[index * rows * columns + at >> 3] >> (index * rows * columns + at & 7) & 1;
    } else if (frame.raw && position >= 0 && columns === shape.columns
      && number(set, key('0100', 'OverlayBitsAllocated')) === shape.allocated) {
      isSet = (at) => frame.raw[at] >> position & 1;
    } else continue;
    found.push({ top: top - 1, left: left - 1, rows, columns, isSet });
  }
  return found;
}

// Painters -------------------------------------------------------------------------------------------------------

// Draws a frame of values through a color table at one canvas pixel a pixel.
class CanvasPainter {
  constructor() {
    this.canvas = document.createElement('canvas');
    this.name = 'canvas';
  }

  paint(frame, table) {
    const { rows, columns, values } = frame;
    if (this.canvas.width !== columns || this.canvas.height !== rows) Object.assign(this.canvas, { width: columns, height: rows });
    const context = this.canvas.getContext('2d');
    this.image = this.image?.width === columns && this.image.height === rows ? this.image : context.createImageData(columns, rows);
    const pixels = new Uint32Array(this.image.data.buffer);
    for (let at = 0; at < pixels.length; at++) pixels[at] = table[values[at]];
    context.putImageData(this.image, 0, 0);
    return this.canvas;
  }
}

// The same by the graphics processor: codes and colors are textures of integers, so that the result is the same.
class WebGlPainter {
  constructor() {
    this.canvas = document.createElement('canvas');
    this.name = 'WebGL2';
    const gl = this.gl = this.canvas.getContext('webgl2', { alpha: false, antialias: false, depth: false });
    if (!gl) throw new Error('no WebGL2');
    const program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, `#version 300 es
        void main() { gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1); }`],
      [gl.FRAGMENT_SHADER, `#version 300 es
        precision highp float; precision highp int; precision highp usampler2D;
        uniform usampler2D codes; uniform usampler2D colors; uniform int rows; out vec4 color;
        void main() {
          ivec2 at = ivec2(gl_FragCoord.xy);
          uint code = texelFetch(codes, ivec2(at.x, rows - 1 - at.y), 0).r;
          color = vec4(texelFetch(colors, ivec2(code & 255u, code >> 8), 0)) / 255.0;
        }`],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error('no shader');
    gl.useProgram(program);
    this.rows = gl.getUniformLocation(program, 'rows');
    this.most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    ['codes', 'colors'].forEach((name, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
      for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
      gl.uniform1i(gl.getUniformLocation(program, name), unit);
    });
  }

  paint(frame, table) {
    const { gl } = this, { rows, columns, values } = frame;
    if (gl.isContextLost() || Math.max(rows, columns) > this.most) return null;
    if (this.canvas.width !== columns || this.canvas.height !== rows) Object.assign(this.canvas, { width: columns, height: rows });
    gl.viewport(0, 0, columns, rows);
    if (this.frame !== frame) {
      this.frame = frame;
      gl.activeTexture(gl.TEXTURE0);
      const codes = values instanceof Uint16Array ? values : Uint16Array.from(values);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, columns, rows, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, codes);
      gl.uniform1i(this.rows, rows);
    }
    if (this.table !== table) {
      this.table = table;
      gl.activeTexture(gl.TEXTURE1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8UI, 256, 256, 0, gl.RGBA_INTEGER, gl.UNSIGNED_BYTE, new Uint8Array(table.buffer));
    }
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    return this.canvas;
  }
}

// WebGL2 where it works, or else the canvas; colors need no table but for inversion.
class Painter {
  constructor(mayBeFast) {
    this.plain = new CanvasPainter();
    try { this.fast = mayBeFast && new WebGlPainter(); } catch { /* The canvas does it. */ }
  }

  get name() { return (this.fast ?? this.plain).name; }

  paint(frame, table) {
    const drawn = this.fast?.paint(frame, table);
    if (!drawn && this.fast?.gl.isContextLost()) this.fast = null;
    return drawn || this.plain.paint(frame, table);
  }

  paintColors(frame, window, invert) {
    const { canvas } = this.plain, context = canvas.getContext('2d');
    Object.assign(canvas, { width: frame.columns, height: frame.rows });
    let colors = frame.colors;
    if (window || invert) {
      const levels = Uint8ClampedArray.from({ length: 256 }, (_, value) => {
        const level = Math.round(window ? levelOf(window, value) : value);
        return invert ? 255 - level : level;
      });
      colors = colors.map((value, at) => (at & 3) === 3 ? 255 : levels[value]);
    }
    context.putImageData(new ImageData(colors, frame.columns, frame.rows), 0, 0);
    return canvas;
  }
}
