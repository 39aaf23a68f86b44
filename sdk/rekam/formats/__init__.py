"""What programs log as files: dictionaries, figures, images, tables. What they need is imported when used."""
