"""The DICOM node: a study's way is listen, settle, route, analyse, report, send."""
