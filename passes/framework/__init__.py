"""What a pass is made of and run by: the Pass base class, the registry, the pass manager, remarks, instruments."""
