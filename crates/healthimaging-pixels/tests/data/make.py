"""Makes the small streams of this folder with imagecodecs (`pip install imagecodecs numpy`).

Each `NAME.raw` is the picture, little endian, interleaved by pixel; each `NAME.EXT` is the same
picture coded by a library that healthimaging-pixels does not use (or not in that version).
"""

from pathlib import Path

import imagecodecs
import numpy as np

HERE = Path(__file__).parent
ROWS, COLUMNS = 19, 23


def picture(samples, bits, signed=False):
    """A gradient with some noise that uses the whole range of `bits`."""
    rng = np.random.default_rng(bits * 10 + samples)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    top = (1 << bits) - 1
    planes = [
        (x * (c + 1) + y * 2) * top // ((COLUMNS * (c + 1) + ROWS * 2)) ^ rng.integers(0, 4, x.shape)
        for c in range(samples)
    ]
    values = np.stack(planes, axis=-1).clip(0, top)
    values[0, 0], values[-1, -1] = 0, top
    if signed:
        values = values - (1 << (bits - 1))
    dtype = np.dtype(("i" if signed else "u") + ("1" if bits <= 8 else "2"))
    values = values.astype(dtype)
    return values[..., 0].copy() if samples == 1 else values


def write(name, values, **streams):
    (HERE / f"{name}.raw").write_bytes(values.astype(values.dtype.newbyteorder("<")).tobytes())
    for extension, stream in streams.items():
        (HERE / f"{name}.{extension}").write_bytes(stream)


gray8 = picture(1, 8)
write(
    "gray8",
    gray8,
    jls=imagecodecs.jpegls_encode(gray8),
    ljpeg=imagecodecs.ljpeg_encode(gray8, bitspersample=8),
    jpeg=imagecodecs.jpeg8_encode(gray8, level=95),
    j2k=imagecodecs.jpeg2k_encode(gray8, level=0, codecformat="j2k"),
    jp2=imagecodecs.jpeg2k_encode(gray8, level=0, codecformat="jp2"),
    jhc=imagecodecs.htj2k_encode(gray8, reversible=True),
    jxl=imagecodecs.jpegxl_encode(gray8, lossless=True),
)
gray12 = picture(1, 12)
write(
    "gray12",
    gray12,
    jls=imagecodecs.jpegls_encode(gray12),
    ljpeg=imagecodecs.ljpeg_encode(gray12, bitspersample=12),
    jpeg=imagecodecs.jpeg_encode(gray12, bitspersample=12, level=98),
    j2k=imagecodecs.jpeg2k_encode(gray12, level=0, bitspersample=12, codecformat="j2k"),
    jxl=imagecodecs.jpegxl_encode(gray12, lossless=True, bitspersample=12),
)
gray16s = picture(1, 16, signed=True)
write(
    "gray16s",
    gray16s,
    j2k=imagecodecs.jpeg2k_encode(gray16s, level=0, codecformat="j2k"),
    jhc=imagecodecs.htj2k_encode(gray16s, reversible=True),
)
rgb8 = picture(3, 8)
write(
    "rgb8",
    rgb8,
    jls=imagecodecs.jpegls_encode(rgb8),
    jpeg=imagecodecs.jpeg8_encode(rgb8, level=98, colorspace="RGB", outcolorspace="RGB"),
    ybr=imagecodecs.jpeg8_encode(rgb8, level=98, subsampling="444"),
    j2k=imagecodecs.jpeg2k_encode(rgb8, level=0, mct=True, codecformat="j2k"),
    jhc=imagecodecs.htj2k_encode(rgb8, reversible=True),
    jxl=imagecodecs.jpegxl_encode(rgb8, lossless=True),
)
# What libjxl decodes of its own lossy streams, one of them in the container of the format.
for name, values, container in (("gray8", gray8, False), ("rgb8", rgb8, True)):
    stream = imagecodecs.jpegxl_encode(values, distance=1.0, lossless=False, usecontainer=container)
    write(f"{name}.lossy", imagecodecs.jpegxl_decode(stream), jxl=stream)
extra = imagecodecs.jpegxl_encode(np.stack([gray8, 255 - gray8]), lossless=True, planar=True, photometric="gray")
(HERE / "gray8.extra.jxl").write_bytes(extra)
