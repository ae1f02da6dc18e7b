"""An ONNX file beside the estimator, and the served example under load."""
