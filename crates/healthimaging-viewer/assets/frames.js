// Frames: loaded in the order in which they are needed, decoded, and cached.

// Fetches what a metadata answer only refers to, but that is needed to show an image.
async function complete(source, set) {
  const waiting = [];
  for (const [key, element] of Object.entries(set)) {
    if (/^(Modality|VOI)LUTSequence$/.test(key)) {
      waiting.push(...items(set, key).map((one) => complete(source, one)));
    } else if (source.bulk && element.uri && !element.bytes && /^LUTData|LookupTableData$|^60..3000$/.test(key)) {
      waiting.push(
        source.bulk(element).then((bytes) => {
          element.bytes = bytes;
        }),
      );
    }
  }
  await Promise.all(waiting);
}

// The pixels of a picture file, as RGBA.
async function pixelsOf(file) {
  const bitmap = await createImageBitmap(new Blob([file])),
    { width, height } = bitmap;
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height);
}

// The frames that were decoded, up to so many bytes, and those on their way.
class Frames {
  constructor(source, loaded) {
    Object.assign(this, { source, loaded, cache: new Map(), loading: new Set(), wanted: [], size: 0 });
  }

  key({ instance, number: frameNumber }) {
    return `${instance.uid}/${frameNumber}`;
  }

  get(image) {
    const key = this.key(image),
      found = this.cache.get(key);
    if (found) {
      this.cache.delete(key);
      this.cache.set(key, found);
    }
    return found;
  }

  // Loads these, in this order, unless others are wanted first.
  want(images) {
    this.wanted = images.slice();
    this.next();
  }

  // The first image has the server to itself.
  get parallel() {
    return this.cache.size ? this.source.parallel : 1;
  }

  next() {
    while (this.loading.size < this.parallel && this.wanted.length) {
      const image = this.wanted.shift(),
        key = this.key(image);
      if (this.cache.has(key) || this.loading.has(key)) continue;
      this.loading.add(key);
      this.load(image)
        .catch((error) => ({ error, size: 0 }))
        .then((frame) => {
          this.loading.delete(key);
          this.keep(key, frame);
          this.loaded(image, frame);
          this.next();
        });
    }
  }

  keep(key, frame) {
    this.cache.set(key, frame);
    this.size += frame.size;
    for (const [oldest, { size }] of this.cache) {
      if (this.size <= this.source.memory || this.cache.size < 4) break;
      this.cache.delete(oldest);
      this.size -= size;
    }
  }

  async load(image) {
    const { set } = image.instance;
    const [{ bytes, picture, rendered, described = {} }] = await Promise.all([
      this.source.frame(image),
      complete(this.source, set),
    ]);
    const shape = describe(set);
    if (picture || rendered) {
      const { data: colors, width: columns, height: rows } = await pixelsOf(picture ?? rendered);
      // What the server rendered has been through the window of the file.
      if (rendered || shape.samples > 1) {
        const notes = rendered ? ['Rendered by the server.'] : [];
        return this.described({ colors, rows, columns, notes }, shape, image);
      }
      const gray = Uint8Array.from({ length: rows * columns }, (_, at) => colors[4 * at]);
      const eight = { ...shape, rows, columns, allocated: 8, stored: 8, high: 7, signed: false };
      return this.described(decode(gray, eight, set), eight, image);
    }
    const members = {
      rows: 'rows',
      columns: 'columns',
      samples: 'samples_per_pixel',
      allocated: 'bits_allocated',
      stored: 'bits_stored',
      high: 'high_bit',
      photometric: 'photometric_interpretation',
    };
    for (const [name, member] of Object.entries(members)) shape[name] = described[member] ?? shape[name];
    if (described.planar_configuration !== undefined) shape.planar = described.planar_configuration === 1;
    return this.described(decode(bytes, shape, set), shape, image);
  }

  described(frame, shape, { instance, number: frameNumber }) {
    if (frame.values) frame.display = displayOf(instance.set, frameNumber, shape, frame);
    if (text(instance.set, 'LossyImageCompression') === '01') frame.notes.push('The image was compressed with loss.');
    frame.notes.push(...(frame.display?.notes ?? []));
    frame.overlays = overlaysOf(instance.set, frameNumber, shape, frame);
    // Codes that have a color of their own are no part of the gray range.
    const { colors, isPalette } = frame.display ?? {};
    if (colors && !isPalette) Object.assign(frame, range(frame.values, frame.signed, [colors.first, 65535]));
    frame.size = 2 * frame.rows * frame.columns * (frame.colors ? 2 : 1);
    return frame;
  }
}
