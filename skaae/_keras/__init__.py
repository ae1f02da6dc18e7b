"""What is asked of Keras and TensorFlow: models, logits, compiled inference, seeds, processes."""
