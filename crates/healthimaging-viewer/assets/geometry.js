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
  if (cosines.length < 6) return {};
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

// In the order of their place in the body where all are parallel, or else by Instance Number.
function sorted(instances) {
  const placed = instances.map((instance) => {
    const [a, b, c, d, e, f] = numbers(instance.set, 'ImageOrientationPatient'),
      position = numbers(instance.set, 'ImagePositionPatient');
    const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
    return {
      instance,
      normal,
      along: normal.reduce((sum, value, axis) => sum + value * position[axis], 0),
      number: number(instance.set, 'InstanceNumber', 0),
    };
  });
  const [first] = placed;
  const areParallel = placed.every(
    ({ normal, along }) =>
      Number.isFinite(along) && normal.every((value, axis) => Math.abs(value - first.normal[axis]) < 0.01),
  );
  placed.sort((one, other) => (areParallel ? one.along - other.along : 0) || one.number - other.number);
  // The scanner's own direction is kept.
  if (areParallel && placed.length > 1 && placed[0].number > placed[placed.length - 1].number) placed.reverse();
  return placed.map(({ instance }) => instance);
}
