"""A tf.data service: hosts that make batches for a trainer."""
