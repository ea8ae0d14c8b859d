"""The settings: the form of the document, its reader and its problems, and the settings of one resource."""
