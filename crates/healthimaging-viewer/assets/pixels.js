// Pixels: native frames to values or colors, and the way from a value to a level (PS3.3 C.7.6.3, C.11).

// XA and XRF: their modality LUT is for measuring, not for display (PS3.3 C.8.7.1.1.2).
const WITHOUT_MODALITY_LUT = ['1', '2', '3'].map((end) => `1.2.840.10008.5.1.4.1.1.12.${end}`);

function describe(set) {
  const allocated = number(set, 'BitsAllocated', 8);
  const stored = Math.min(number(set, 'BitsStored', allocated), allocated) || allocated;
  const samples = number(set, 'SamplesPerPixel', 1);
  return {
    rows: number(set, 'Rows', 0),
    columns: number(set, 'Columns', 0),
    samples,
    allocated,
    stored,
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
  const { rows, columns, samples, allocated } = shape,
    count = rows * columns;
  const needed = Math.ceil((count * samples * allocated) / 8);
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
  const { allocated, stored, high, signed, isFloat } = shape,
    count = shape.rows * shape.columns;
  if (allocated === 1) {
    const values = new Uint16Array(count);
    for (let at = 0; at < count; at++) values[at] = (bytes[at >> 3] >> (at & 7)) & 1;
    return { values, signed: false, lowest: 0, highest: 1 };
  }
  if (allocated > 16 || isFloat) return wideFrame(bytes, shape, set);
  const raw = allocated === 8 ? bytes.subarray(0, count) : typed(bytes, Uint16Array, count);
  const left = 31 - high,
    right = 32 - stored;
  let values = raw;
  if (stored < 16 || allocated === 8) {
    values = new Uint16Array(count);
    for (let at = 0; at < count; at++) values[at] = signed ? (raw[at] << left) >> right : (raw[at] << left) >>> right;
  }
  return { values, raw, signed, ...range(values, signed, paddingOf(set, shape)) };
}

// Samples of 32 and 64 bits and of floating point become codes of 16 bits over the range that occurs; 0 is padding.
function wideFrame(bytes, { rows, columns, allocated, signed, isFloat }, set) {
  const Type = allocated === 64 ? Float64Array : isFloat ? Float32Array : signed ? Int32Array : Uint32Array;
  const samples = typed(bytes, Type, rows * columns),
    padding = paddingOf(set, { allocated, signed, isFloat });
  const skipped = (value) => !Number.isFinite(value) || (padding && value >= padding[0] && value <= padding[1]);
  let low = Infinity,
    high = -Infinity;
  for (const value of samples) {
    if (skipped(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) low = high = 0;
  const step = (high - low) / 65534 || 1,
    code = (value) => (skipped(value) ? 0 : 1 + Math.round((value - low) / step));
  return {
    values: Uint16Array.from(samples, code),
    signed: false,
    lowest: 1,
    highest: code(high),
    slope: step,
    intercept: low - step,
    isWide: true,
    isFractional: isFloat,
  };
}

// The least and greatest stored value apart from padding, or of all where there is nothing else.
function range(values, signed, padding) {
  const find = (from, to) => {
    let lowest = Infinity,
      highest = -Infinity;
    for (let at = 0; at < values.length; at++) {
      const value = signed ? (values[at] << 16) >> 16 : values[at];
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
  const kind = isFloat ? (allocated === 64 ? 'DoubleFloatPixelPadding' : 'FloatPixelPadding') : 'PixelPadding';
  const value = number(set, `${kind}Value`);
  if (value === undefined) return null;
  const all = 2 ** allocated;
  const asStored = (one) =>
    isFloat
      ? one
      : signed && one >= all / 2 && one < all
        ? one - all
        : !signed && one < 0 && one >= -all / 2
          ? one + all
          : one;
  const limit = number(set, `${kind}RangeLimit`, value);
  return [asStored(value), asStored(limit)].sort((one, other) => one - other);
}

function colorFrame(bytes, { rows, columns, samples, allocated, stored, high, photometric, planar }) {
  const count = rows * columns,
    colors = new Uint8ClampedArray(4 * count);
  const words =
    allocated === 8
      ? bytes
      : allocated === 16
        ? typed(bytes, Uint16Array, count * samples)
        : typed(bytes, Uint32Array, count * samples);
  const shift = high + 1 - stored,
    most = 2 ** stored - 1;
  const level =
    stored === 8 && allocated === 8
      ? (value) => value
      : (value) => Math.round((((value / 2 ** shift) & most) * 255) / most);
  const [next, step] = planar ? [count, 1] : [1, samples];
  const convert = COLOR_SPACES[photometric] ?? ((one, two, three) => [one, two, three]);
  const isPlain = !COLOR_SPACES[photometric];
  for (let at = 0, from = 0, to = 0; at < count; at++, from += step, to += 4) {
    const one = level(words[from]),
      two = level(words[from + next]),
      three = level(words[from + 2 * next]);
    if (isPlain) {
      colors[to] = one;
      colors[to + 1] = two;
      colors[to + 2] = three;
    } else {
      const converted = convert(one, two, three, samples > 3 ? level(words[from + 3 * next]) : 0);
      colors[to] = converted[0];
      colors[to + 1] = converted[1];
      colors[to + 2] = converted[2];
    }
    colors[to + 3] = 255;
  }
  return { colors };
}

const fromYbr = (y, blue, red) => [y + 1.402 * red, y - 0.344136286 * blue - 0.714136286 * red, y + 1.772 * blue];
const full = (y, blue, red) => fromYbr(y, blue - 128, red - 128);
const partial = (y, blue, red) =>
  fromYbr(((y - 16) * 255) / 219, ((blue - 128) * 255) / 224, ((red - 128) * 255) / 224);
// What is subsampled in a frame is not so after decoding.
const COLOR_SPACES = {
  YBR_FULL: full,
  YBR_FULL_422: full,
  YBR_PARTIAL_422: partial,
  YBR_PARTIAL_420: partial,
  CMYK: (cyan, magenta, yellow, black) => [cyan, magenta, yellow].map((ink) => 255 - Math.min(255, ink + black)),
  ARGB: (_, red, green, blue) => [red, green, blue],
  HSV: (hue, saturation, value) =>
    [5, 3, 1].map((shift) => {
      const away = (shift + (hue / 256) * 6) % 6,
        lack = Math.min(1, Math.max(0, Math.min(away, 4 - away)));
      return value - ((value * saturation) / 255) * lack;
    }),
};
