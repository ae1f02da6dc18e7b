"""The layer above Keras and TensorFlow: models, logits, compiled inference, devices, seeds, processes."""
