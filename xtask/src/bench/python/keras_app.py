"""What `cargo xtask bench memcheck-keras` measures: a classifier as one would write it with TensorFlow.

python keras_app.py MODEL          writes EfficientNetV2S (300x300x3, 7 classes, random weights) to the file MODEL
python keras_app.py MODEL PICTURE  says `loading`, loads it, says `predicting`, classifies PICTURE, says `done`"""
import sys


def build(path):
    """The network with random weights, so that nothing is downloaded: neither memory nor time depends on them."""
    from tensorflow import keras

    shape = (300, 300, 3)
    network = keras.applications.EfficientNetV2S(weights=None, input_shape=shape, classes=7)
    network.save(path)


def main(model, picture):
    print("loading")
    import numpy as np
    from PIL import Image
    from tensorflow import keras

    network = keras.models.load_model(model)
    print("predicting")
    pixels = np.asarray(Image.open(picture).convert("RGB").resize((300, 300)), np.float32)
    probabilities = network.predict(pixels[None], verbose=0)[0]
    print(f"class {probabilities.argmax()}: {probabilities.max():.3f}")
    print("done")


if len(sys.argv) == 2:
    build(sys.argv[1])
else:
    main(*sys.argv[1:])
