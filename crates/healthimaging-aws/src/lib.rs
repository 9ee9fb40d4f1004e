//! Back end: AWS HealthImaging through the official SDK, and its DICOMweb.
