//! The card of a model that has none: what the graph and its metadata say, the usual convention for the rest, and a warning for each guess.
use super::card::{About, Card, Explain, Label, Output, OutputKind};
use super::check::{choose_output, classes, only_input};
use crate::input::{Color, Filter, Layout, Preprocessing, Resize};
use crate::onnx::{Dim, Facts, ModelFile};
use anyhow::{Context, Result, bail};

/// Side of the picture when neither graph nor metadata says it.
const USUAL_SIDE: u32 = 224;
/// Mean and standard deviation of ImageNet, which torchvision's networks are trained with.
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// A card for `file`; every assumption is added to `warnings`.
pub fn card(file: &ModelFile, warnings: &mut Vec<String>) -> Result<Card> {
    let facts = file.facts();
    let named = || format!("`{}` has no card and cannot be used without one", file.path().display());
    only_input(facts).with_context(|| format!("`{}`", file.path().display()))?; // no card would help
    let (layout, size) = layout_and_size(facts, warnings).with_context(named)?;
    let input = preprocessing(facts, layout, size);
    let output = choose_output(None, facts).with_context(named)?;
    let (kind, certain) = match facts.output_ops.get(&output.name).map(String::as_str) {
        Some("Softmax") => (OutputKind::Softmax, true),
        Some("Sigmoid") => (OutputKind::Sigmoid, true),
        Some("Gemm" | "MatMul" | "Add" | "LogSoftmax") => (OutputKind::Logits, true),
        _ => (OutputKind::Logits, false),
    };
    if !certain {
        warnings.push(format!("output `{}` is assumed to hold logits", output.name));
    }
    let labels = match facts.metadata.get("names").map(|text| names(text)) {
        Some(Some(labels)) => labels,
        unreadable => {
            if unreadable.is_some() {
                warnings.push("the model's metadata `names` cannot be read".into());
            }
            let count = classes(output)
                .with_context(named)?
                .with_context(|| format!("{}: the number of classes is not in the file", named()))?;
            if count > 1_000_000 {
                bail!("{}: it gives {count} values", named());
            }
            // By convention the one value is class 1's; a lone label `0` would say the opposite.
            let pair = count == 1 && kind == OutputKind::Sigmoid;
            let count = if pair { 2 } else { count };
            let which = if pair { "; the model's one value is taken for class 1" } else { "" };
            warnings.push(format!("no labels in the model: classes are numbered 0 to {}{which}", count - 1));
            (0..count).map(|n| label(&n.to_string())).collect()
        }
    };
    warnings.push(describe(&input, kind));
    warnings.push(format!(
        "write a card to be sure: `{}`, see models/README.md",
        file.path().with_extension("yaml").display()
    ));
    let name = file.path().file_stem().map_or_else(|| "model".into(), |stem| stem.display().to_string());
    let output = Output { kind, name: None, temperature: None };
    Ok(Card {
        card: 1,
        name,
        model: None,
        input,
        output,
        labels,
        explain: Explain::default(),
        threshold: None,
        about: About::default(),
        bundle: None,
    })
}

/// Which axis holds the three channels, and the picture's height and width.
fn layout_and_size(facts: &Facts, warnings: &mut Vec<String>) -> Result<(Layout, [u32; 2])> {
    let input = only_input(facts)?;
    let shape = input.shape.as_deref().with_context(|| format!("the file does not say the shape of {input}"))?;
    let (layout, height, width) = match shape {
        [_, Dim::Fixed(3), height, width] => (Layout::Nchw, height, width),
        [_, height, width, Dim::Fixed(3)] => (Layout::Nhwc, height, width),
        [_, channels, _, _] => {
            bail!("the model takes {input}: neither [N, 3, H, W] nor [N, H, W, 3] (channels: {channels})")
        }
        _ => bail!("the model takes {input}; an image classifier takes four axes"),
    };
    let said = facts
        .metadata
        .get("imgsz")
        .and_then(|text| serde_json::from_str::<[u32; 2]>(text).ok())
        .unwrap_or([USUAL_SIDE; 2]);
    if height.fixed().is_none() || width.fixed().is_none() {
        warnings.push(format!("the model takes pictures of any size: {}x{} is assumed", said[1], said[0]));
    }
    let side = |dim: &Dim, usual: u32| {
        dim.fixed().map_or(Ok(usual), |n| {
            u32::try_from(n).ok().filter(|n| *n <= 8192).with_context(|| format!("the model takes {input}: too large"))
        })
    };
    Ok((layout, [side(height, said[0])?, side(width, said[1])?]))
}

/// The usual convention of whoever exports such a graph.
fn preprocessing(facts: &Facts, layout: Layout, size: [u32; 2]) -> Preprocessing {
    let plain = ([0.0; 3], [1.0; 3]);
    let shortest = size[0];
    let filter = Filter::Bilinear;
    let inside = match facts.first_op.as_deref() {
        Some("Mul" | "Div" | "Sub" | "Add" | "BatchNormalization") => true,
        // Keras' `preprocess_input` for ResNet and VGG begins by turning RGB into BGR.
        Some("Slice" | "Gather" | "Split") => layout == Layout::Nhwc,
        _ => false,
    };
    let ultralytics = facts.metadata.get("author").is_some_and(|author| author == "Ultralytics")
        || facts.metadata.contains_key("imgsz");
    let (scale, (mean, std), resize) = if inside {
        (1.0, plain, Resize::Stretch { filter })
    } else if ultralytics {
        // Its transforms keep the proportions for a square only.
        let crop = size[0] == size[1];
        (1.0 / 255.0, plain, if crop { Resize::Crop { shortest, filter } } else { Resize::Stretch { filter } })
    } else if layout == Layout::Nchw {
        (1.0 / 255.0, IMAGENET, Resize::Stretch { filter })
    } else {
        (1.0 / 255.0, plain, Resize::Stretch { filter })
    };
    Preprocessing { layout, size, color: Color::Rgb, resize, scale, mean, std }
}

fn describe(input: &Preprocessing, kind: OutputKind) -> String {
    let values = match (input.scale == 1.0, input.mean == IMAGENET.0) {
        (true, _) => "values 0 to 255 (the graph scales them itself)",
        (false, true) => "values scaled to 0..1, less ImageNet's mean, over its deviation",
        (false, false) => "values scaled to 0..1",
    };
    let resize = if matches!(input.resize, Resize::Crop { .. }) { "centre crop" } else { "stretched" };
    let kind = format!("{kind:?}").to_lowercase();
    format!(
        "no card: assumed {} RGB, {}x{} ({resize}, bilinear), {values}; output {kind}",
        input.layout, input.size[1], input.size[0]
    )
}

fn label(id: &str) -> Label {
    Label { id: id.to_owned(), en: None, vi: None }
}

/// Class names as ultralytics writes them: a Python dictionary, `{0: 'mel', 1: "crow's foot"}`, in any order, without gaps.
fn names(text: &str) -> Option<Vec<Label>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':')?;
        let key: usize = key.trim().trim_matches(['\'', '"']).parse().ok()?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (value, used) = unquote(&after[1..], quote)?;
        found.push((key, value));
        rest = after[1 + used..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    found.sort_unstable();
    let complete = !found.is_empty() && found.iter().enumerate().all(|(at, (key, _))| at == *key);
    complete.then(|| found.into_iter().map(|(_, name)| label(&name)).collect())
}

/// A Python string's value up to its closing quote, and how many bytes it took with the quote.
fn unquote(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            c if c == quote => return Some((value, at + 1)),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn facts(first_op: &str, metadata: &[(&str, &str)]) -> Facts {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let first_op = Some(first_op.to_owned());
        Facts { opset: 17, inputs: vec![], outputs: vec![], metadata, output_ops: BTreeMap::new(), first_op }
    }

    /// What graphs begin with: `preprocess_input` of Keras 3.15 through tf2onnx 1.17, and a network of torchvision.
    #[test]
    fn preprocessing_inside_the_graph_is_seen() {
        for (first_op, layout, inside) in [
            ("Mul", Layout::Nhwc, true),   // MobileNet, DenseNet
            ("Slice", Layout::Nhwc, true), // ResNet, VGG
            ("Conv", Layout::Nhwc, false),
            ("Gather", Layout::Nchw, false), // GoogLeNet: from ImageNet's values to another network's
        ] {
            let input = preprocessing(&facts(first_op, &[]), layout, [8, 8]);
            assert_eq!(input.scale == 1.0, inside, "{first_op} {layout}");
        }
    }

    #[test]
    fn ultralytics_keeps_proportions_for_squares_only() {
        let resize = |size| preprocessing(&facts("Conv", &[("imgsz", "[8, 8]")]), Layout::Nchw, size).resize;
        let filter = Filter::Bilinear;
        assert_eq!(resize([8, 8]), Resize::Crop { shortest: 8, filter });
        assert_eq!(resize([8, 6]), Resize::Stretch { filter });
    }

    #[test]
    fn names_as_python_writes_them() {
        let ids = |text| names(text).map(|labels| labels.into_iter().map(|l| l.id).collect::<Vec<_>>());
        let strings = |all: &[&str]| Some(all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(ids("{0: 'akiec', 1: 'bcc'}"), strings(&["akiec", "bcc"]));
        assert_eq!(ids(r#"{1: "o'clock", 0: 'a, b: c'}"#), strings(&["a, b: c", "o'clock"]));
        assert_eq!(ids(r"{0: 'it\'s'}"), strings(&["it's"]));
        for broken in ["", "{}", "[1]", "{0: 'a', 2: 'b'}", "{0: 'a", "{x: 'a'}", "{0: a}"] {
            assert_eq!(ids(broken), None, "{broken}");
        }
    }
}
