"""Guest code: from assembly source or an ELF file to words, symbols and a line map."""
