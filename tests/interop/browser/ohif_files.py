"""The studies that OHIF is shown: one of each kind, with pixels and places that ohif.mjs knows."""

import sys

import imagecodecs
import numpy
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from files import PDF, code, content, instance, measured, pdf

CT, MR, XA, MG, SEG, SR, SM = ("1.2.840.10008.5.1.4.1.1." + end for end in ("2", "4", "12.1", "1.2", "66.4", "88.33", "77.1.6"))
COLUMNS, ROWS, SLICES = 128, 96, 24
GEOMETRY = {"PixelSpacing": [1, 1], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SliceThickness": 2,
            "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame of reference"])}


def item(**values):
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def coded(value, scheme, meaning):
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def image(found, samples, bits=16, stored=None, signed=0, photometric="MONOCHROME2"):
    """Sets the image attributes; the last axis of color samples has three."""
    color = photometric == "RGB"
    rows, columns = samples.shape[-3:-1] if color else samples.shape[-2:]
    found.SamplesPerPixel, found.PhotometricInterpretation = (3 if color else 1), photometric
    if color:
        found.PlanarConfiguration = 0
    found.Rows, found.Columns, found.BitsAllocated, found.BitsStored = rows, columns, bits, stored or bits
    found.HighBit, found.PixelRepresentation = found.BitsStored - 1, signed
    found.PixelData = samples.astype(f"<u{bits // 8}").tobytes()
    return found


def quadrants(z):
    """A stored value for each quadrant of a slice, as ohif.mjs computes it too."""
    y, x = numpy.mgrid[0:ROWS, 0:COLUMNS]
    return 200 + 20 * z + 300 * ((x >= COLUMNS // 2) + 2 * (y >= ROWS // 2))


def slices(study, modality, sop_class, count=SLICES, **more):
    for z in range(count):
        yield image(instance(sop_class, modality, study, "slices", z + 1, ImagePositionPatient=[0, 0, 2 * z], WindowCenter=0,
                             WindowWidth=2048, RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU", **GEOMETRY, **more),
                    quadrants(z), stored=12)


def segmentation(source):
    """A segment of 32 by 24 pixels on every slice."""
    found = instance(SEG, "SEG", "ohif-ct", "segment", SeriesNumber=2, FrameOfReferenceUID=GEOMETRY["FrameOfReferenceUID"],
                     ContentLabel="BLOCK", ContentDescription="A block", ContentCreatorName="PAGE^KNOWN", ContentDate="20260102",
                     ContentTime="030405", SegmentationType="BINARY", ImageType=["DERIVED", "PRIMARY"], LossyImageCompression="00",
                     Manufacturer="Phantoms", ManufacturerModelName="Phantoms", DeviceSerialNumber="1", SoftwareVersions="1")
    mask = numpy.zeros((len(source), ROWS, COLUMNS), numpy.uint8)
    mask[:, 36:60, 48:80] = 1
    found.SamplesPerPixel, found.PhotometricInterpretation, found.Rows, found.Columns = 1, "MONOCHROME2", ROWS, COLUMNS
    found.BitsAllocated = found.BitsStored = 1
    found.HighBit, found.PixelRepresentation, found.NumberOfFrames = 0, 0, len(source)
    found.PixelData = numpy.packbits(mask.ravel(), bitorder="little").tobytes()
    found.SegmentSequence = Sequence([item(
        SegmentNumber=1, SegmentLabel="Block", SegmentAlgorithmType="MANUAL", RecommendedDisplayCIELabValue=[34885, 53485, 50171],
        SegmentedPropertyCategoryCodeSequence=coded("123037004", "SCT", "Anatomical Structure"),
        SegmentedPropertyTypeCodeSequence=coded("10200004", "SCT", "Liver"))])
    dimension = generate_uid(entropy_srcs=["dimension"])
    found.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=dimension)])
    found.DimensionIndexSequence = Sequence([
        item(DimensionOrganizationUID=dimension, DimensionIndexPointer=0x0062000B, FunctionalGroupPointer=0x0062000A),
        item(DimensionOrganizationUID=dimension, DimensionIndexPointer=0x00200032, FunctionalGroupPointer=0x00209113)])
    found.ReferencedSeriesSequence = Sequence([item(
        SeriesInstanceUID=source[0].SeriesInstanceUID,
        ReferencedInstanceSequence=Sequence([item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=one.SOPInstanceUID) for one in source]))])
    found.SharedFunctionalGroupsSequence = Sequence([item(
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[1, 1], SliceThickness=2, SpacingBetweenSlices=2)]),
        SegmentIdentificationSequence=Sequence([item(ReferencedSegmentNumber=1)]))])
    found.PerFrameFunctionalGroupsSequence = Sequence([item(
        FrameContentSequence=Sequence([item(DimensionIndexValues=[1, z + 1])]),
        PlanePositionSequence=Sequence([item(ImagePositionPatient=one.ImagePositionPatient)]),
        DerivationImageSequence=Sequence([item(
            DerivationCodeSequence=coded("113076", "DCM", "Segmentation"),
            SourceImageSequence=Sequence([item(
                ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=one.SOPInstanceUID,
                PurposeOfReferenceCodeSequence=coded("121322", "DCM", "Source image for image processing operation"))]))]))
        for z, one in enumerate(source)])
    return found


def report():
    found = instance(SR, "SR", "ohif-ct", "report", SeriesNumber=3, CompletionFlag="COMPLETE", VerificationFlag="UNVERIFIED",
                     ContentDate="20260102", ContentTime="030405", ValueType="CONTAINER", ContinuityOfContent="SEPARATE")
    found.ConceptNameCodeSequence = Sequence([code("Known report")])
    found.ContentSequence = Sequence([content("TEXT", "Impression", TextValue="Nothing of note."), measured("Diameter", "12.5", "mm")])
    return found


def slide(study, is_jpeg):
    """A pyramid of three levels, in tiles of 256: a color for each quadrant. In JPEG as scanners write them, or uncompressed."""
    specimen = Sequence([item(SpecimenIdentifier="1", SpecimenUID=generate_uid(entropy_srcs=["specimen"]),
                              IssuerOfTheSpecimenIdentifierSequence=Sequence([]), SpecimenPreparationSequence=Sequence([]))])
    for level, side in enumerate((1024, 512, 256)):
        y, x = numpy.mgrid[0:side, 0:side]
        right, low = x >= side // 2, y >= side // 2
        whole = numpy.stack([numpy.where(right, 220, 40), numpy.where(low, 200, 60), 0 * x + 120], -1)
        tiles = [whole[top:top + 256, left:left + 256] for top in range(0, side, 256) for left in range(0, side, 256)]
        found = instance(SM, "SM", study, "slide", level + 1, ContainerIdentifier="1", ContainerComponentSequence=Sequence([]),
                         ContainerTypeCodeSequence=coded("433466003", "SCT", "Microscope slide"),
                         IssuerOfTheContainerIdentifierSequence=Sequence([]), SpecimenDescriptionSequence=specimen,
                         ImageType=["ORIGINAL" if level == 0 else "DERIVED", "PRIMARY", "VOLUME", "NONE" if level == 0 else "RESAMPLED"],
                         TotalPixelMatrixColumns=side, TotalPixelMatrixRows=side, TotalPixelMatrixFocalPlanes=1,
                         ImagedVolumeWidth=10.24, ImagedVolumeHeight=10.24, ImagedVolumeDepth=0.01, NumberOfOpticalPaths=1,
                         DimensionOrganizationType="TILED_FULL", ImageOrientationSlide=[0, 1, 0, 1, 0, 0], NumberOfFrames=len(tiles),
                         FrameOfReferenceUID=generate_uid(entropy_srcs=["slide"]), PositionReferenceIndicator="SLIDE_CORNER",
                         LossyImageCompression="00", BurnedInAnnotation="NO", SpecimenLabelInImage="NO", FocusMethod="AUTO",
                         ExtendedDepthOfField="NO", VolumetricProperties="VOLUME", AcquisitionDateTime="20260102030405",
                         Manufacturer="Phantoms", ManufacturerModelName="Phantoms", DeviceSerialNumber="1", SoftwareVersions="1")
        found.TotalPixelMatrixOriginSequence = Sequence([item(XOffsetInSlideCoordinateSystem=0, YOffsetInSlideCoordinateSystem=0)])
        found.OpticalPathSequence = Sequence([item(
            OpticalPathIdentifier="1", IlluminationColorCodeSequence=coded("371251000", "SCT", "White"),
            IlluminationTypeCodeSequence=coded("111744", "DCM", "Brightfield illumination"))])
        spacing = 10.24 / side
        found.SharedFunctionalGroupsSequence = Sequence([item(
            PixelMeasuresSequence=Sequence([item(PixelSpacing=[spacing, spacing], SliceThickness=0.01)]),
            OpticalPathIdentificationSequence=Sequence([item(OpticalPathIdentifier="1")]),
            WholeSlideMicroscopyImageFrameTypeSequence=Sequence([item(FrameType=list(found.ImageType))]))])
        found.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=generate_uid(entropy_srcs=["tiles"]))])
        image(found, numpy.stack(tiles), bits=8, photometric="RGB")
        if is_jpeg:
            found.PhotometricInterpretation, found.LossyImageCompression = "YBR_FULL_422", "01"
            found.LossyImageCompressionMethod, found.LossyImageCompressionRatio = "ISO_10918_1", 10
            found.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
            found.PixelData = encapsulate([imagecodecs.jpeg8_encode(tile.astype(numpy.uint8), level=95) for tile in tiles])
        yield found



def everything():
    volume = list(slices("ohif-ct", "CT", CT))
    yield from volume
    yield segmentation(volume)
    yield report()
    yield instance(PDF, "DOC", "ohif-ct", "document", SeriesNumber=4, DocumentTitle="Known document", BurnedInAnnotation="NO",
                   MIMETypeOfEncapsulatedDocument="application/pdf", EncapsulatedDocument=pdf(), ContentDate="20260102",
                   ContentTime="030405", AcquisitionDateTime="", ConceptNameCodeSequence=Sequence([]))
    yield from slices("ohif-mr", "MR", MR, 8, EchoTime=10, RepetitionTime=500, ScanningSequence="SE", SequenceVariant="NONE")
    y, x = numpy.mgrid[0:256, 0:256]
    run = numpy.stack([(x + 2 * y + 60 * frame) % 1024 for frame in range(12)])
    yield image(instance(XA, "XA", "ohif-xa", "run", NumberOfFrames=12, FrameTime=66, WindowCenter=512, WindowWidth=1024,
                         ImageType=["ORIGINAL", "PRIMARY", "SINGLE PLANE"], FrameIncrementPointer=0x00181063), run, stored=10)
    y, x = numpy.mgrid[0:2048, 0:1536]
    yield image(instance(MG, "MG", "ohif-mg", "view", ImagerPixelSpacing=[0.07, 0.07], WindowCenter=2048, WindowWidth=4096,
                         PresentationIntentType="FOR PRESENTATION", ImageLaterality="L", ViewPosition="MLO",
                         ImageType=["ORIGINAL", "PRIMARY"], PatientOrientation=["A", "FR"]), (x + y) % 4096, stored=12)
    yield from slide("ohif-slide", is_jpeg=True)
    yield from slide("ohif-raw-slide", is_jpeg=False)


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for index, found in enumerate(everything()):
        found.save_as(folder / f"{index:03}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    import pathlib

    write(pathlib.Path(sys.argv[1]))
