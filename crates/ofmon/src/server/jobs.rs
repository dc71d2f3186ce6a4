//! Collections under way: started by one request, looked at by others.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use protocol::DeviceId;
use serde::Serialize;

/// Jobs that are remembered; the oldest that has ended goes first.
const JOBS_MAX: usize = 32;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Still at it.
    Running,
    /// All was done.
    Done,
    /// Something was not done.
    Failed,
}

/// A collection, as it is answered.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Job {
    id: String,
    state: State,
    progress: Vec<MeterProgress>,
    message: Option<String>,
}

/// How far one meter of a collection is.
#[derive(Clone, Debug, Serialize)]
struct MeterProgress {
    device: DeviceId,
    done: u64,
    total: u64,
    error: Option<String>,
}

/// All jobs of the server.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    count: AtomicU64,
    jobs: Mutex<VecDeque<Job>>,
}

impl Jobs {
    /// Begins a job; `None` while another runs, because a meter takes one visitor at a time.
    pub(super) fn begin(self: &Arc<Self>) -> Option<JobHandle> {
        let mut jobs = self.lock();
        if jobs.iter().any(|job| job.state == State::Running) {
            return None;
        }
        while jobs.len() >= JOBS_MAX {
            jobs.pop_front();
        }
        let id = self
            .count
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1)
            .to_string();
        jobs.push_back(Job {
            id: id.clone(),
            state: State::Running,
            progress: Vec::new(),
            message: None,
        });
        Some(JobHandle {
            jobs: Arc::clone(self),
            id,
        })
    }

    /// Returns a job as it is now.
    pub(super) fn get(&self, id: &str) -> Option<Job> {
        self.lock().iter().find(|job| job.id == id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of a job that does the work; a job whose work is given up has failed.
#[derive(Debug)]
pub(super) struct JobHandle {
    jobs: Arc<Jobs>,
    id: String,
}

impl JobHandle {
    /// Returns the name under which the job is asked for.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Tells how far a meter is.
    pub(super) fn progress(&self, device: DeviceId, done: u64, total: u64) {
        self.change(|job| {
            let meter = job.meter(device);
            (meter.done, meter.total) = (done, total);
        });
    }

    /// Tells that a meter was not collected to its end.
    pub(super) fn failed(&self, device: DeviceId, error: &str) {
        self.change(|job| job.meter(device).error = Some(error.to_owned()));
    }

    /// Ends the job.
    pub(super) fn end(&self, state: State, message: String) {
        self.change(|job| {
            job.state = state;
            job.message = Some(message);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.lock().iter_mut().find(|job| job.id == self.id) {
            change(job);
        }
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        self.change(|job| {
            if job.state == State::Running {
                job.state = State::Failed;
                job.message = Some("the collection was given up".to_owned());
            }
        });
    }
}

impl Job {
    fn meter(&mut self, device: DeviceId) -> &mut MeterProgress {
        let known = self
            .progress
            .iter()
            .position(|meter| meter.device == device);
        let index = known.unwrap_or_else(|| {
            self.progress.push(MeterProgress {
                device,
                done: 0,
                total: 0,
                error: None,
            });
            self.progress.len() - 1
        });
        &mut self.progress[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METER: DeviceId = DeviceId([2, 15, 0, 0, 0, 1]);

    #[test]
    fn one_job_runs_at_a_time_and_is_seen_from_outside() {
        let jobs = Arc::new(Jobs::default());
        let handle = jobs.begin().unwrap();
        assert!(jobs.begin().is_none());
        handle.progress(METER, 5, 10);
        handle.failed(METER, "out of range");
        let id = handle.id().to_owned();
        let seen = serde_json::to_value(jobs.get(&id).unwrap()).unwrap();
        assert_eq!(seen["state"], "running");
        assert_eq!(seen["progress"][0]["done"], 5);
        assert_eq!(seen["progress"][0]["error"], "out of range");
        handle.end(State::Failed, "1 of 1 meters failed".to_owned());
        assert_eq!(jobs.get(&id).unwrap().state, State::Failed);
        assert!(jobs.begin().is_some());
    }

    #[test]
    fn a_job_whose_work_is_given_up_does_not_run_for_ever() {
        let jobs = Arc::new(Jobs::default());
        let handle = jobs.begin().unwrap();
        let id = handle.id().to_owned();
        drop(handle);
        assert_eq!(jobs.get(&id).unwrap().state, State::Failed);
    }

    #[test]
    fn old_jobs_are_forgotten() {
        let jobs = Arc::new(Jobs::default());
        for _ in 0..=JOBS_MAX {
            jobs.begin().unwrap().end(State::Done, String::new());
        }
        assert!(jobs.get("1").is_none());
        assert!(jobs.get("33").is_some());
        assert_eq!(jobs.lock().len(), JOBS_MAX);
    }
}
