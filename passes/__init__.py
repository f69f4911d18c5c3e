"""Every pass, one a file, in a folder per phase; `framework/` is what a pass is made of and run by."""
