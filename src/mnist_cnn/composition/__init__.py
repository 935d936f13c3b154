"""Pictures of handwritten numbers, composed to train a reader of whole numbers."""
