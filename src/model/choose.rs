//! Which form of a bundle fits this CPU and the runtime that runs.
use super::card::{Bundle, Form};
use super::{ANY_CPU, Task, cpu_class};
use anyhow::{Context, Result, bail};

/// A form, and why it is not the fast one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'b> {
    pub form: &'b Form,
    pub warning: Option<String>,
}

/// The form for a task. `runtime` is the version of the runtime; none: it is not known yet, as it is loaded late.
///
/// A form for one class of CPU holds weights in the runtime's own blocked layout, which no standard describes: only the version that wrote it
/// is sure to read it. The portable form keeps to ONNX's layouts, and another version runs it.
///
/// # Errors
/// When there is none.
pub fn choose<'b>(bundle: &'b Bundle, task: Task, runtime: Option<&str>) -> Result<Choice<'b>> {
    let of = |cpu: &str| bundle.forms.iter().find(|form| form.task == task && form.cpu == cpu);
    let (fast, portable) = (of(cpu_class()), of(ANY_CPU));
    let is_read = |form: &&Form| form.cpu == ANY_CPU || runtime.is_none_or(|version| form.runtime == version);
    if let Some(form) = fast.filter(is_read) {
        return Ok(Choice { form, warning: None });
    }
    let Some((fast, runs)) = fast.zip(runtime) else {
        let form = portable.with_context(|| {
            let what = if task == Task::Predict { "predict" } else { "explain" };
            format!("`bundle.forms`: none for the task `{what}` on `{}` or `{ANY_CPU}`", cpu_class())
        })?;
        let warning = format!(
            "the bundle has no form for this CPU (`{}`): its portable form is used, which is slower",
            cpu_class()
        );
        return Ok(Choice { form, warning: Some(warning) });
    };
    let Some(form) = portable else {
        bail!(
            "`{}` is for ONNX Runtime {} only, and {runs} runs; the bundle has no form for `{ANY_CPU}`: `dermai quantize` makes it anew",
            fast.file.display(),
            fast.runtime
        );
    };
    let warning = format!(
        "the bundle was made with ONNX Runtime {}, and {runs} runs: its portable form is used, which is slower; `dermai quantize` makes it anew",
        fast.runtime
    );
    Ok(Choice { form, warning: Some(warning) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Weights;

    fn bundle(forms: &[(&str, &str)]) -> Bundle {
        let form = |&(cpu, runtime): &(&str, &str)| Form {
            file: format!("predict.{cpu}.onnx").into(),
            task: Task::Predict,
            layer: None,
            cpu: cpu.into(),
            level: 3,
            runtime: runtime.into(),
            sha256: None,
        };
        Bundle {
            mode: "prepare".into(),
            source_sha256: None,
            calibration_sha256: None,
            vnni: None,
            weights: Weights { file: "weights.bin".into(), bytes: 0, sha256: None },
            forms: forms.iter().map(form).collect(),
        }
    }

    #[test]
    fn the_fast_form_is_for_its_cpu_and_its_runtime() {
        let here = cpu_class();
        let other = if here == "neon" { "avx2" } else { "neon" };
        for (forms, runtime, expected) in [
            (&[(here, "1.28.0"), ("any", "1.28.0")][..], None, Ok((here, None))),
            (&[(here, "1.28.0"), ("any", "1.28.0")], Some("1.28.0"), Ok((here, None))),
            (&[(other, "1.28.0"), ("any", "1.28.0")], None, Ok(("any", Some("no form for this CPU")))),
            (&[(other, "1.27.0"), ("any", "1.27.0")], Some("1.28.0"), Ok(("any", Some("no form for this CPU")))),
            (
                &[(here, "1.27.0"), ("any", "1.27.0")],
                Some("1.28.0"),
                Ok(("any", Some("was made with ONNX Runtime 1.27.0, and 1.28.0 runs"))),
            ),
            (&[(here, "1.27.0")], Some("1.28.0"), Err("is for ONNX Runtime 1.27.0 only, and 1.28.0 runs")),
            (&[(other, "1.28.0")], Some("1.28.0"), Err("none for the task `predict`")),
        ] {
            if here == "any" {
                return;
            }
            let bundle = bundle(forms);
            let chosen = choose(&bundle, Task::Predict, runtime).map_err(|error| error.to_string());
            match (&chosen, expected) {
                (Ok(choice), Ok((cpu, warning))) => {
                    assert_eq!(choice.form.cpu, cpu, "{forms:?} {runtime:?}");
                    let said = choice.warning.as_deref();
                    assert!(said.is_some() == warning.is_some(), "{said:?}");
                    assert!(said.zip(warning).is_none_or(|(said, part)| said.contains(part)), "{said:?}");
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                _ => panic!("{forms:?} {runtime:?}: {chosen:?}"),
            }
        }
    }
}
