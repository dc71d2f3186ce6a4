//! All trials, on as many threads as there are cores for.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use nor_model::Torn;

use crate::{
    catalogue::{FORMATS, SCENARIOS},
    cuts::{Depth, Reference, Start, try_cut},
    operation::mix,
    scenario::Scenario,
};

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// One scenario of the catalogue in so many is tried, at least 1.
    pub scenario_stride: usize,
    /// The first cut comes at one in so many flash operations, at least 1.
    pub stride: u64,
    /// What is tried behind the first cut.
    pub depth: Depth,
    /// Trials that fail before the rest is left out.
    pub failures_max: usize,
}

impl Scale {
    /// A few cuts of a few scenarios: enough to find a gross fault.
    pub const QUICK: Self = Self {
        scenario_stride: 5,
        stride: 5,
        depth: Depth {
            recovery_stride: 0,
            long_stride: 0,
            long_readings: 0,
        },
        failures_max: 1,
    };
    /// Some cuts of each scenario: seconds.
    pub const TEST: Self = Self {
        scenario_stride: 1,
        stride: 29,
        depth: Depth {
            recovery_stride: 61,
            long_stride: 101,
            long_readings: 150,
        },
        failures_max: 20,
    };
    /// A cut at every flash operation of each scenario, and several in each recovery: minutes.
    pub const REPORT: Self = Self {
        scenario_stride: 1,
        stride: 1,
        depth: Depth {
            recovery_stride: 8,
            long_stride: 29,
            long_readings: 200,
        },
        failures_max: 100,
    };
}

/// A trial that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Flash operation of the first cut; `None` where the scenario fails without a cut.
    pub operation: Option<u64>,
    /// What the cut operation left.
    pub torn: Torn,
    /// Draws what was left, and the cuts behind.
    pub seed: u64,
    /// What did not hold.
    pub message: String,
}

/// What trials came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Cuts that were survived.
    pub points: u64,
    /// Cuts of each scenario that were survived.
    pub scenarios: Vec<(&'static str, u64)>,
    /// What failed, in the order of the catalogue.
    pub failures: Vec<Failure>,
}

/// A scenario that is ready.
struct Ready {
    start: Start,
    reference: Reference,
}

/// Tries all scenarios of the catalogue; the same arguments give the same outcome, but for where it stops when too much
/// fails.
#[must_use]
pub fn run(scale: Scale, threads: usize) -> Outcome {
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().step_by(scale.scenario_stride).collect();
    let trials = Trials {
        scale,
        points: Mutex::new(vec![0; scenarios.len() + FORMATS.len()]),
        failures: Mutex::default(),
        scenarios,
    };
    let ready = trials.each(threads, trials.scenarios.len(), |index| {
        let scenario = trials.scenarios[index];
        trials.guard(index, None, (Torn::Untouched, 0), |_| {
            let start = scenario.start();
            let reference = start.reference();
            Ready { start, reference }
        })
    });
    let mut points = Vec::new();
    for (index, ready) in ready.iter().enumerate() {
        let Some(ready) = ready else { continue };
        let operations = (0..ready.reference.operations).step_by(scale.stride as usize);
        points.extend(operations.map(|operation| (index, operation)));
    }
    trials.each(threads, points.len(), |point| {
        let (index, operation) = points[point];
        let Some(Ready { start, reference }) = &ready[index] else {
            return None;
        };
        for torn in Torn::ALL {
            let seed = mix(mix(index as u64) ^ operation << 8 ^ torn as u64);
            trials.guard(index, Some(operation), (torn, seed), |points| {
                try_cut(
                    start,
                    reference,
                    (operation, torn),
                    seed,
                    &scale.depth,
                    points,
                );
            });
        }
        Some(())
    });
    let formats = trials.scenarios.len();
    trials.each(threads, FORMATS.len(), |which| {
        trials.guard(formats + which, None, (Torn::Untouched, 0), |points| {
            FORMATS[which].run(scale.stride, points);
        })
    });
    trials.outcome()
}

struct Trials {
    scale: Scale,
    scenarios: Vec<&'static Scenario>,
    /// Cuts that were survived, by scenario; those of formatting are last.
    points: Mutex<Vec<u64>>,
    failures: Mutex<Vec<(usize, Failure)>>,
}

impl Trials {
    fn name(&self, index: usize) -> &'static str {
        let scenarios = self.scenarios.len();
        let scenario = self.scenarios.get(index);
        scenario.map_or_else(|| FORMATS[index - scenarios].name, |each| each.name)
    }

    /// Does `body` with each number below `count`, on some threads; returns what it returned, in order.
    fn each<T: Send>(
        &self,
        threads: usize,
        count: usize,
        body: impl Fn(usize) -> Option<T> + Sync,
    ) -> Vec<Option<T>> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<_>> = Mutex::new((0..count).map(|_| None).collect());
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count || self.is_enough() {
                            break;
                        }
                        let result = body(index);
                        lock(&results)[index] = result;
                    }
                });
            }
        });
        results
            .into_inner()
            .unwrap_or_else(|error| error.into_inner())
    }

    fn is_enough(&self) -> bool {
        lock(&self.failures).len() >= self.scale.failures_max
    }

    /// Does what may panic, and keeps what it says; `None` where it did.
    fn guard<T>(
        &self,
        index: usize,
        operation: Option<u64>,
        (torn, seed): (Torn, u64),
        body: impl FnOnce(&mut u64) -> T,
    ) -> Option<T> {
        let mut points = 0;
        let result = catch_unwind(AssertUnwindSafe(|| body(&mut points)));
        lock(&self.points)[index] += points;
        result
            .inspect_err(|panic| {
                let failure = Failure {
                    scenario: self.name(index),
                    operation,
                    torn,
                    seed,
                    message: message(panic.as_ref()),
                };
                lock(&self.failures).push((index, failure));
            })
            .ok()
    }

    fn outcome(self) -> Outcome {
        let points = lock(&self.points).clone();
        let mut failures = lock(&self.failures).clone();
        failures.sort_by_key(|(index, failure)| (*index, failure.operation, failure.seed));
        Outcome {
            points: points.iter().sum(),
            scenarios: (points.iter().enumerate())
                .map(|(index, &points)| (self.name(index), points))
                .collect(),
            failures: failures.into_iter().map(|(_, failure)| failure).collect(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}
