"""The fit: autoencoders, perturbations, surrogates, the training loop, its cache, and the defense as a whole."""
