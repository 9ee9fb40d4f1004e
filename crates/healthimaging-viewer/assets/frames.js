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

  next() {
    while (this.loading.size < this.source.parallel && this.wanted.length) {
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
    const [{ bytes, picture, described = {} }] = await Promise.all([
      this.source.frame(image),
      complete(this.source, set),
    ]);
    const shape = describe(set);
    if (picture) {
      const bitmap = await createImageBitmap(new Blob([picture])),
        { width, height } = bitmap;
      const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
      context.drawImage(bitmap, 0, 0);
      const colors = context.getImageData(0, 0, width, height).data;
      const notes = ['The picture was compressed with loss.'];
      if (shape.samples > 1)
        return this.described({ colors, rows: height, columns: width, notes: [] }, shape, image, notes);
      const gray = Uint8Array.from({ length: width * height }, (_, at) => colors[4 * at]);
      const eight = { ...shape, rows: height, columns: width, allocated: 8, stored: 8, high: 7, signed: false };
      return this.described(decode(gray, eight, set), eight, image, notes);
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
    return this.described(decode(bytes, shape, set), shape, image, []);
  }

  described(frame, shape, { instance, number: frameNumber }, notes) {
    if (frame.values) frame.display = displayOf(instance.set, frameNumber, shape, frame);
    if (text(instance.set, 'LossyImageCompression') === '01' && !notes.length)
      notes.push('The picture was compressed with loss.');
    frame.notes.push(...notes, ...(frame.display?.notes ?? []));
    frame.overlays = overlaysOf(instance.set, frameNumber, shape, frame);
    // Codes that have a color of their own are no part of the gray range.
    const { colors, isPalette } = frame.display ?? {};
    if (colors && !isPalette) Object.assign(frame, range(frame.values, frame.signed, [colors.first, 65535]));
    frame.size = 2 * frame.rows * frame.columns * (frame.colors ? 2 : 1);
    return frame;
  }
}
