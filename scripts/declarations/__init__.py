"""What scripts/generate-interface is made of: the header, read, and a file for each thing that is written of it."""
