"""Whole slides over DICOMweb, as wsidicom and dicomslide read them: each region has the pixels of the same files on disk.

`slides.py`: three pyramids, in JPEG as scanners write them, uncompressed, and in JPEG 2000, each stored by STOW-RS.
"""

import logging
import pathlib
import sys
import tempfile
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parent / "browser"))

import dicomslide
import imagecodecs
import numpy
import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, generate_uid
from wsidicom import WsiDicom, WsiDicomWebClient

import ohif_files
from rendered import create_datastore
from served import served

TILE = 256
# Left and top of a region of 200 by 150 pixels at the largest level: inside of tiles, across their borders, and at the last pixel.
REGIONS = [(20, 30), (200, 100), (460, 500), (824, 874)]
WIDTH, HEIGHT = 200, 150
# Decoders of JPEG differ by rounding: wsidicom and dicomslide do not use the same one.
ROUNDING = 4


class Client(WsiDicomWebClient):
    """wsidicom 0.36 gives pydicom the bytearrays of dicomweb-client 0.61, which takes uncompressed ones for lists of values."""

    def get_frames(self, *arguments, **named):
        return map(bytes, super().get_frames(*arguments, **named))


def picture(side):
    """Every tile differs from every other, and no tile is symmetric."""
    y, x = numpy.mgrid[0:side, 0:side]
    return numpy.stack([x * 255 // side, y * 255 // side, (x // 16 * 7 + y // 16 * 5) % 256], -1).astype(numpy.uint8)


def write(folder, syntax):
    """The levels of a slide as files in this transfer syntax."""
    for level, found in enumerate(ohif_files.slide("ohif-slide", is_jpeg=True)):
        side = found.TotalPixelMatrixColumns
        whole = picture(side)
        tiles = [numpy.ascontiguousarray(whole[top:top + TILE, left:left + TILE])
                 for top in range(0, side, TILE) for left in range(0, side, TILE)]
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(found, keyword, generate_uid(entropy_srcs=[syntax, found[keyword].value]))
        found.file_meta.MediaStorageSOPInstanceUID, found.file_meta.TransferSyntaxUID = found.SOPInstanceUID, syntax
        found.StudyID, found.AccessionNumber, found.ContainerIdentifier = str(syntax)[-2:], str(syntax)[-2:], syntax
        if syntax == JPEGBaseline8Bit:
            found.PixelData = encapsulate([imagecodecs.jpeg8_encode(tile, level=95) for tile in tiles])
        else:
            found.PhotometricInterpretation, found.LossyImageCompression = "RGB", "00"
            del found.LossyImageCompressionMethod, found.LossyImageCompressionRatio
            found.PixelData = numpy.stack(tiles).tobytes()
        if syntax == JPEG2000Lossless:
            found.PixelData = encapsulate([imagecodecs.jpeg2k_encode(tile, level=0, codecformat="j2k", mct=False) for tile in tiles])
        found["PixelData"].VR = "OB"
        found.save_as(folder / f"{level}.dcm", enforce_file_format=True)


def apart(one, other):
    one, other = numpy.asarray(one).astype(int).squeeze(), numpy.asarray(other).astype(int).squeeze()
    assert one.shape == other.shape, (one.shape, other.shape)
    return int(abs(one - other).max())


def check(base, folder, syntax):
    sets = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    study, series = sets[0].StudyInstanceUID, sets[0].SeriesInstanceUID
    client = DICOMwebClient(base)
    client.set_http_retry_params(retry=False)
    client.store_instances(sets)
    slides = dicomslide.find_slides(client, study_instance_uid=study)
    assert len(slides) == 1 and slides[0].num_levels == len(sets), slides
    assert [tuple(one) for one in slides[0].total_pixel_matrix_dimensions] == [(one.TotalPixelMatrixColumns,) * 2 for one in sets]
    worst = 0
    with WsiDicom.open_web(Client.create_client(base), study, [series]) as web, WsiDicom.open(folder) as disk:
        assert [level.size for level in web.levels] == [level.size for level in disk.levels]
        for level, one in enumerate(sets):
            whole, side = picture(one.TotalPixelMatrixColumns), one.TotalPixelMatrixColumns
            for left, top in [(0, 0)] if level == 2 else [(left >> level, top >> level) for left, top in REGIONS]:
                width, height = min(WIDTH, side - left), min(HEIGHT, side - top)
                of_disk = disk.read_region((left, top), level, (width, height))
                assert apart(web.read_region((left, top), level, (width, height)), of_disk) == 0, (syntax, level, left, top)
                # dicomslide has the offset at the largest level.
                found = apart(slides[0].get_image_region((top << level, left << level), level, (height, width)), of_disk)
                worst = max(worst, found)
                if syntax != JPEGBaseline8Bit:
                    assert apart(of_disk, whole[top:top + height, left:left + width]) == found == 0, (syntax, level, left, top)
        assert apart(web.read_thumbnail((TILE, TILE)), disk.read_thumbnail((TILE, TILE))) == 0
    assert worst <= ROUNDING, (syntax, worst)
    print(f"{pydicom.uid.UID(syntax).name}: {len(sets)} levels, every region as on disk")


def main():
    # There is no ICC profile, on which dicomslide warns.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with served() as address:
        base = f"http://{address}/datastore/{create_datastore(f'http://{address}')}"
        for syntax in (JPEGBaseline8Bit, ExplicitVRLittleEndian, JPEG2000Lossless):
            with tempfile.TemporaryDirectory() as folder:
                write(pathlib.Path(folder), syntax)
                check(base, pathlib.Path(folder), syntax)


if __name__ == "__main__":
    main()
