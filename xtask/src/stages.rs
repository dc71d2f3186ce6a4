//! A run of named stages: each is timed, a failed one does not stop the others,
//! and a table at the end says how long each took and how to repeat it alone.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// What became of one stage.
enum Outcome {
    Passed(Duration),
    Failed(Duration),
}

/// The stages that have run so far.
pub(crate) struct Stages {
    verb: &'static str,
    done: Vec<(&'static str, Outcome)>,
    left_out: Vec<String>,
    started: Instant,
}

impl Stages {
    /// Starts a run; `verb` is what repeats one stage, as in `./x test STAGE`.
    pub(crate) fn new(verb: &'static str) -> Self {
        Self {
            verb,
            done: Vec::new(),
            left_out: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Runs one stage and notes its time. Its error is printed at once.
    pub(crate) fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) {
        println!("\n=== {name}");
        let started = Instant::now();
        let outcome = match work() {
            Ok(()) => Outcome::Passed(started.elapsed()),
            Err(error) => {
                println!("=== {name} FAILED: {error:#}");
                Outcome::Failed(started.elapsed())
            }
        };
        self.done.push((name, outcome));
    }

    /// Notes something that this run does not check.
    pub(crate) fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }

    /// Prints the table and returns the exit code: failure when a stage failed or none ran.
    pub(crate) fn finish(self) -> ExitCode {
        print!("{}", self.table(self.started.elapsed()));
        if self.failed() == 0 && !self.done.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn failed(&self) -> usize {
        self.done
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
            .count()
    }

    fn table(&self, total: Duration) -> String {
        let mut text = format!("\n{:<14}{:>9}\n", "stage", "seconds");
        for (name, outcome) in &self.done {
            let (elapsed, note) = match outcome {
                Outcome::Passed(elapsed) => (elapsed, String::new()),
                Outcome::Failed(elapsed) => {
                    (elapsed, format!("   FAILED, alone: {} {name}", self.verb))
                }
            };
            text += &format!("{name:<14}{:>9.1}{note}\n", elapsed.as_secs_f64());
        }
        text += &format!("{:<14}{:>9.1}\n", "all", total.as_secs_f64());
        for what in &self.left_out {
            text += &format!("left out: {what}\n");
        }
        text += &format!(
            "{} passed, {} failed\n",
            self.done.len() - self.failed(),
            self.failed()
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_stage_lets_the_others_run_and_fails_the_whole() {
        let mut stages = Stages::new("./x test");
        let mut later_ran = false;
        stages.run("first", || anyhow::bail!("no"));
        stages.run("second", || {
            later_ran = true;
            Ok(())
        });
        let table = stages.table(Duration::ZERO);
        assert!(later_ran);
        assert!(table.contains("FAILED, alone: ./x test first"), "{table}");
        assert!(table.ends_with("1 passed, 1 failed\n"), "{table}");
        assert_eq!(stages.finish(), ExitCode::FAILURE);
    }

    #[test]
    fn run_without_a_stage_is_no_success() {
        assert_eq!(Stages::new("./x test").finish(), ExitCode::FAILURE);
    }

    #[test]
    fn what_was_left_out_is_said() {
        let mut stages = Stages::new("./x test");
        stages.run("only", || Ok(()));
        stages.leave_out("documentation (--quick)");
        assert!(
            stages
                .table(Duration::ZERO)
                .contains("left out: documentation (--quick)\n")
        );
        assert_eq!(stages.finish(), ExitCode::SUCCESS);
    }
}
