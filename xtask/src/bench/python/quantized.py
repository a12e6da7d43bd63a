"""`onnxruntime.quantization` beside `dermai quantize`, for `cargo xtask bench quantize`. Prints one JSON object.

python quantized.py sets SHARED MODEL OUT             writes OUT/labels.csv (labelled images of MODEL) and OUT/calibration.csv
python quantized.py one SHARED MODEL OUT RECIPE       quantizes MODEL with OUT/calibration.csv: OUT/RECIPE.onnx
python quantized.py all SHARED MODEL OUT BUNDLE...    quantizes by every recipe, evaluates on OUT/labels.csv, and times, by turns in this process,
                                                      the float network, each recipe's and the graphs of the bundles
python quantized.py answers SHARED BUNDLE IMAGE...    probabilities by the bundle's graph
python quantized.py recipe SHARED MODEL OUT RECIPE IMAGE...  probabilities by what `one` wrote"""
import contextlib, csv, functools, itertools, json, logging, pathlib, statistics, sys, time
import numpy as np, onnx, onnxruntime, yaml
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from classify import probabilities

RECIPES = {
    "minmax u8s8": (CalibrationMethod.MinMax, QuantType.QUInt8),
    "minmax s8s8": (CalibrationMethod.MinMax, QuantType.QInt8),
    "entropy u8s8": (CalibrationMethod.Entropy, QuantType.QUInt8),
    "percentile u8s8": (CalibrationMethod.Percentile, QuantType.QUInt8),
}
# Entropy and percentile hold every tensor of at most so many pictures at once; of all of them it would be gigabytes.
PORTION = 20
# Pairs of timed runs, and seconds after which there are no more of them.
RUNS, ENOUGH = 100, 20
# What the images' labels are called on a card with other names.
OTHER_NAMES = {"akiec": "ak"}
# The operators that weigh most: those of the runtime's own kinds included.
FLOAT = {"Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}


def card_of(model):
    return yaml.safe_load((model / "model.yaml").read_text(encoding="utf-8"))


def pictures(folder, most=None):
    names = sorted(path for path in folder.iterdir() if path.suffix != ".csv")
    return names[:most]


def calibration_pictures(shared, name):
    below = shared / "calibration"
    if name.startswith("imagenet-"):
        return pictures(shared / "images/other") + pictures(below / "cifar10", 60)
    if name.startswith("skin-or-other"):
        return pictures(below / "cifar10", 50) + pictures(below / "ham", 50)
    return pictures(below / ("cifar10" if name.startswith("cifar10") else "ham"))


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def listed(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sets(shared, model, out):
    """Lists of absolute paths, so that nothing is copied."""
    ids = [label["id"] for label in card_of(model)["labels"]]
    found = np.load(model / "reference.npz") if (model / "reference.npz").is_file() else {"files": [], "labels": []}

    def known(label):
        label = str(label)
        if label not in ids and label.isdigit():
            return ids[int(label)]
        return label if label in ids else OTHER_NAMES.get(label, label)

    rows = [[shared / "images" / str(file), known(label)] for file, label in zip(found["files"], found["labels"])]
    calibration = [[path] for path in calibration_pictures(shared, model.name)]
    write(out / "labels.csv", [["file", "label"], *rows])
    write(out / "calibration.csv", [["file"], *calibration])
    return {"images": len(rows), "calibration": len(calibration)}


class Reader(CalibrationDataReader):
    """Tensors of pictures, of a part of them where one is asked for."""

    def __init__(self, feed, tensors, count):
        self.feed, self.tensors, self.count = feed, tensors, count
        self.set_range(0, count)

    def __len__(self):
        return self.count

    def set_range(self, start_index, end_index):
        self.places = iter(range(start_index, min(end_index, self.count)))

    def get_next(self):
        place = next(self.places, None)
        return None if place is None else {self.feed: self.tensors(place)}


def session(path, level=onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantize(preprocess, model, out, recipe):
    """Writes the quantized network and gives its path and the seconds that it took."""
    begun = time.perf_counter()
    card = card_of(model)
    files = [row["file"] for row in listed(out / "calibration.csv")]
    prepared, written = out / "prepared.onnx", out / f"{recipe}.onnx"
    quant_pre_process(str(model / card["model"]["file"]), str(prepared))
    feed = onnx.load(prepared, load_external_data=False).graph.input[0].name
    reader = Reader(feed, lambda at: preprocess(files[at], card), len(files))
    method, kind = RECIPES[recipe]
    portion = max(at for at in range(1, PORTION + 1) if len(files) % at == 0)  # others are refused
    more = {} if method == CalibrationMethod.MinMax else {"CalibStridedMinMax": portion}
    quantize_static(
        str(prepared),
        str(written),
        reader,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=kind,
        weight_type=QuantType.QInt8,
        calibrate_method=method,
        extra_options=more,
    )
    return written, time.perf_counter() - begun


def fast_form(bundle):
    """The graph that predicts on this class of CPU; it is optimised already."""
    forms = card_of(bundle)["bundle"]["forms"]
    name = next(form["file"] for form in forms if form["task"] == "predict" and form["cpu"] != "any")
    return bundle / name


def optimised(path):
    return session(path, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)


def answer(network, tensor, card):
    raw = network.run(None, {network.get_inputs()[0].name: tensor})[0][0]
    return np.asarray(probabilities(raw, card["output"]), np.float64)


def floats(path):
    """Convolutions and matrix products that compute in float."""
    return sum(node.op_type in FLOAT for node in onnx.load(path, load_external_data=False).graph.node)


def likeness(before, after, labels):
    same = before.argmax(1) == after.argmax(1)
    log = lambda p: np.log(np.maximum(p, 1e-12))
    return {
        "agreement": float(same.mean()),
        "kl": float((before * (log(before) - log(after))).sum(1).mean()),
        "top1": float((after.argmax(1) == labels).mean()),
    }


def timed(networks, tensor):
    """Each network's CPU time by the first one's: the median of what is measured by turns."""
    feeds = [{network.get_inputs()[0].name: tensor} for network in networks]
    turns, begun = [], time.perf_counter()
    for turn in itertools.count():
        took = []
        for network, feed in zip(networks, feeds):
            start = time.thread_time()
            network.run(None, feed)
            took.append(time.thread_time() - start)
        if turn >= 3:
            turns.append(took)
        if len(turns) == RUNS or len(turns) >= 20 and time.perf_counter() - begun > ENOUGH:
            return [statistics.median(took[at] / took[0] for took in turns) for at in range(len(networks))]


def every(preprocess, model, out, bundles):
    card = card_of(model)
    ids = [label["id"] for label in card["labels"]]
    rows = listed(out / "labels.csv")
    labels = np.array([ids.index(row["label"]) for row in rows])
    original = model / card["model"]["file"]
    once = functools.cache(lambda file: preprocess(file, card))
    made = {recipe: quantize(lambda file, _: once(file), model, out, recipe) for recipe in RECIPES}
    once.cache_clear()
    networks = {recipe: session(path) for recipe, (path, _) in made.items()}
    float32 = session(original)
    before, after = [], {recipe: [] for recipe in RECIPES}
    for row in rows:
        tensor = preprocess(row["file"], card)
        before.append(answer(float32, tensor, card))
        for recipe, network in networks.items():
            after[recipe].append(answer(network, tensor, card))
    before = np.array(before)
    graphs = [fast_form(bundle) for bundle in bundles]
    ratios = timed([float32, *networks.values(), *map(optimised, graphs)], tensor)[1:]
    recipes = [
        {
            "name": recipe,
            "bytes": path.stat().st_size,
            "seconds": seconds,
            "latency": ratio,
            **likeness(before, np.array(after[recipe]), labels),
        }
        for (recipe, (path, seconds)), ratio in zip(made.items(), ratios)
    ]
    others = zip(graphs, ratios[len(recipes):])
    return {
        "top1": float((before.argmax(1) == labels).mean()),
        "bytes": original.stat().st_size,
        "recipes": recipes,
        "bundles": [{"latency": ratio, "floats": floats(graph)} for graph, ratio in others],
    }


def answers(preprocess, network, card, files):
    return {"answers": [answer(network, preprocess(file, card), card).tolist() for file in files]}


def main(task, shared, model, *rest):
    logging.getLogger().setLevel(logging.ERROR)
    shared, model = pathlib.Path(shared), pathlib.Path(model)
    sys.path.insert(0, str(shared / "tools"))
    from preprocess import preprocess

    with contextlib.redirect_stdout(sys.stderr):  # the library talks
        if task == "sets":
            result = sets(shared, model, pathlib.Path(rest[0]))
        elif task == "one":
            path, seconds = quantize(preprocess, model, pathlib.Path(rest[0]), rest[1])
            result = {"seconds": seconds, "bytes": path.stat().st_size}
        elif task == "all":
            result = every(preprocess, model, pathlib.Path(rest[0]), [pathlib.Path(bundle) for bundle in rest[1:]])
        elif task == "answers":
            result = answers(preprocess, optimised(fast_form(model)), card_of(model), rest)
        else:
            written = pathlib.Path(rest[0], f"{rest[1]}.onnx")
            result = answers(preprocess, session(written), card_of(model), rest[2:])
    print(json.dumps(result))


main(*sys.argv[1:])
