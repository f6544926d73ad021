"""What the headers of images say, read in parts: one file per question. node/headers.py puts them together."""
