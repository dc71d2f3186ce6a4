//! Cuts power as often as is said: `quick`, `test` or `report`. Fails where the store does.

use std::{process::ExitCode, time::Instant};

use store_trials::{Scale, run};

fn main() -> ExitCode {
    let scale = match std::env::args().nth(1).as_deref() {
        Some("quick") => Scale::QUICK,
        Some("test") => Scale::TEST,
        Some("report") => Scale::REPORT,
        _ => {
            eprintln!("say one of: quick, test, report");
            return ExitCode::from(2);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let begin = Instant::now();
    let outcome = run(scale, threads);
    for (name, points) in &outcome.scenarios {
        println!("{points:>7} {name}");
    }
    let (points, seconds) = (outcome.points, begin.elapsed().as_secs());
    println!("{points:>7} cuts survived in {seconds} s");
    for failure in &outcome.failures {
        println!("failed: {failure:?}");
    }
    ExitCode::from(u8::from(!outcome.failures.is_empty()))
}
