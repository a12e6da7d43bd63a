//! Views of how layers were quantized, from a record that is written down here.
use dermai::quantize::{Calibrated, Layer, Made, Measured, Method, Mode, Reason, Record, State};
use dermai::report::Picture;
use dermai::report::quantize::{write_json, write_markdown, write_plot, write_table};
use dermai::units::Bytes;
use roxmltree::Document;
use serde_json::{Value, json};
use std::io::Write;

fn layer(node: usize, name: &str, state: State, sensitivity: Option<f64>) -> Layer {
    Layer { node, name: name.into(), op: "Conv".into(), shape: vec![8, 4, 3, 3], state, sensitivity }
}

fn made(layers: Vec<Layer>) -> Made {
    let record = Record { layers, method: Method::Entropy, is_equalised: true, agreement: Some((0.995, 200)) };
    Made {
        output: "small".into(),
        mode: Mode::Int8,
        source: "net".into(),
        source_sha256: "a".repeat(64),
        before: Bytes::mb(4),
        after: Bytes::mb(1),
        cpu: "avx2",
        runtime: "1.28.0".into(),
        measured: Measured::default(),
        calibrated: Some(Calibrated { pictures: 400, sha256: "5".repeat(64) }),
        record: Some(record),
        gates: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Of every state one; names as exporters write them.
fn four() -> Made {
    let mut made = made(vec![
        layer(0, "stem", State::Float(Reason::Narrow), None),
        layer(3, "StatefulPartitionedCall/net/block_1/expand/BatchNorm/FusedBatchNormV3:0", State::Int8, Some(2e-6)),
        layer(5, "/up/ConvTranspose_output_0", State::Float(Reason::Unsupported), None),
        layer(9, "head", State::Float(Reason::Sensitive), Some(0.0125)),
    ]);
    let layers = &mut made.record.as_mut().unwrap().layers;
    (layers[2].op, layers[2].shape) = ("ConvTranspose".into(), vec![8, 8, 2, 2]);
    (layers[3].op, layers[3].shape) = ("Gemm".into(), vec![7, 64]);
    made
}

fn many(count: usize) -> Made {
    let layers = (0..count).map(|at| layer(at * 2, &format!("/l{at}/Conv"), State::Int8, Some(1e-6 * at as f64)));
    made(layers.collect())
}

fn text(write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn table(made: &Made, columns: u16) -> String {
    text(|out| write_table(out, made, Some(columns)))
}

#[test]
fn a_table_of_layers_by_sensitivity() {
    insta::assert_snapshot!(table(&four(), 100), @r"
     int8 of `net` in `small`

            before  after  change
     files    4 MB   1 MB   0.25x

     calibrated with 400 pictures, range entropy, channels equalised, 99.5 % agreement on 200 of them;
     1 of 4 layers compute in int8; 3 stayed in float, with 77.5 % of the weights: 1 of an unsupported
     operator, 1 narrow and first, 1 sensitive

     Layers by sensitivity: divergence of the answers when one alone computes in int8
     layer                                       operator       weights  computes in                nats
     head                                        Gemm           7x64     float, sensitive         0.0125
     StatefulPartitionedC…rm/FusedBatchNormV3:0  Conv           8x4x3x3  int8                     2.0e-6
     stem                                        Conv           8x4x3x3  float, narrow and first       -
     /up/ConvTranspose_output_0                  ConvTranspose  8x8x2x2  float, no int8 form           -
    ");
}

#[test]
fn markdown_of_layers_by_sensitivity() {
    insta::assert_snapshot!(text(|out| write_markdown(out, &four())), @r"
    ## Quantization: PASSED

    int8 of <code>net</code> in <code>small</code>.

    ### Figures

    |  | before | after | change |
    | --- | ---: | ---: | ---: |
    | files | 4 MB | 1 MB | 0.25x |

    calibrated with 400 pictures, range entropy, channels equalised, 99.5 % agreement on 200 of them; 1 of 4 layers compute in int8; 3 stayed in float, with 77.5 % of the weights: 1 of an unsupported operator, 1 narrow and first, 1 sensitive.

    ### Layers by sensitivity: divergence of the answers when one alone computes in int8

    | layer | operator | weights | computes in | nats |
    | --- | --- | --- | --- | ---: |
    | head | Gemm | 7x64 | float, sensitive | 0.0125 |
    | StatefulPartitionedCall/net/bl…nd/BatchNorm/FusedBatchNormV3:0 | Conv | 8x4x3x3 | int8 | 2.0e-6 |
    | stem | Conv | 8x4x3x3 | float, narrow and first | - |
    | /up/ConvTranspose\_output\_0 | ConvTranspose | 8x8x2x2 | float, no int8 form | - |
    ");
}

#[test]
fn rows_keep_to_the_terminal() {
    for columns in [50, 64, 72, 80, 100, 200] {
        for line in table(&four(), columns).lines() {
            let most = usize::from(columns.min(100));
            assert!(line.chars().count() <= most, "{} columns of {most}: {line}", line.chars().count());
        }
    }
    let narrow = table(&four(), 72);
    assert!(narrow.contains("Statef…ormV3:0"), "both ends are told:\n{narrow}");
}

#[test]
fn the_most_sensitive_are_shown_and_the_rest_is_counted() {
    let rows = |made: &Made| table(made, 100).lines().filter(|line| line.contains("/Conv")).count();
    assert_eq!(rows(&many(20)), 20);
    assert!(!table(&many(20), 100).contains("more"));
    let mut made = many(31);
    let shown = table(&made, 100);
    assert_eq!(rows(&made), 20);
    assert!(shown.contains("/l30/Conv") && !shown.contains("/l10/Conv"), "{shown}");
    assert!(shown.contains("and 11 more: `--json` has all of them"), "{shown}");
    // One of an unsupported operator is told though nothing is known of it.
    let first = &mut made.record.as_mut().unwrap().layers[0];
    (first.state, first.sensitivity) = (State::Float(Reason::Unsupported), None);
    let shown = table(&made, 100);
    assert!(shown.contains("/l0/Conv") && shown.contains("and 10 more"), "{shown}");
}

#[test]
fn without_sensitivity_only_unsupported_operators_are_told() {
    let mut plain = four();
    let record = plain.record.as_mut().unwrap();
    record.layers.iter_mut().for_each(|layer| layer.sensitivity = None);
    (record.agreement, record.is_equalised) = (None, false);
    let shown = table(&plain, 100);
    assert!(shown.contains("Layers of an unsupported operator, left in float"), "{shown}");
    assert!(shown.contains("/up/ConvTranspose_output_0") && !shown.contains("nats"), "{shown}");
    assert!(!shown.contains("head") && !shown.contains("stem") && !shown.contains("agreement"), "{shown}");
    assert!(shown.contains("range entropy, channels as they are; 1 of 4 layers compute in int8"), "{shown}");
    plain.record.as_mut().unwrap().layers.retain(|layer| layer.state == State::Int8);
    let shown = table(&plain, 100);
    assert!(shown.ends_with("1 of 1 layers compute in int8\n"), "{shown}");
}

#[test]
fn the_json_has_every_layer_in_order_and_null_for_other_modes() {
    let parse = |made: &Made| -> Value { serde_json::from_str(&text(|out| write_json(out, made))).unwrap() };
    let long = "StatefulPartitionedCall/net/block_1/expand/BatchNorm/FusedBatchNormV3:0";
    let told = |name: &str, op: &str, shape: &[u64], how: [Option<&str>; 2], nats: Option<f64>| {
        let [state, reason] = how;
        let parameters = shape.iter().product::<u64>();
        json!({"name": name, "op": op, "shape": shape, "parameters": parameters, "state": state, "reason": reason, "sensitivity": nats})
    };
    let float = |reason| [Some("float"), Some(reason)];
    assert_eq!(
        parse(&four())["quantization"],
        json!({
            "method": "entropy",
            "equalised": true,
            "agreement": 0.995,
            "layers": [
                told("stem", "Conv", &[8, 4, 3, 3], float("narrow"), None),
                told(long, "Conv", &[8, 4, 3, 3], [Some("int8"), None], Some(2e-6)),
                told("/up/ConvTranspose_output_0", "ConvTranspose", &[8, 8, 2, 2], float("unsupported"), None),
                told("head", "Gemm", &[7, 64], float("sensitive"), Some(0.0125)),
            ],
        })
    );
    assert_eq!(parse(&four())["calibration"], json!({"pictures": 400, "sha256": "5".repeat(64)}));
    assert_eq!(parse(&many(31))["quantization"]["layers"].as_array().map(Vec::len), Some(31));
    let weights = Made { mode: Mode::Int8Weights, record: None, ..four() };
    assert!(table(&weights, 100).contains("calibrated with 400 pictures\n"), "{}", table(&weights, 100));
    assert!(parse(&weights)["quantization"].is_null() && parse(&weights)["calibration"]["pictures"] == 400);
    let other = Made { mode: Mode::Fp16, record: None, calibrated: None, ..four() };
    assert!(parse(&other)["quantization"].is_null() && parse(&other)["calibration"].is_null());
    assert!(!table(&other, 100).contains("calibrated"), "{}", table(&other, 100));
    assert!(!table(&other, 100).contains("layers"), "{}", table(&other, 100));
    let error = write_plot(&mut Vec::new(), &other, Picture::Svg).unwrap_err();
    assert!(error.to_string().contains("`fp16` has no layers"), "{error}");
}

/// Left, upper, right and lower side of the rectangles of one colour in the panel, from left to right.
fn bars(svg: &str, color: &str) -> Vec<[f64; 4]> {
    let document = Document::parse(svg).unwrap();
    let of_color = document.descendants().filter(|node| node.attribute("fill") == Some(color));
    let number = |node: &roxmltree::Node, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let sides = of_color.filter(|node| node.has_tag_name("rect")).map(|node| {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| number(&node, name));
        [x, y, x + width, y + height]
    });
    sides.filter(|[_, top, ..]| *top >= 150.0).collect()
}

#[test]
fn a_bar_s_height_is_the_logarithm_and_its_colour_the_state() {
    let mut made = many(4);
    for (layer, nats) in made.record.as_mut().unwrap().layers.iter_mut().zip([1e-5, 1e-4, 1e-3, 0.0]) {
        layer.sensitivity = Some(nats);
    }
    let svg = text(|out| write_plot(out, &made, Picture::Svg).map(|_| ()));
    let blue = bars(&svg, "#1F4E79");
    let heights: Vec<_> = blue.iter().map(|[_, top, _, bottom]| bottom - top).collect();
    assert_eq!(blue.len(), 4, "{blue:?}");
    assert!(((heights[1] - heights[0]) - (heights[2] - heights[1])).abs() <= 2.0, "{heights:?}");
    assert!(heights[1] > heights[0] + 50.0 && heights[3] > 0.0 && heights[3] < heights[0], "{heights:?}");
    assert!(blue.windows(2).all(|pair| pair[0][2] < pair[1][0]), "side by side: {blue:?}");

    let svg = text(|out| write_plot(out, &four(), Picture::Svg).map(|_| ()));
    for color in ["#1F4E79", "#E09A20", "#666666", "#C02020"] {
        assert_eq!(bars(&svg, color).len(), 1, "{color} in {svg}");
    }
    for said in ["float, sensitive", "float, narrow and first: not measured", "0.0125", "1e-4", "nats"] {
        assert!(svg.contains(said), "no {said} in {svg}");
    }
}

#[test]
fn a_picture_of_layers_bears_anything() {
    let mut unmeasured = many(3);
    unmeasured.record.as_mut().unwrap().layers.iter_mut().for_each(|layer| layer.sensitivity = None);
    let mut zero = many(1);
    zero.record.as_mut().unwrap().layers[0].sensitivity = Some(0.0);
    let mut odd = many(5);
    let values = [f64::INFINITY, f64::NAN, -1.0, 1e-300, f64::MAX];
    for (layer, nats) in odd.record.as_mut().unwrap().layers.iter_mut().zip(values) {
        (layer.name, layer.sensitivity) = ("<script>&\u{1b}[31m".repeat(50), Some(nats));
    }
    for (name, made) in
        [("unmeasured", unmeasured), ("zero", zero), ("many", many(3000)), ("none", many(0)), ("odd", odd)]
    {
        let svg = text(|out| write_plot(out, &made, Picture::Svg).map(|_| ()));
        let document = Document::parse(&svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!document.descendants().any(|node| node.has_tag_name("script")), "{name}");
        assert!(svg.contains("Sensitivity of the layers of"), "{name}");
        write_plot(&mut Vec::new(), &made, Picture::Png).unwrap();
        table(&made, 60);
    }
}
