// Display: from stored values to colors, by the modality LUT, VOI LUT, presentation LUT and palettes (PS3.3 C.11, C.7.6.3.1),
// and overlays (C.9.2).

// The entries of a table of `count`, as bytes or words, and how many bits they have; as many as there are.
function entriesOf([count, , bits], data) {
  count = count % 65536 || 65536;
  bits = bits >= 1 && bits <= 16 ? bits : 0;
  const pad = data.length === count + 1 && count % 2;
  const inBytes = count > 1 && (data.length === count || pad || (bits && bits <= 8 && data.length < 2 * count));
  const entries = inBytes ? data.subarray(0, data.length - (pad ? 1 : 0)) : typed(data, Uint16Array, data.length >> 1);
  let greatest = 0;
  for (const entry of entries) if (entry > greatest) greatest = entry;
  const needed = 32 - Math.clz32(greatest),
    declared = inBytes ? Math.min(bits || 8, 8) : bits || 16;
  return { entries, bits: declared >= needed ? declared : Math.ceil(needed / 8) * 8, greatest };
}

const firstOf = ([, first], signed) => (signed && first > 32767 ? first - 65536 : first);

function lookupTable(set, signed) {
  const descriptor = numbers(set, 'LUTDescriptor'),
    data = bytesOf(set, 'LUTData');
  if (descriptor.length < 3 || !data || data.length < 2) return null;
  const { entries, bits } = entriesOf(descriptor, data),
    first = firstOf(descriptor, signed);
  const at = (value) => entries[Math.min(entries.length - 1, Math.max(0, Math.floor(value - first)))];
  return { at, level: (value) => (at(value) * 255) / (2 ** bits - 1), first, entries: entries.length };
}

// The entries of a segmented palette, up to the first segment that makes no sense (PS3.3 C.7.9.2).
function expand(segments, perEntry) {
  const entries = [];
  const direct = (at) => {
    const code = segments[at],
      length = segments[at + 1];
    if (!(length <= 65536 - entries.length)) return -1;
    if (code === 0 && at + 2 + length <= segments.length) {
      entries.push(...segments.subarray(at + 2, at + 2 + length));
      return at + 2 + length;
    }
    if (code === 1 && entries.length && at + 2 < segments.length) {
      const start = entries[entries.length - 1],
        rise = segments[at + 2] - start;
      for (let step = 1; step <= length; step++) entries.push(Math.round(start + (rise * step) / length));
      return at + 3;
    }
    return -1;
  };
  for (let at = 0; at + 1 < segments.length;) {
    if (segments[at] === 2) {
      let offset = 0;
      for (let part = 4 / perEntry; part > 0; part--) offset = offset * 2 ** (8 * perEntry) + segments[at + 1 + part];
      let from = offset / perEntry;
      for (let left = segments[at + 1]; left > 0 && from >= 0; left--) from = direct(from);
      at += 2 + 4 / perEntry;
    } else {
      at = direct(at);
    }
    if (at < 0) break;
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
      ? {
          entries: expand(isShort ? segmented : typed(segmented, Uint16Array, segmented.length >> 1), isShort ? 1 : 2),
          bits: descriptor[2],
        }
      : entriesOf(descriptor, data);
    return table.entries.length ? { ...table, first: firstOf(descriptor, signed) } : null;
  });
  if (tables.includes(null)) return null;
  // Entries of 16 bits that never exceed 8 are entries of 8 bits: the picture would be black.
  const isLow = tables.every(({ entries }) => entries.every((entry) => entry < 256));
  const channels = tables.map(({ entries, bits }) => {
    const most = 2 ** (isLow && bits === 16 ? 8 : bits) - 1;
    return Uint8ClampedArray.from(entries, (entry) => Math.round((entry * 255) / most));
  });
  const { first } = tables[0];
  const at = (value) => channels.map((channel) => channel[Math.min(channel.length - 1, Math.max(0, value - first))]);
  return { first, at };
}

// What the attributes say about how a gray or palette frame is shown.
function displayOf(set, frameNumber, shape, frame) {
  const notes = [];
  let modality = (stored) => stored,
    unit = '';
  const isPlain = WITHOUT_MODALITY_LUT.includes(text(set, 'SOPClassUID'));
  const transformation = functionalGroup(set, frameNumber, 'PixelValueTransformationSequence') ?? set;
  const table = isPlain ? null : lookupTable(item(set, 'ModalityLUTSequence'), shape.signed);
  let slope = number(transformation, 'RescaleSlope', 1),
    intercept = number(transformation, 'RescaleIntercept', 0);
  if (slope === 0) {
    notes.push('RescaleSlope is 0 and was not applied.');
    slope = 1;
    intercept = 0;
  }
  const dose = number(set, 'DoseGridScaling', 0);
  if (dose > 0 && slope === 1 && intercept === 0) {
    slope = dose;
    unit = visible(text(set, 'DoseUnits')).toLowerCase();
  }
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
    modality,
    unit,
    notes,
    colors,
    isPalette: isPalette && !!colors,
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
  const centers = values(source, 'WindowCenter').map(toNumber),
    widths = values(source, 'WindowWidth').map(toNumber);
  const names = values(source, 'WindowCenterWidthExplanation');
  const term = text(source, 'VOILUTFunction'),
    lut = ['LINEAR_EXACT', 'SIGMOID'].includes(term) ? term : 'LINEAR';
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
  const low = Math.min(...ends),
    high = Math.max(...ends),
    span = high - low;
  if (span > 0 && (frame.isFractional || span < 1))
    return { center: low + span / 2, width: span, shape: 'LINEAR_EXACT' };
  const width = span > 0 ? span + 1 : 2;
  return { center: low + width / 2, width, shape: 'LINEAR' };
}

// PS3.3 C.11.2.1.2 and C.11.2.1.3.
function levelOf({ center, width, shape, table }, value) {
  if (table) return table.level(value);
  if (shape === 'SIGMOID') return 255 / (1 + Math.exp((-4 * (value - center)) / width));
  const exact = shape === 'LINEAR_EXACT',
    from = exact ? value - center : value - (center - 0.5),
    over = exact ? width : width - 1;
  return from <= -over / 2 ? 0 : from > over / 2 ? 255 : (from / over + 0.5) * 255;
}

// The color of each 16-bit code as RGBA, for both painters.
function colorTable(frame, display, voi, invert) {
  const table = new Uint32Array(65536),
    { padding, colors, isPalette } = display;
  const [least, greatest] = colors ? [-32768, 65535] : [frame.lowest, frame.highest];
  const flip = display.inverse !== invert;
  const opaque = (red, green, blue) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
  table.fill(opaque(0, 0, 0));
  for (
    let code = frame.signed ? least : Math.max(least, 0);
    code <= (frame.signed ? Math.min(greatest, 32767) : greatest);
    code++
  ) {
    if (colors && (isPalette || code >= colors.first)) {
      const [red, green, blue] = colors.at(code);
      table[code & 0xffff] =
        isPalette && invert ? opaque(255 - red, 255 - green, 255 - blue) : opaque(red, green, blue);
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
    const key = (element, keyword) =>
      set[`60${(2 * plane).toString(16).padStart(2, '0').toUpperCase()}${element}`]
        ? `60${(2 * plane).toString(16).padStart(2, '0').toUpperCase()}${element}`
        : plane === 0
          ? keyword
          : '';
    const rows = number(set, key('0010', 'OverlayRows'), 0),
      columns = number(set, key('0011', 'OverlayColumns'), 0);
    if (!rows || !columns) continue;
    const [top = 1, left = 1] = numbers(set, key('0050', 'OverlayOrigin'));
    const frames = Math.max(1, number(set, key('0015', 'NumberOfFramesInOverlay'), 1));
    const origin = number(set, key('0051', 'ImageFrameOrigin'));
    const index = frames === 1 && origin === undefined ? 0 : frameNumber - Math.max(1, origin ?? 1);
    if (index < 0 || index >= frames) continue;
    const data = bytesOf(set, key('3000', 'OverlayData')),
      position = number(set, key('0102', 'OverlayBitPosition'), -1);
    let isSet;
    if (data) {
      isSet = (at) => (data[(index * rows * columns + at) >> 3] >> ((index * rows * columns + at) & 7)) & 1;
    } else if (
      frame.raw &&
      position >= 0 &&
      columns === shape.columns &&
      number(set, key('0100', 'OverlayBitsAllocated')) === shape.allocated
    ) {
      isSet = (at) => (frame.raw[at] >> position) & 1;
    } else continue;
    found.push({ top: top - 1, left: left - 1, rows, columns, isSet });
  }
  return found;
}
