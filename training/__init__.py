"""Makes the weights: networks, data, losses, recipes, evaluation and export to ONNX bundles."""
