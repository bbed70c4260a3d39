"""Groups of options that several commands share; each option and its help text is declared once."""
