"""The studies that the page is tested with: known pixels, known distances, and markup in every attribute that it shows."""

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

# What a page that takes text for markup would run; short enough for a person's name and for LO (64 characters).
MARKUP = "<img src=x onerror=hacked=1>'\"<script>hacked=1</script>"
SHORT = "<b>hacked</b>"
HIDDEN = "left\u202eright"

CT, US, XA, SR, PDF = ("1.2.840.10008.5.1.4.1.1." + end for end in ("2", "3.1", "12.1", "88.33", "104.1"))
ROWS, COLUMNS = 96, 128


def known(x, y, z):
    """The stored value of a pixel; viewer.mjs has the same formula."""
    return (x * 37 + y * 11 + z * 101) % 2048


def plane(z):
    y, x = numpy.mgrid[0:ROWS, 0:COLUMNS]
    return known(x, y, z).astype("<i2")


def instance(sop_class, modality, study, series, number=1, **more):
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = sop_class
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = generate_uid(entropy_srcs=[study, series, str(number)])
    found.SpecificCharacterSet = "ISO_IR 192"
    found.StudyInstanceUID = generate_uid(entropy_srcs=[study])
    found.SeriesInstanceUID = generate_uid(entropy_srcs=[study, series])
    found.Modality, found.InstanceNumber, found.SeriesNumber = modality, number, 1
    found.StudyDate, found.StudyTime, found.StudyID, found.AccessionNumber = "20260102", "030405", "1", ""
    found.PatientName, found.PatientID = "PAGE^KNOWN", "PAGE-1"
    found.PatientBirthDate, found.PatientSex, found.ReferringPhysicianName = "19700101", "O", ""
    found.StudyDescription, found.SeriesDescription = study, series
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return found


def pixels(found, samples, photometric="MONOCHROME2", signed=0, bits=16, frames=None):
    found.SamplesPerPixel, found.PhotometricInterpretation = (3 if photometric == "RGB" else 1), photometric
    if photometric == "RGB":
        found.PlanarConfiguration = 0
    if frames:
        found.NumberOfFrames = frames
    found.Rows, found.Columns = ROWS, COLUMNS
    found.BitsAllocated = found.BitsStored = bits
    found.HighBit, found.PixelRepresentation = bits - 1, signed
    found.PixelData = samples.tobytes()
    return found


def overlay(found):
    """One overlay of a row of eight points at (10, 20)."""
    bits = numpy.zeros((ROWS, COLUMNS), numpy.uint8)
    bits[10, 20:28] = 1
    for element, vr, value in ((0x10, "US", ROWS), (0x11, "US", COLUMNS), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 1),
                               (0x102, "US", 0), (0x3000, "OB", numpy.packbits(bits.ravel(), bitorder="little").tobytes())):
        found.add_new((0x6000, element), vr, value)
    return found


def code(meaning, value="1"):
    found = Dataset()
    found.CodeValue, found.CodingSchemeDesignator, found.CodeMeaning = value, "99PAGE", meaning
    return found


def content(kind, name, **more):
    found = Dataset()
    found.RelationshipType, found.ValueType = "CONTAINS", kind
    found.ConceptNameCodeSequence = Sequence([code(name)])
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return found


def measured(name, value, unit):
    number = Dataset()
    number.NumericValue, number.MeasurementUnitsCodeSequence = value, Sequence([code(unit)])
    return content("NUM", name, MeasuredValueSequence=Sequence([number]))


def pdf():
    """A page with one line, as small as readers accept."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
               b"<</Length 41>>stream\nBT /F 24 Tf 20 40 Td (A known report) Tj ET\nendstream",
               b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    text, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(text))
        text += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return text + b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(text)


def everything():
    slices = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400, "PixelSpacing": [0.7, 0.7],
              "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SliceThickness": 2}
    for z in range(8):
        # In an order that is not that of the slices.
        number = 1 + (z * 3) % 8
        yield overlay(pixels(instance(CT, "CT", "known", "slices", number, ImagePositionPatient=[0, 0, 2 * z], SliceLocation=2 * z,
                                      **slices), plane(z), signed=1))
    yield pixels(instance(XA, "XA", "known", "plain", SeriesNumber=2), plane(0).astype("<u2"))
    y, x = numpy.mgrid[0:ROWS, 0:COLUMNS]
    loop = numpy.stack([numpy.stack([(x * 2) % 256, (y * 2) % 256, 0 * x + 20 * frame], -1) for frame in range(6)]).astype("u1")
    yield pixels(instance(US, "US", "known", "loop", SeriesNumber=3, FrameTime=50), loop, "RGB", bits=8, frames=6)
    report = instance(SR, "SR", "known", "report", SeriesNumber=4, CompletionFlag="COMPLETE", VerificationFlag="UNVERIFIED",
                      ContentDate="20260102", ContentTime="030405", ValueType="CONTAINER", ContinuityOfContent="SEPARATE")
    report.ConceptNameCodeSequence = Sequence([code("Known report")])
    report.ContentSequence = Sequence([content("CONTAINER", "Findings", ContentSequence=Sequence([measured("Diameter", "12.5", "mm")])),
                                       content("TEXT", "Impression", TextValue="Nothing of note.")])
    yield report
    yield instance(PDF, "DOC", "known", "document", SeriesNumber=5, DocumentTitle="Known document", BurnedInAnnotation="YES",
                   MIMETypeOfEncapsulatedDocument="application/pdf", EncapsulatedDocument=pdf(), ContentDate="20260102",
                   ContentTime="030405", AcquisitionDateTime="", ConceptNameCodeSequence=Sequence([]))

    hostile = {"PatientName": MARKUP, "PatientID": f"HOSTILE {HIDDEN}", "PatientSex": "O", "PatientComments": MARKUP, "StudyDescription": MARKUP,
               "SeriesDescription": MARKUP, "InstitutionName": MARKUP, "AccessionNumber": SHORT, "StudyID": SHORT,
               "ProtocolName": MARKUP, "ReferringPhysicianName": MARKUP, "StudyDate": "20260103"}
    shown = instance(CT, "CT", "hostile", "image", WindowCenter=[40, 50], WindowWidth=[400, 500], WindowCenterWidthExplanation=[SHORT, MARKUP],
                     RescaleType=SHORT, RescaleSlope=1, RescaleIntercept=0, **hostile)
    shown.add_new((0x0011, 0x0010), "LO", MARKUP)
    shown.add_new((0x0011, 0x1001), "LT", MARKUP)
    yield pixels(shown, plane(1), signed=1)
    report = instance(SR, "SR", "hostile", "report", CompletionFlag="PARTIAL", VerificationFlag="UNVERIFIED", ContentDate="20260102",
                      ContentTime="030405", ValueType="CONTAINER", ContinuityOfContent="SEPARATE", **{**hostile, "SeriesNumber": 2})
    report.ConceptNameCodeSequence = Sequence([code(MARKUP)])
    coded = content("CODE", MARKUP, ConceptCodeSequence=Sequence([code(MARKUP, SHORT)]))
    report.ContentSequence = Sequence([content("TEXT", MARKUP, TextValue=MARKUP), content("PNAME", MARKUP, PersonName=MARKUP), coded,
                                       measured(MARKUP, "1", MARKUP), content("CONTAINER", MARKUP, ContentSequence=Sequence([coded]))])
    yield report
    yield instance(PDF, "DOC", "hostile", "document", DocumentTitle=MARKUP, BurnedInAnnotation="YES",
                   MIMETypeOfEncapsulatedDocument="text/html", EncapsulatedDocument=f"<script>top.hacked=1</script>{MARKUP}".encode().ljust(90),
                   ContentDate="20260102", ContentTime="030405", AcquisitionDateTime="", ConceptNameCodeSequence=Sequence([]),
                   **{**hostile, "SeriesNumber": 3})


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for index, found in enumerate(everything()):
        found.save_as(folder / f"{index:03}.dcm", enforce_file_format=True)
