"""The history of the schema; each revision is spelt out, so that it stays what it was when the tables move on."""
