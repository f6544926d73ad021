"""OHIF beside a PACS with DICOMweb: its pages from npm, and a small server for both. Not part of the node."""
