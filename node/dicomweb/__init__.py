"""Our side as user agent of DICOMweb (PS3.18): one HTTP connection, storing (STOW-RS) and asking (QIDO-RS)."""
