"""Findings to DICOM objects: SEG, GSPS, SC and SR, pure. Start at node/report/objects.py."""
