"""What the small stack's layer brings."""

TEXT = "from the layer"
