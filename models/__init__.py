"""Deep models at work: numpy in, findings out. No torch, no database, no DICOM network here."""
