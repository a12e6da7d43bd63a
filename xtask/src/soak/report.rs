//! What a run came to, beside what it had to.

use std::io::{Write as _, stdout};
use std::time::Duration;

use anyhow::Result;

use super::keeper::{GRACE, Life};
use super::tally::{Counts, REFUSALS};
use crate::bench::sides::megabytes;
use crate::bench::table::Table;
use crate::load::percentile;

/// Milliseconds that `/health` may take, but for one in a hundred.
const HEALTH: f64 = 100.0;

/// One run.
#[derive(Debug)]
pub struct Report {
    /// Whose server it was.
    pub name: &'static str,
    /// How many asked at once.
    pub clients: usize,
    /// Workers of our server.
    pub workers: usize,
    /// How long.
    pub seconds: f64,
    /// What happened to the server.
    pub life: Life,
    /// What it answered.
    pub counts: Counts,
    /// How long `/health` took.
    pub health: Vec<Duration>,
    /// How often it did not answer.
    pub unhealthy: u64,
}

impl Report {
    /// Prints runs beside each other, and each run's requests.
    pub fn print(reports: &[Self]) -> Result<()> {
        let mut out = stdout().lock();
        let mut head = vec![""];
        head.extend(reports.iter().map(|report| report.name));
        let first = &reports[0];
        let about = format!("{} clients for {} workers, {:.0} s.", first.clients, first.workers, first.seconds);
        let mut table = Table::new(about, &head);
        let columns: Vec<_> = reports.iter().map(Self::lines).collect();
        for (row, (what, _)) in columns[0].iter().enumerate() {
            table.add(std::iter::once((*what).to_owned()).chain(columns.iter().map(|c| c[row].1.clone())).collect());
        }
        writeln!(out, "{}", table.markdown())?;
        for report in reports {
            writeln!(
                out,
                "{}",
                report.counts.table(&format!("{}: requests by what was sent.", report.name)).markdown()
            )?;
            for line in report.life.failures.iter().chain(&report.life.deaths).chain(&report.counts.examples) {
                writeln!(out, "- {}: {line}", report.name)?;
            }
        }
        Ok(())
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let Self { life, counts, health, .. } = self;
        let refused = REFUSALS.map(|status| format!("{status}: {}", counts.refused(status))).join(", ");
        let mb = |bytes: Option<u64>| format!("{:.1} MB", megabytes(bytes));
        let ms = |share| format!("{:.1} ms", percentile(health, share));
        let right = counts.of("right");
        vec![
            ("processes killed for memory", life.killed.to_string()),
            ("servers that died", life.deaths.len().to_string()),
            ("starts that came to nothing", life.failures.len().to_string()),
            ("time without a server", format!("{:.1} s", life.down.as_secs_f64())),
            ("answered right", format!("{right} ({:.1} a second)", right as f64 / self.seconds)),
            ("answered wrong", counts.of("wrong").to_string()),
            ("refused", format!("{} ({refused})", counts.of("refused"))),
            ("broken off, not by us", counts.of("broken").to_string()),
            ("broken off by us", counts.of("left").to_string()),
            ("nobody listened", counts.of("down").to_string()),
            ("`/health`, half within", ms(0.5)),
            ("`/health`, 99 of 100 within", ms(0.99)),
            ("`/health`, all within", ms(1.0)),
            ("`/health` without an answer", self.unhealthy.to_string()),
            ("highest charge of the cgroup", mb(Some(life.charged).filter(|bytes| *bytes > 0))),
            ("resident when ready", mb(life.resident[0])),
            ("resident at the end, under load", mb(life.resident[1])),
            ("highest resident", mb(life.peak)),
            ("SIGTERM under load", life.end.clone()),
        ]
    }

    /// Targets that were missed.
    pub fn missed(&self) -> Vec<String> {
        let Self { life, counts, .. } = self;
        let p99 = percentile(&self.health, 0.99);
        let grace = GRACE.as_secs();
        let checks = [
            (life.killed == 0, format!("{} processes were killed for memory", life.killed)),
            (life.deaths.is_empty(), format!("the server died {} times", life.deaths.len())),
            (life.failures.is_empty(), format!("{} starts came to nothing", life.failures.len())),
            (counts.of("wrong") == 0, format!("{} answers are wrong", counts.of("wrong"))),
            (counts.of("right") > 0, "no request was answered".to_owned()),
            (counts.of("broken") == 0, format!("{} connections were broken off", counts.of("broken"))),
            (self.unhealthy == 0, format!("`/health` did not answer {} times", self.unhealthy)),
            // No comparison with a NaN is true.
            (p99 < HEALTH, format!("`/health` took {p99:.1} ms (99 of 100), and not less than {HEALTH} ms")),
            (life.ended_well, format!("after SIGTERM: {}; not exit status 0 within {grace} s", life.end)),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::mix::Act;
    use super::super::tally::{End, Tally};
    use super::*;

    fn report(ends: &[End], health: u64) -> Report {
        let tally = Tally::default();
        for end in ends {
            tally.add(Act::Photo, end);
        }
        let life = Life { resident: [Some(1 << 20); 2], ended_well: true, ..Life::default() };
        let health = vec![Duration::from_millis(health); 10];
        Report { name: "x", clients: 1, workers: 1, seconds: 1.0, life, counts: tally.counts(), health, unhealthy: 0 }
    }

    #[test]
    fn each_target_can_be_missed() {
        assert!(report(&[End::Right, End::Refused(429)], 99).missed().is_empty());
        assert_eq!(report(&[End::Right], 100).missed().len(), 1);
        assert_eq!(report(&[End::Right, End::Wrong("w".into()), End::Broken("b".into())], 1).missed().len(), 2);
        assert_eq!(report(&[], 1).missed(), ["no request was answered"]);
        let mut other = report(&[End::Right], 1);
        other.life.killed = 1;
        other.life.deaths.push("signal 9".into());
        other.life.ended_well = false;
        other.unhealthy = 1;
        other.health.clear();
        assert_eq!(other.missed().len(), 5);
    }
}
