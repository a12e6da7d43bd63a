"""What the export scripts share: their common flags, the card, and the check that ONNX Runtime computes what the framework does."""

import argparse
import hashlib
import importlib.util
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import yaml

# What a network was trained on: order of the channels, and (x * scale - mean) / std with x in 0..255.
VALUES = {
    "raw": ("RGB", 1.0, [0.0] * 3, [1.0] * 3),  # 0..255: the network scales them itself
    "unit": ("RGB", 1 / 255, [0.0] * 3, [1.0] * 3),  # 0..1
    "signed": ("RGB", 1 / 127.5, [1.0] * 3, [1.0] * 3),  # -1..1, Keras' mode "tf"
    "imagenet": ("RGB", 1 / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),  # torchvision; Keras' mode "torch"
    "caffe": ("BGR", 1.0, [103.939, 116.779, 123.68], [1.0] * 3),  # Keras' mode "caffe"
}
MOVES = ("Transpose", "Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
TOLERANCE = 1e-3  # of the largest output; float32 rounding in a deep network stays well below


def parser(doc, labels="required"):
    flags = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("model", help="the trained model's file")
    flags.add_argument("-o", "--out", type=pathlib.Path, required=True, help="folder for model.onnx and model.yaml")
    flags.add_argument(
        "--labels", required=labels == "required", help="a,b,c or a text file with one a line, in output order"
    )
    flags.add_argument("--name", help="name of the model; the folder's if left out")
    flags.add_argument("--size", type=numbers(int, 1, 2), help="N or HEIGHT,WIDTH that the network takes")
    flags.add_argument("--resize", type=resize_spec, help="stretch, crop:SHORTEST or pad:R,G,B")
    flags.add_argument("--filter", choices=["nearest", "box", "bilinear", "bicubic", "lanczos"])
    flags.add_argument("--values", choices=VALUES, help="what the network was trained on")
    flags.add_argument("--color", choices=["RGB", "BGR"], help="instead of what --values says; so the next three")
    flags.add_argument("--scale", type=float)
    flags.add_argument("--mean", type=numbers(float, 3))
    flags.add_argument("--std", type=numbers(float, 3))
    flags.add_argument("--sigmoid", action="store_true", help="append a sigmoid: one logit, or independent labels")
    flags.add_argument("--code", type=pathlib.Path, help="a Python file to run first: layers and classes of your own")
    return flags


def numbers(kind, *counts):
    def parse(text):
        found = [kind(part) for part in text.split(",")]
        if len(found) not in counts:
            raise argparse.ArgumentTypeError(f"expected {' or '.join(map(str, counts))} numbers")
        return found

    return parse


def resize_spec(text):
    mode, _, rest = text.partition(":")
    if mode == "crop" and rest.isdigit():
        return {"mode": mode, "shortest": int(rest)}
    if mode == "pad":
        return {"mode": mode, "color": numbers(int, 3)(rest)}
    if text != "stretch":
        raise argparse.ArgumentTypeError(f"`{text}` is none of stretch, crop:SHORTEST, pad:R,G,B")
    return {"mode": mode}


def begin(args):
    """Reads the labels, runs --code, makes the folder; gives the path of the graph."""
    args.size = args.size and (args.size * 2)[:2]
    if (args.out / "model.yaml").exists():
        sys.exit(f"error: `{args.out / 'model.yaml'}` exists; it may hold your own words: move it or name another folder")
    if args.labels and pathlib.Path(args.labels).is_file():
        lines = pathlib.Path(args.labels).read_text(encoding="utf-8").splitlines()
        args.labels = [line.strip() for line in lines if line.strip()]
    elif args.labels:
        args.labels = [label.strip() for label in args.labels.split(",")]
    args.own = load(args.code) if args.code else None
    args.out.mkdir(parents=True, exist_ok=True)
    return args.out / "model.onnx"


def load(path):
    """Runs a Python file as a module of its own name, so that pickles find its classes."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def begins_with_arithmetic(path):
    """Whether the graph itself brings 0..255 to what the network wants (in Keras: Rescaling, Normalization, preprocess_input)."""
    graph = onnx.load(path).graph
    at = graph.input[0].name
    while node := next((n for n in graph.node if at in n.input), None):
        if node.op_type not in MOVES:
            return node.op_type in ("Mul", "Div", "Sub", "Add", "BatchNormalization", "Slice", "Gather", "Split")
        at = node.output[0]
    return False


def finish(args, layout, size, values, resize, run, filter="bilinear"):
    """Checks the graph in args.out against `run` (tensor to the framework's output), then writes the card. Flags win over what is given here."""
    path = args.out / "model.onnx"
    color, scale, mean, std = VALUES[args.values or values]
    spec = {
        "layout": layout,
        "size": list(args.size or size),
        "color": args.color or color,
        "resize": {**(args.resize or resize_spec(resize)), "filter": args.filter or filter},
        "scale": args.scale or scale,
        "mean": args.mean or mean,
        "std": args.std or std,
    }
    classes = check(path, spec, run)
    if args.sigmoid:
        append_sigmoid(path)
    kind = output_kind(path)
    if classes == 1 and kind != "sigmoid":
        fail(path, "the network gives one value that is no probability: say --sigmoid if it was trained on a logit")
    if len(args.labels) != classes and not (classes == 1 and len(args.labels) == 2):
        fail(path, f"{len(args.labels)} labels, but the network gives {classes} values")
    card = {
        "card": 1,
        "name": args.name or args.out.resolve().name,
        "model": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "input": spec,
        "output": {"kind": kind},
        "labels": [{"id": label} for label in args.labels],
        "about": {"source": f"exported from {pathlib.Path(args.model).name}", "notice": "not a diagnosis"},
    }
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    (args.out / "model.yaml").write_text(text, encoding="utf-8")
    print(f"wrote {path} ({path.stat().st_size / 2**20:.1f} MB) and its card; look it through:\n\n{text}", end="")


def fail(path, message):
    """A graph without its card would be run by what can be guessed: neither is left."""
    path.unlink(missing_ok=True)
    sys.exit(f"error: {message}")


def check(path, spec, run):
    """Runs both on one random picture; gives the number of classes."""
    session = onnxruntime.InferenceSession(path)
    (feed,), outputs = session.get_inputs(), session.get_outputs()
    if len(outputs) != 1:
        fail(path, f"the graph gives {len(outputs)} outputs; export a model with one")
    picture = np.random.default_rng(0).integers(0, 256, [*spec["size"], 3])
    x = ((picture * spec["scale"] - np.array(spec["mean"])) / np.array(spec["std"])).astype(np.float32)[None]
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if spec["layout"] == "NCHW" else x
    ours, theirs = session.run(None, {feed.name: x})[0], np.asarray(run(x))
    difference = np.abs(ours - theirs).max() / max(1, np.abs(theirs).max())
    print(f"onnxruntime {onnxruntime.__version__} against the framework, one random picture: differs by {difference:.1e}")
    if not difference <= TOLERANCE:
        fail(path, f"more than {TOLERANCE}: the export does not compute what the model does")
    return ours.shape[1]


def output_kind(path):
    graph = onnx.load(path).graph
    made = {name: node for node in graph.node for name in node.output}
    node = made.get(graph.output[0].name)
    while node and node.op_type in MOVES:
        node = made.get(node.input[0])
    return {"Softmax": "softmax", "Sigmoid": "sigmoid"}.get(node.op_type if node else "", "logits")


def append_sigmoid(path):
    model = onnx.load(path)
    output = model.graph.output[0]
    model.graph.node.append(onnx.helper.make_node("Sigmoid", [output.name], ["probabilities"]))
    output.name = "probabilities"
    onnx.save(model, path)
