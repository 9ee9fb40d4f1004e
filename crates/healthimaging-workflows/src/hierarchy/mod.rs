//! Patient, study, series: the hierarchy that image sets add up to.
