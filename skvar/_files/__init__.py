"""Files: values as a document with arrays, and archives that hold the two."""
