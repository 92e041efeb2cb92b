"""Image folder -> records -> uint8 batches -> augmented batches on the device."""
