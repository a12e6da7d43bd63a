"""Keras (.keras, .h5) to ONNX and a card.

    pip install tensorflow-cpu==2.21.0 keras==3.15.1 tf2onnx==1.17.0 onnxruntime==1.28.0 pyyaml==6.0.4
    python models/export/from_keras.py mine.keras --labels akiec,bcc,bkl,df,mel,nv,vasc -o models/mine

Assumed unless said otherwise: pictures are stretched to the model's input size, bilinear; values are 0..255 if the network begins with
arithmetic (a Rescaling layer, preprocess_input inside), else 0..1. `preprocess_input` outside the network is --values signed (MobileNet,
MobileNetV2, ResNetV2, Inception, Xception, NASNet), imagenet (DenseNet) or caffe (ResNet, VGG).
ImageDataGenerator and load_img resize with --filter nearest unless told otherwise.
"""

import os

import card

OPSET = 17


def main():
    args = card.parser(__doc__).parse_args()
    path = card.begin(args)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import onnx

    model = keras.models.load_model(args.model, compile=False)
    _, *shape = model.input_shape
    layout, size = ("NCHW", shape[1:]) if shape[0] == 3 else ("NHWC", shape[:2])
    size = args.size or size
    if None in size:
        raise SystemExit("error: the network takes pictures of any size: say --size HEIGHT,WIDTH")
    shape = [3, *size] if layout == "NCHW" else [*size, 3]
    onnx.save(convert(lambda x: model(x, training=False), shape), path)
    values = "raw" if card.begins_with_arithmetic(path) else "unit"
    card.finish(args, layout, size, values, "stretch", lambda x: model(x, training=False))


def convert(run, shape):
    import onnx
    import tensorflow
    import tf2onnx
    from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer as Optimizer

    def add(self, transpose, node, wrapped=Optimizer._add_handler):
        try:
            return wrapped(self, transpose, node)
        except ValueError:  # tf2onnx 1.17.0 fails on a scalar (MobileNetV3), and a hundred Transposes would stay
            return self._handle_node_having_branches(transpose, node)

    Optimizer._add_handler = add
    network = tensorflow.function(run)
    picture = tensorflow.TensorSpec([None, *shape], tensorflow.float32, name="image")
    model, _ = tf2onnx.convert.from_function(network, [picture], opset=OPSET)
    # Constants outside the network's variables (Normalization, preprocess_input) arrive as inputs that would have to be fed.
    fed = {value.name: value for value in model.graph.input}
    for value, inside in network.get_concrete_function(picture).graph.captures:
        if inside.name in fed:
            model.graph.initializer.append(onnx.numpy_helper.from_array(value.numpy(), inside.name))
            model.graph.input.remove(fed[inside.name])
    return model


if __name__ == "__main__":
    main()
