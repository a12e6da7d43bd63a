//! Views of `memcheck`'s result for people: what each shows, and that names from outside do no harm.
use crate::support::checked::{HOSTILE, failing, fitting, hostile, killed, leaking};
use dermai::deploy::Origin;
use dermai::memcheck::Checked;
use dermai::memory::Ended;
use dermai::report::memcheck::{write_annotations, write_markdown, write_table};
use dermai::units::Bytes;
use std::io::Write;
use std::path::Path;

const AS_OF: Option<&str> = Some("2026-11");

fn text(write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn table(checked: &Checked) -> String {
    text(|out| write_table(out, checked, AS_OF, None))
}

fn markdown(checked: &Checked) -> String {
    text(|out| write_markdown(out, checked, AS_OF))
}

fn annotations(checked: &Checked) -> String {
    text(|out| write_annotations(out, checked, Some(Path::new("render.yaml"))))
}

#[test]
fn a_table_of_everything_that_can_be_asked_for() {
    insta::assert_snapshot!(table(&fitting()), @r#"
     checked   the model `ham7-mobilenet` with Grad-CAM on `fixtures/images/spot.jpg`
     budget    512 MB, 0.1 CPU (render.yaml: service dermai, plan free)
     enforced  cgroup v2, limit 512 MB, memory counted by the kernel, no swap, cold page cache, 3 runs

     stage             peak  anonymous    time            budget 512 MB │
     start           6.2 MB     1.1 MB  3.0 ms  ▎                       │
     load runtime   30.8 MB     4.2 MB  9.0 ms  █▌                      │
     load model     68.9 MB    20.7 MB   41 ms  ███▎                    │
     decode         73.1 MB    24.9 MB   12 ms  ███▍                    │
     preprocess     73.3 MB    25.1 MB  4.0 ms  ███▍                    │
     infer         112.4 MB    39.1 MB   96 ms  █████▎                  │
     explain       120.7 MB    46.8 MB  121 ms  █████▋                  │
     encode        118.6 MB    44.7 MB   18 ms  █████▌                  │
     requests      121.6 MB    47.9 MB  9.80 s  █████▊                  │

     requests  200: no growth, +0.02 KB a request (95 % interval -0.11 to +0.16); median 49 ms, slowest
               83 ms
     serve     58 requests answered, 431 refused; predicted peak 120.8 MB, the kernel charged 119.6 MB
     cpu       0.1 CPU, held to it: ready after 1.31 s (in time: a health check waits 5 s), first
               answer after 3.24 s, a later one takes 2.05 s
     floor     57 MB is the least that it survives
                limit                time
                56 MB  killed or too slow
                57 MB              9.40 s
                58 MB              3.10 s
                60 MB              870 ms
                64 MB              420 ms
                80 MB              305 ms
                96 MB              298 ms
               122 MB              296 ms

     verdict   FITS, healthy: predicted peak 121.6 MB of 512 MB (24 %), head-room 390.4 MB; peak in
               stage `requests`, 47.9 MB of it anonymous
     advice    most of it is the mapped weights (72.2 MB), which the kernel can reclaim
     advice    a plan with 128 MB would do if there were one

    Options
     option          memory  CPU      peak  known by  fits  1st answer  accuracy    USD
     as it is        512 MB  0.1  121.6 MB  measured  yes       3.20 s         -   0.00
     plan starter    512 MB  0.5  121.6 MB  measured  yes       640 ms         -   7.00
     plan standard  2048 MB    1  121.6 MB  measured  yes       320 ms         -  25.00
     quantize int8   512 MB  0.1   66.2 MB  estimate  yes       3.20 s      -0.4   0.00
     Prices are list prices in USD a month as of 2026-11; look them up before you decide.
     Forms that `dermai quantize` makes are estimated, to 8 % of the peak: `--measure-options` makes
     and measures each.
     quantize int8: it needs pictures to calibrate with: `--calibrate DIR`.

    Findings
     error     env-value-is-a-string at `services[0].envVars[1].value`
               `true` is a boolean, and Render takes strings only
               fix: put it in quotes: `"true"`
     warning   free-plan-sleeps at `services[0].plan`
               a free service sleeps after 15 minutes without a request, and the next one waits until
               it has started
               fix: choose `starter` where the first request matters
     note      slow-first-answer in stage `load model`
               the first answer takes 3.24 s at 0.1 CPU

    Compared with before.json
     Less than 2 % or 512 KB is noise.
     stage               then       now            change
     infer           112.2 MB  112.4 MB  +204.8 KB (+0 %)
     explain         110.1 MB  120.7 MB  +10.6 MB (+10 %)  ▲ grew
     encode                 -  118.6 MB               new
     warm up            90 MB         -              gone
     predicted peak    111 MB  121.6 MB  +10.6 MB (+10 %)  ▲ grew
    "#);
}

#[test]
fn a_table_of_a_run_that_was_killed() {
    insta::assert_snapshot!(table(&killed()), @r"
    checked   the command `python app.py --port 10000`
    budget    512 MB (--budget 512MB)
    enforced  watchdog, limit 512 MB, memory estimated, swap was possible: figures may be too low,
              warm page cache: figures are too low, 1 run
              not by cgroup v2: `/sys/fs/cgroup` is read-only
              not by systemd scope: no session bus
              not by cgroup v1: there is no memory controller

    stage           peak  anonymous    time            budget 512 MB │
    start          41 MB      30 MB  120 ms  █▉                      │
    load runtime  253 MB     202 MB  360 ms  ███████████▉            │
    load model    910 MB     840 MB  1.64 s  ████████████████████████│█████»

    verdict   DOES NOT FIT, critical: predicted peak 910 MB of 512 MB (178 %), 398 MB over; peak in
              stage `load model`, 840 MB of it anonymous
    ended     was OOM-killed in stage `load model`
    advice    loading the model takes 840.0 MB of anonymous memory; `dermai quantize` writes a form
              that is mapped
    ");
}

#[test]
fn a_table_says_what_is_wrong() {
    let leaking = table(&leaking());
    for said in [
        "memory grows, +12.11 KB a request (95 % interval +11.62 to +12.60); median 49 ms",
        "measured on a whole CPU and divided",
        "TOO LATE",
        "DOES NOT FIT, critical: predicted peak 121.6 MB of 120 MB (101 %), 1.6 MB over",
        // Past the mark by an eighth of a cell and more.
        "████████████████████████│▏",
        "███████████████████████▊│\n",
    ] {
        assert!(leaking.contains(said), "no {said:?} in\n{leaking}");
    }
    for (ended, said) in [
        (Ended::OomKilled, "ended     was OOM-killed in stage `load model`"),
        (Ended::TimedOut, "ended     hung in stage `load model` and was ended"),
        (Ended::Crashed(11), "ended     crashed in stage `load model` by signal 11"),
        (Ended::Exited(3), "ended     exited with status 3 in stage `load model`"),
    ] {
        let mut checked = killed();
        checked.outcome.ended = ended;
        assert!(table(&checked).contains(said), "no {said:?}");
    }
    assert!(!table(&fitting()).contains("ended "));
}

#[test]
fn no_line_of_a_table_is_longer_than_a_hundred_columns() {
    let mut far = hostile();
    far.budget.memory = Bytes(1);
    for checked in [fitting(), killed(), leaking(), hostile(), far] {
        for line in table(&checked).lines() {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        }
    }
}

#[test]
fn a_narrow_terminal_gets_a_narrow_table() {
    let mut far = hostile();
    far.budget.memory = Bytes(1);
    for checked in [fitting(), killed(), leaking(), hostile(), far, failing()] {
        for (columns, most) in [(40, 60), (60, 60), (72, 72), (99, 99), (300, 100)] {
            let table = text(|out| write_table(out, &checked, AS_OF, Some(columns)));
            for line in table.lines() {
                assert!(line.chars().count() <= most, "{} columns of {most}: {line}", line.chars().count());
            }
        }
    }
    // The bar is what is shortened first; then rows are told in words.
    let narrow = text(|out| write_table(out, &fitting(), AS_OF, Some(64)));
    for said in [
        " stage             peak  anonymous    time   budget 512 MB │\n",
        " requests      121.6 MB    47.9 MB  9.80 s  ███▋           │\n",
        " as it is       memory 512 MB, CPU 0.1, peak 121.6 MB, known by\n                measured, fits yes, 1st answer 3.20 s, USD 0.00\n",
    ] {
        assert!(narrow.contains(said), "no {said:?} in\n{narrow}");
    }
}

#[test]
fn what_fails_by_itself_does_not_want_memory() {
    let shown = table(&failing());
    assert!(shown.contains("FAILED, critical: predicted peak 921.6 KB of 512 MB (0 %)"), "{shown}");
    assert!(shown.contains("ended     exited with status 1 in stage `run`"), "{shown}");
    assert!(table(&killed()).contains("DOES NOT FIT"));
    assert!(markdown(&failing()).starts_with("## Memory: FAILED\n"), "{}", markdown(&failing()));
}

#[test]
fn smaller_forms_are_a_model_s() {
    let mut command = failing();
    command.options = fitting().options;
    for shown in [table(&command), markdown(&command)] {
        assert!(shown.contains("list prices") && !shown.contains("Smaller forms"), "{shown}");
    }
    command.options.iter_mut().for_each(|choice| choice.price = None);
    for shown in [table(&command), markdown(&command)] {
        assert!(shown.contains("1st answer") && !shown.contains("list prices"), "{shown}");
    }
}

#[test]
fn markdown_for_the_summary_of_a_job() {
    insta::assert_snapshot!(markdown(&fitting()), @r#"
    ## Memory: FITS

    **FITS, healthy: predicted peak 121.6 MB of 512 MB (24 %), head-room 390.4 MB; peak in stage <code>requests</code>, 47.9 MB of it anonymous**

    - checked: the model <code>ham7-mobilenet</code> with Grad-CAM on <code>fixtures/images/spot.jpg</code>
    - budget: 512 MB, 0.1 CPU (render.yaml: service dermai, plan free)
    - enforced: cgroup v2, limit 512 MB, memory counted by the kernel, no swap, cold page cache, 3 runs
    - requests: 200: no growth, +0.02 KB a request (95 % interval -0.11 to +0.16); median 49 ms, slowest 83 ms
    - serve: 58 requests answered, 431 refused; predicted peak 120.8 MB, the kernel charged 119.6 MB
    - cpu: 0.1 CPU, held to it: ready after 1.31 s (in time: a health check waits 5 s), first answer after 3.24 s, a later one takes 2.05 s
    - floor: 57 MB is the least that it survives
    - advice: most of it is the mapped weights (72.2 MB), which the kernel can reclaim
    - advice: a plan with 128 MB would do if there were one

    ### Stages

    | stage | peak | of the budget | anonymous | file | time |
    | --- | ---: | ---: | ---: | ---: | ---: |
    | start | 6.2 MB | 1 % | 1.1 MB | 4.9 MB | 3.0 ms |
    | load runtime | 30.8 MB | 6 % | 4.2 MB | 26.2 MB | 9.0 ms |
    | load model | 68.9 MB | 13 % | 20.7 MB | 47.5 MB | 41 ms |
    | decode | 73.1 MB | 14 % | 24.9 MB | 47.5 MB | 12 ms |
    | preprocess | 73.3 MB | 14 % | 25.1 MB | 47.5 MB | 4.0 ms |
    | infer | 112.4 MB | 22 % | 39.1 MB | 72.2 MB | 96 ms |
    | explain | 120.7 MB | 24 % | 46.8 MB | 72.2 MB | 121 ms |
    | encode | 118.6 MB | 23 % | 44.7 MB | 72.2 MB | 18 ms |
    | requests | 121.6 MB | 24 % | 47.9 MB | 72.2 MB | 9.80 s |

    ### Floor

    | limit | time |
    | ---: | ---: |
    | 56 MB | killed or too slow |
    | 57 MB | 9.40 s |
    | 58 MB | 3.10 s |
    | 60 MB | 870 ms |
    | 64 MB | 420 ms |
    | 80 MB | 305 ms |
    | 96 MB | 298 ms |
    | 122 MB | 296 ms |

    ### Options

    | option | memory | CPU | peak | known by | fits | 1st answer | accuracy | USD |
    | --- | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: |
    | as it is | 512 MB | 0.1 | 121.6 MB | measured | yes | 3.20 s | - | 0.00 |
    | plan starter | 512 MB | 0.5 | 121.6 MB | measured | yes | 640 ms | - | 7.00 |
    | plan standard | 2048 MB | 1 | 121.6 MB | measured | yes | 320 ms | - | 25.00 |
    | quantize int8 | 512 MB | 0.1 | 66.2 MB | estimate | yes | 3.20 s | -0.4 | 0.00 |

    Prices are list prices in USD a month as of 2026-11; look them up before you decide. Forms that <code>dermai quantize</code> makes are estimated, to 8 % of the peak: <code>--measure-options</code> makes and measures each. quantize int8: it needs pictures to calibrate with: <code>--calibrate DIR</code>.

    ### Findings

    | severity | rule | where | what | fix |
    | --- | --- | --- | --- | --- |
    | error | env-value-is-a-string | services\[0\].envVars\[1\].value | <code>true</code> is a boolean, and Render takes strings only | put it in quotes: <code>"true"</code> |
    | warning | free-plan-sleeps | services\[0\].plan | a free service sleeps after 15 minutes without a request, and the next one waits until it has started | choose <code>starter</code> where the first request matters |
    | note | slow-first-answer | load model | the first answer takes 3.24 s at 0.1 CPU |  |

    ### Compared with <code>before.json</code>

    | stage | then | now | change |  |
    | --- | ---: | ---: | ---: | --- |
    | infer | 112.2 MB | 112.4 MB | +204.8 KB (+0 %) |  |
    | explain | 110.1 MB | 120.7 MB | +10.6 MB (+10 %) | ▲ grew |
    | encode | - | 118.6 MB | new |  |
    | warm up | 90 MB | - | gone |  |
    | predicted peak | 111 MB | 121.6 MB | +10.6 MB (+10 %) | ▲ grew |

    ### Deployment checklist

    - [x] the pipeline fits the plan's memory (121.6 MB of 512 MB)
    - [ ] **does not hold:** every value of an environment variable is a string (services\[0\].envVars\[1\].value)
    - [ ] *by hand:* somebody is told when the service restarts (the dashboard, under Notifications)
    "#);
}

#[test]
fn annotations_for_each_finding_and_a_verdict_that_is_no() {
    insta::assert_snapshot!(annotations(&fitting()), @r#"
    ::error file=render.yaml,title=memcheck env-value-is-a-string::services[0].envVars[1].value: `true` is a boolean, and Render takes strings only%0Afix: put it in quotes: `"true"`
    ::warning file=render.yaml,title=memcheck free-plan-sleeps::services[0].plan: a free service sleeps after 15 minutes without a request, and the next one waits until it has started%0Afix: choose `starter` where the first request matters
    ::notice title=memcheck slow-first-answer::load model: the first answer takes 3.24 s at 0.1 CPU
    "#);
    insta::assert_snapshot!(annotations(&killed()), @r"::error title=memcheck::DOES NOT FIT, critical: predicted peak 910 MB of 512 MB (178 %25), 398 MB over; peak in stage `load model`, 840 MB of it anonymous%0Awas OOM-killed in stage `load model`%0Aloading the model takes 840.0 MB of anonymous memory; `dermai quantize` writes a form that is mapped");
}

#[test]
fn a_finding_of_the_measurement_is_in_no_file() {
    let mut checked = fitting();
    // Measured paths are stages, whatever they look like.
    checked.findings.retain(|finding| finding.origin == Origin::Measurement);
    assert!(annotations(&checked).starts_with("::notice title="), "{}", annotations(&checked));
    (checked.findings[0].origin, checked.findings[0].path) = (Origin::Blueprint, String::new());
    assert!(annotations(&checked).starts_with("::notice file=render.yaml,title="), "{}", annotations(&checked));
    let without = text(|out| write_annotations(out, &checked, None));
    assert!(without.starts_with("::notice title="), "{without}");
    let odd = text(|out| write_annotations(out, &checked, Some(Path::new("a,b:c%d\n.yaml"))));
    assert!(odd.starts_with("::notice file=a%2Cb%3Ac%25d\\n.yaml,title="), "{odd}");
}

#[test]
fn hostile_names_stay_on_their_line() {
    let harmless = [table(&fitting()), markdown(&fitting()), annotations(&fitting())];
    for (name, shown) in
        [("table", table(&hostile())), ("markdown", markdown(&hostile())), ("annotations", annotations(&hostile()))]
    {
        assert!(shown.contains("evil"), "{name}");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{name}: a control character");
        assert!(!shown.contains('\u{202e}'), "{name}: a direction mark");
        assert!(!shown.lines().any(|line| line.trim_start().starts_with("::error::")), "{name}:\n{shown}");
    }
    // Commands: one for the verdict more than in the harmless result, and all begin as they should.
    let commands = annotations(&hostile());
    assert_eq!(commands.lines().count(), harmless[2].lines().count() + 1);
    for command in commands.lines() {
        assert!(["::error ", "::warning ", "::notice "].iter().any(|begin| command.starts_with(begin)), "{command}");
    }
}

#[test]
fn hostile_names_do_not_break_a_table_of_markdown() {
    // Cells end at a bar without a backslash before it; one that is escaped has an odd number of them.
    fn cells(line: &str) -> usize {
        let bytes = line.as_bytes();
        let escaped = |at: usize| bytes[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1;
        (0..bytes.len()).filter(|&at| bytes[at] == b'|' && !escaped(at)).count()
    }
    let shape = |text: &str| {
        let rows = text.lines().filter(|line| line.starts_with('|'));
        rows.map(cells).collect::<Vec<_>>()
    };
    let hostile = markdown(&hostile());
    assert_eq!(shape(&hostile), shape(&markdown(&fitting())));
    assert!(!hostile.contains("<script>") && !hostile.contains("[x](y)"), "{hostile}");
    // A backtick without its fellow is shown as one.
    assert!(hostile.contains("&lt;script&gt;"), "{hostile}");
    assert!(HOSTILE.contains("<script>"));
}
