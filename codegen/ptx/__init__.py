"""From PTX text to cubins: finding and running ptxas, reading its log, the cubin cache, SASS listings."""
