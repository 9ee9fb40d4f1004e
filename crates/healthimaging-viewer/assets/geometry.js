// Geometry: spacing, orientation and order of images.

const attributeOf = ({ instance, number: frame }, group, key) => numbers(groupOr(instance.set, frame, group), key);

// How large pixels are: { mm: [down, across], ratio, note }; undefined where the file does not say.
function spacingOf(image, point) {
  const { set } = image.instance;
  const regions = items(set, 'SequenceOfUltrasoundRegions').filter(
    (region) => number(region, 'PhysicalUnitsXDirection') === 3,
  );
  const [x, y] = point ?? [];
  const region = regions.find(
    (one) =>
      x === undefined ||
      (x >= number(one, 'RegionLocationMinX0') &&
        x <= number(one, 'RegionLocationMaxX1') &&
        y >= number(one, 'RegionLocationMinY0') &&
        y <= number(one, 'RegionLocationMaxY1')),
  );
  const sources = [
    ['PixelSpacing', attributeOf(image, 'PixelMeasuresSequence', 'PixelSpacing'), ''],
    ['ImagerPixelSpacing', numbers(set, 'ImagerPixelSpacing'), 'at the detector'],
    ['NominalScannedPixelSpacing', numbers(set, 'NominalScannedPixelSpacing'), 'of the scan'],
  ];
  for (const [, [down, across], note] of sources) {
    if (down > 0 && across > 0) {
      const ratio = down / across;
      return {
        mm: [down, across],
        note,
        ratio: ratio >= 0.01 && ratio <= 100 && Math.abs(ratio - 1) > 0.001 ? ratio : 1,
      };
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
  if (cosines.length < 6) return lettersOf(image.instance.set);
  const letters = (vector) =>
    vector
      .map((value, axis) => [Math.abs(value), 'RAFLPH'[axis + (value > 0 ? 3 : 0)]])
      .filter(([size]) => size > 0.3)
      .sort(([one], [other]) => other - one)
      .map(([, letter]) => letter)
      .join('');
  const row = cosines.slice(0, 3),
    column = cosines.slice(3, 6),
    back = (vector) => vector.map((value) => -value);
  return { e: letters(row), w: letters(back(row)), s: letters(column), n: letters(back(column)) };
}

// The same by Patient Orientation, which radiographs have.
function lettersOf(set) {
  const [e = '', s = ''] = values(set, 'PatientOrientation').map(String);
  const opposite = (letters) => [...letters].map((letter) => 'LRPAFH'['RLAPHF'.indexOf(letter)]).join('');
  return /^[RLAPHF]{1,3} [RLAPHF]{1,3}$/.test(`${e} ${s}`) ? { e, w: opposite(e), s, n: opposite(s) } : {};
}

// In the order of their place in the body where most have one and those are parallel, or else by Instance Number: the rule of
// the server's slice numbers (`stack.rs` of healthimaging-render).
function sorted(images) {
  const placed = images.map((image) => {
    const [a, b, c, d, e, f] = attributeOf(image, 'PlaneOrientationSequence', 'ImageOrientationPatient'),
      position = attributeOf(image, 'PlanePositionSequence', 'ImagePositionPatient');
    const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
    const along = normal.reduce((sum, value, axis) => sum + value * position[axis], 0);
    // Rounding errors of the writer do not order images.
    return { image, normal, along: Math.floor(along * 1000 + 0.5), order: number(image.instance.set, 'InstanceNumber', 0) };
  });
  const byNumber = (one, other) =>
    one.order - other.order ||
    (one.image.instance.uid === other.image.instance.uid ? 0 : one.image.instance.uid < other.image.instance.uid ? -1 : 1) ||
    one.image.number - other.image.number;
  placed.sort(byNumber);
  // Those without a position are last.
  const positioned = placed.filter(({ along }) => Number.isFinite(along)),
    others = placed.filter(({ along }) => !Number.isFinite(along)),
    [first] = positioned;
  const areParallel = positioned.every(({ normal }) =>
    normal.every((value, axis) => Math.abs(value - first.normal[axis]) < 0.01),
  );
  if (2 * positioned.length <= placed.length || !areParallel) return placed.map(({ image }) => image);
  const sort = (sign) => positioned.sort((one, other) => sign * (one.along - other.along) || byNumber(one, other));
  sort(1);
  // The scanner's own direction is kept.
  const lowest = positioned[0],
    highest = positioned.at(-1),
    isReversed = lowest.order - highest.order || lowest.image.number - highest.image.number;
  if (lowest.along < highest.along && isReversed > 0) sort(-1);
  return [...positioned, ...others].map(({ image }) => image);
}
