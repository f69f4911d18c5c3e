"""The language server: `llmc-lsp` (compiler/driver/lsp.py) starts it.

`server.py` alone knows the protocol. Below it stands plain code on texts and offsets: `lexical` (tokens), `splitting` (the parts of
a file that can be read alone), `recovering` (a parser that reads on behind errors and notes where everything stands), `document`
(a file, read as far as it was asked for, and what the last version of it still gives), `checking` (all findings), and one module
for each question: `navigation`, `rename`, `hover`, `completion`, `outline`, `highlighting`.
"""
