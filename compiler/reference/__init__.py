"""What the code says of itself, as Markdown: for the pages of docs/, `llmc explain` and the language server."""
