// Data sets: DICOM JSON (PS3.18 F) and image set metadata documents, read into one form.
//
// A data set maps a keyword, or eight hexadecimal digits where the table below has none, to an element:
// { tag, vr, values, base64, uri, bytes }. Items of a sequence are data sets.

const KEYWORDS = new Map(),
  TAG_OF = new Map();
let group = '';
for (const word of `
0008 5SpecificCharacterSet 8ImageType 12InstanceCreationDate 16SOPClassUID 18SOPInstanceUID 20StudyDate 21SeriesDate
  22AcquisitionDate 23ContentDate 2aAcquisitionDateTime 30StudyTime 31SeriesTime 32AcquisitionTime 33ContentTime
  50AccessionNumber 60Modality 61ModalitiesInStudy 64ConversionType 70Manufacturer 80InstitutionName
  90ReferringPhysicianName 100CodeValue 102CodingSchemeDesignator 104CodeMeaning 201TimezoneOffsetFromUTC
  1010StationName 1030StudyDescription 1032ProcedureCodeSequence 103eSeriesDescription
  1040InstitutionalDepartmentName 1050PerformingPhysicianName 1070OperatorsName 1090ManufacturerModelName
  1110ReferencedStudySequence 1115ReferencedSeriesSequence 1140ReferencedImageSequence 1150ReferencedSOPClassUID
  1155ReferencedSOPInstanceUID 1160ReferencedFrameNumber 1199ReferencedSOPSequence 2111DerivationDescription
  2112SourceImageSequence 2144RecommendedDisplayFrameRate 2218AnatomicRegionSequence 3002AvailableTransferSyntaxUID
  9205PixelPresentation
0010 10PatientName 20PatientID 21IssuerOfPatientID 30PatientBirthDate 40PatientSex 1010PatientAge 1020PatientSize
  1030PatientWeight 2000MedicalAlerts 2110Allergies 21b0AdditionalPatientHistory 21c0PregnancyStatus
  4000PatientComments
0012 62PatientIdentityRemoved 63DeidentificationMethod
0018 10ContrastBolusAgent 15BodyPartExamined 20ScanningSequence 21SequenceVariant 22ScanOptions 23MRAcquisitionType
  24SequenceName 40CineRate 50SliceThickness 60KVP 80RepetitionTime 81EchoTime 82InversionTime 83NumberOfAverages
  84ImagingFrequency 87MagneticFieldStrength 88SpacingBetweenSlices 90DataCollectionDiameter 91EchoTrainLength
  95PixelBandwidth 1000DeviceSerialNumber 1020SoftwareVersions 1030ProtocolName 1063FrameTime 1065FrameTimeVector
  1088HeartRate 1100ReconstructionDiameter 1110DistanceSourceToDetector 1111DistanceSourceToPatient
  1120GantryDetectorTilt 1130TableHeight 1140RotationDirection 1150ExposureTime 1151XRayTubeCurrent 1152Exposure
  1160FilterType 1164ImagerPixelSpacing 1170GeneratorPower 1190FocalSpots 1210ConvolutionKernel 1250ReceiveCoilName
  1314FlipAngle 2010NominalScannedPixelSpacing 5100PatientPosition 5101ViewPosition 6011SequenceOfUltrasoundRegions
  6012RegionSpatialFormat 6018RegionLocationMinX0 601aRegionLocationMinY0 601cRegionLocationMaxX1
  601eRegionLocationMaxY1 6024PhysicalUnitsXDirection 6026PhysicalUnitsYDirection 602cPhysicalDeltaX
  602ePhysicalDeltaY
0020 dStudyInstanceUID eSeriesInstanceUID 10StudyID 11SeriesNumber 12AcquisitionNumber 13InstanceNumber
  20PatientOrientation 32ImagePositionPatient 37ImageOrientationPatient 52FrameOfReferenceUID 60Laterality
  62ImageLaterality 1040PositionReferenceIndicator 1041SliceLocation 1206NumberOfStudyRelatedSeries
  1208NumberOfStudyRelatedInstances 1209NumberOfSeriesRelatedInstances 4000ImageComments 9056StackID
  9057InStackPositionNumber 9111FrameContentSequence 9113PlanePositionSequence 9116PlaneOrientationSequence
  9157DimensionIndexValues
0028 2SamplesPerPixel 4PhotometricInterpretation 6PlanarConfiguration 8NumberOfFrames 10Rows 11Columns
  30PixelSpacing 34PixelAspectRatio 100BitsAllocated 101BitsStored 102HighBit 103PixelRepresentation
  106SmallestImagePixelValue 107LargestImagePixelValue 120PixelPaddingValue 121PixelPaddingRangeLimit
  122FloatPixelPaddingValue 301BurnedInAnnotation 1050WindowCenter 1051WindowWidth 1052RescaleIntercept
  1053RescaleSlope 1054RescaleType 1055WindowCenterWidthExplanation 1056VOILUTFunction 1090RecommendedViewingMode
  1101RedPaletteColorLookupTableDescriptor 1102GreenPaletteColorLookupTableDescriptor
  1103BluePaletteColorLookupTableDescriptor 1201RedPaletteColorLookupTableData 1202GreenPaletteColorLookupTableData
  1203BluePaletteColorLookupTableData 1221SegmentedRedPaletteColorLookupTableData
  1222SegmentedGreenPaletteColorLookupTableData 1223SegmentedBluePaletteColorLookupTableData
  2110LossyImageCompression 2112LossyImageCompressionRatio 2114LossyImageCompressionMethod 3000ModalityLUTSequence
  3002LUTDescriptor 3003LUTExplanation 3006LUTData 3010VOILUTSequence 9110PixelMeasuresSequence
  9132FrameVOILUTSequence 9145PixelValueTransformationSequence
0032 1060RequestedProcedureDescription 4000StudyComments
0040 254PerformedProcedureStepDescription 275RequestAttributesSequence 8eaMeasurementUnitsCodeSequence
  a010RelationshipType a040ValueType a043ConceptNameCodeSequence a050ContinuityOfContent
  a073VerifyingObserverSequence a075VerifyingObserverName a120DateTime a121Date a122Time a123PersonName a124UID
  a160TextValue a168ConceptCodeSequence a300MeasuredValueSequence a30aNumericValue
  a375CurrentRequestedProcedureEvidenceSequence a491CompletionFlag a493VerificationFlag a730ContentSequence
0042 10DocumentTitle 11EncapsulatedDocument 12MIMETypeOfEncapsulatedDocument 15EncapsulatedDocumentLength
0062 2SegmentSequence 4SegmentNumber 5SegmentLabel
0070 22GraphicData 23GraphicType
2050 20PresentationLUTShape
3004 2DoseUnits eDoseGridScaling
5200 9229SharedFunctionalGroupsSequence 9230PerFrameFunctionalGroupsSequence
7fe0 8FloatPixelData 9DoubleFloatPixelData 10PixelData`
  .trim()
  .split(/\s+/)) {
  const [, digits, keyword] = /^([0-9a-f]+)(.*)$/.exec(word);
  if (!keyword) {
    group = digits.toUpperCase();
    continue;
  }
  const tag = group + digits.toUpperCase().padStart(4, '0');
  KEYWORDS.set(tag, keyword);
  TAG_OF.set(keyword, tag);
}

const personName = (value) =>
  typeof value === 'object' && value
    ? [value.Alphabetic, value.Ideographic, value.Phonetic].join('=').replace(/=+$/, '')
    : String(value ?? '');

function fromJson(json) {
  const found = {};
  for (const [tag, { vr, Value = [], InlineBinary, BulkDataURI }] of Object.entries(json)) {
    const read = vr === 'SQ' ? (item) => fromJson(item ?? {}) : vr === 'PN' ? personName : (value) => value ?? '';
    found[KEYWORDS.get(tag) ?? tag] = { tag, vr, values: Value.map(read), base64: InlineBinary, uri: BulkDataURI };
  }
  return found;
}

// The attributes of one level of a metadata document; `vrs` has those of attributes that have several.
function fromDocument(level, vrs = {}) {
  const found = {};
  for (const [key, value] of Object.entries(level ?? {})) {
    const list = Array.isArray(value) ? value : value === null ? [] : [value];
    const isSequence = list.some((one) => typeof one === 'object' && one);
    const split = (one) => (typeof one === 'string' && !isSequence ? one.split('\\') : [one ?? '']);
    found[key] = {
      tag: TAG_OF.get(key) ?? (/^[0-9A-F]{8}$/.test(key) ? key : ''),
      vr: isSequence ? 'SQ' : typeof vrs[key] === 'string' ? vrs[key] : '',
      values: isSequence ? list.map((item) => fromDocument(item)) : list.flatMap(split),
      base64: typeof value === 'string' ? value : undefined,
    };
  }
  return found;
}

const values = (set, key) => set?.[key]?.values ?? [];
const text = (set, key) => String(values(set, key)[0] ?? '').trim();
const toNumber = (value) => (String(value).trim() === '' ? NaN : Number(value));
const numbers = (set, key) => values(set, key).map(toNumber).filter(Number.isFinite);
const number = (set, key, absent) => numbers(set, key)[0] ?? absent;
const items = (set, key) => values(set, key).filter((item) => typeof item === 'object');
const item = (set, key) => items(set, key)[0];

function fromBase64(encoded) {
  const binary = atob(encoded),
    bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

// The bytes of a binary value, or of a table that was written as numbers; null where there are none.
function bytesOf(set, key) {
  const element = set?.[key];
  if (!element) return null;
  if (element.bytes) return element.bytes;
  if (element.values.length > 1 || typeof element.values[0] === 'number') {
    return new Uint8Array(Uint16Array.from(element.values, Number).buffer);
  }
  try {
    return element.base64 ? fromBase64(element.base64) : null;
  } catch {
    return null;
  }
}

// A functional group of a frame, its own or else the shared one (PS3.3 C.7.6.16).
function functionalGroup(set, frame, name) {
  return (
    item(items(set, 'PerFrameFunctionalGroupsSequence')[frame - 1], name) ??
    item(item(set, 'SharedFunctionalGroupsSequence'), name)
  );
}

// The data set that has attributes of a frame: a functional group of it, or the instance.
const groupOr = (set, frame, name) => functionalGroup(set, frame, name) ?? set;

// Makes control characters and those that reorder or hide text visible.
const INVISIBLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;
const visible = (value) => String(value ?? '').replace(INVISIBLE, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);

const person = (name) =>
  visible(
    name
      .split('=')
      .filter(Boolean)
      .map((group) => {
        const [family = '', given = '', middle = ''] = group.split('^');
        return [family, [given, middle].filter(Boolean).join(' ')].filter(Boolean).join(', ');
      })
      .join(' · '),
  );

const day = (date) =>
  /^\d{8}/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6, 8)}` : visible(date);
