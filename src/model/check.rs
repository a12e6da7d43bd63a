//! Whether a card and a graph agree; every disagreement names the field and both values.
use super::card::{Card, OutputKind};
use crate::input::Layout;
use crate::onnx::{Dim, ElementType, Facts, ModelFile, Tensor};
use anyhow::{Context, Result, bail, ensure};

/// Checks input and output and gives the name of the output that holds the classes.
pub fn agree(card: &Card, file: &ModelFile) -> Result<String> {
    check_input(card, file.facts())?;
    let output = choose_output(card.output.name.as_deref(), file.facts())?;
    check_output(card, output)?;
    Ok(output.name.clone())
}

fn check_input(card: &Card, facts: &Facts) -> Result<()> {
    let input = only_input(facts)?;
    let Some(shape) = &input.shape else { return Ok(()) };
    let ([height, width], expected) = (card.input.size, card.input.shape());
    let layout = match card.input.layout {
        Layout::Nchw => "[N, 3, H, W]",
        Layout::Nhwc => "[N, H, W, 3]",
    };
    ensure!(shape.len() == 4, "the model takes {input}; an image classifier takes four axes, {layout}");
    let differs = |at: usize| shape[at].fixed().is_some_and(|n| n != expected[at] as u64);
    let channels = if card.input.layout == Layout::Nchw { 1 } else { 3 };
    if differs(0) {
        bail!(
            "the model takes {input}: {} pictures at once; export it with a batch of 1 or a free batch axis",
            shape[0]
        );
    }
    if differs(channels) {
        bail!("`input.layout`: the card says {} ({layout}), the model takes {input}", card.input.layout);
    }
    if (1..4).any(differs) {
        bail!("`input.size`: the card says [{height}, {width}], the model takes {input}");
    }
    Ok(())
}

/// The one float input that a classifier has.
pub fn only_input(facts: &Facts) -> Result<&Tensor> {
    let [input] = facts.inputs.as_slice() else {
        let names: Vec<_> = facts.inputs.iter().map(ToString::to_string).collect();
        bail!(
            "the model takes {} inputs ({}); only models with one are run{}",
            names.len(),
            names.join(", "),
            left_out(facts)
        );
    };
    ensure!(
        input.element == ElementType::FLOAT,
        "the model takes {input}; only float32 inputs are fed: {}",
        match input.element {
            ElementType::FLOAT16 => "export it in float32",
            _ => "export it without a cast before the network",
        }
    );
    Ok(input)
}

/// Advice where all inputs but one have no batch axis: Keras' exporter leaves the constants of a Normalization layer as inputs.
fn left_out(facts: &Facts) -> &'static str {
    let fixed = |input: &&Tensor| input.shape.as_ref().is_some_and(|shape| shape.iter().all(|d| d.fixed().is_some()));
    if facts.inputs.iter().filter(fixed).count() + 1 == facts.inputs.len() {
        ": those of a fixed shape look like constants that an exporter left out; `models/export/from_keras.py` keeps them in the graph"
    } else {
        ""
    }
}

/// The output that holds the classes: the named one, or the only one that looks like it.
pub fn choose_output<'f>(name: Option<&str>, facts: &'f Facts) -> Result<&'f Tensor> {
    let all = || facts.outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        return facts
            .outputs
            .iter()
            .find(|o| o.name == name)
            .with_context(|| format!("`output.name`: the card says `{name}`, the model gives {}", all()));
    }
    match facts.outputs.as_slice() {
        [] => bail!("the model has no output"),
        [only] => Ok(only),
        several => bail!(
            "the model gives {} outputs ({}); say which holds the classes with `output: {{name: …}}` in the card",
            several.len(),
            all()
        ),
    }
}

/// Number of classes by an output's shape `[N, C]` (axes of length 1 may follow); `None` when the file does not say.
pub fn classes(output: &Tensor) -> Result<Option<u64>> {
    let Some(shape) = &output.shape else { return Ok(None) };
    let is_list = shape.len() >= 2 && shape[2..].iter().all(|d| *d == Dim::Fixed(1));
    ensure!(is_list, "the model gives {output}; a classifier gives [N, classes]: detectors and segmenters are not run");
    Ok(shape[1].fixed())
}

fn check_output(card: &Card, output: &Tensor) -> Result<()> {
    ensure!(output.element == ElementType::FLOAT, "the model gives {output}; only float32 outputs are read");
    let Some(classes) = classes(output)? else { return Ok(()) };
    check_count(card, classes, &output.to_string())
}

/// Whether the card has a label for each of `classes` values of `output`.
pub fn check_count(card: &Card, classes: u64, output: &str) -> Result<()> {
    let labels = card.labels.len() as u64;
    ensure!(
        classes != 1 || card.output.kind == OutputKind::Sigmoid,
        "`output.kind`: the model gives one value in {output}, and the softmax of one value is always 1: `kind: sigmoid` if it is a probability, else append a sigmoid when exporting"
    );
    // A single sigmoid is the positive class; a card may name the negative one before it.
    let pair = classes == 1 && labels == 2 && card.output.kind == OutputKind::Sigmoid;
    ensure!(labels == classes || pair, "`labels`: the card has {labels}, the model gives {classes} values in {output}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What Keras 3.15 exports of a network with a Normalization layer, and a network that truly takes two things.
    #[test]
    fn constants_among_the_inputs_are_told_from_inputs() {
        let input =
            |shape: &[Dim]| Tensor { name: "x".into(), element: ElementType::FLOAT, shape: Some(shape.to_vec()) };
        let (free, one, three) = (Dim::Any("N".into()), Dim::Fixed(1), Dim::Fixed(3));
        let picture = input(&[free.clone(), Dim::Fixed(8), Dim::Fixed(8), three.clone()]);
        let constant = input(&[one.clone(), one.clone(), one.clone(), three]);
        for (other, expected) in [(constant, true), (input(&[free, one]), false)] {
            let facts = Facts {
                opset: 17,
                inputs: vec![picture.clone(), other],
                outputs: vec![],
                metadata: BTreeMap::new(),
                output_ops: BTreeMap::new(),
                first_op: None,
            };
            let error = only_input(&facts).expect_err("two inputs").to_string();
            assert_eq!(error.contains("models/export/from_keras.py"), expected, "{error}");
        }
    }
}
