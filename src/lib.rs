//! `dermai`: image classification from an ONNX file in a small, known amount of memory. This crate is the library under the program.
//!
//! A picture goes through [`input`] (decoded by rows, resized, normalised), [`model`] (card, graph and runtime) and [`predict`] (ranked
//! classes); [`report`] turns the plain results into tables and JSON, and [`cli`] wires it all together.
//!
//! # Code map
//! A module imports strictly lower layers only, and a test (`tests/layers.rs`) fails when one does not:
//!
//! `text units yaml` < `input onnx memory deploy` < `model` < `predict` < `explain` < `quantize` < `memcheck` < `report` < `serve` < `cli` < `main`
//!
//! * [`text`]: text from outside, made harmless for a line. Knows nothing.
//! * [`units`]: bytes, sizes and progress as types. Knows nothing.
//! * [`yaml`]: YAML within bounds, and the nearest known word. **Invariant:** memory stays in proportion to the text; the only home of `serde_yaml`.
//! * [`input`]: image files to tensors. **Invariant:** no allocation in proportion to a picture before its header passed the limits.
//! * [`onnx`]: a graph's interface, nodes and shapes, an edit of it as data, and a graph without its weights. **Invariant:** weights are never parsed or copied.
//! * [`memory`]: what the kernel grants and charges, and a child under a budget. **Invariant:** every kernel file is read below a root path; a cgroup never outlives its run for long.
//! * [`deploy`]: Render's `render.yaml`, what its plans grant, and a lint of it. **Invariant:** every rule names its source; no network, and no file is looked at outside the folder.
//! * [`model`]: card, graph and runtime. **Invariant:** the only home of `ort`, which is loaded only when a picture is good.
//! * [`predict`]: pictures to ranked classes, as plain data. **Invariant:** prints nothing.
//! * [`explain`]: pictures to class activation maps. **Invariant:** an operator without a backward rule is an error, never a wrong map.
//! * [`quantize`]: smaller forms of a model, as a bundle. **Invariant:** nothing stands at the output path until all of it is written; the same input gives the same bytes.
//! * [`memcheck`]: the pipeline under a budget, stage by stage, and the verdict. **Invariant:** a prediction counts from a cold cache, and an estimate says that it is one.
//! * [`report`]: plain data to text. **Invariant:** computes nothing; the only home of tables, bars and plots, and what writes CSV.
//! * [`serve`]: an HTTP server within a budget of memory. **Invariant:** what does not fit is refused before it is read; `/health` waits for nothing.
//! * [`cli`]: arguments to configuration, results to where the user wants them. **Invariant:** the only home of clap.
pub mod cli;
pub mod deploy;
pub mod explain;
pub mod input;
pub mod memcheck;
pub mod memory;
pub mod model;
pub mod onnx;
pub mod predict;
pub mod quantize;
pub mod report;
pub mod serve;
pub mod text;
pub mod units;
pub mod yaml;
