//! The binary: its first line, and that it ends when told to.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::client;

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended in a passing test.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Program, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thingsboard-double"));
    let mut child = command
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let output = child.stdout.take().expect("its output is piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("it prints a line");
    (Program(child), line)
}

fn end_by(signal: &str) {
    let (mut program, line) = start(&["--listen", "127.0.0.1:0"]);
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    let pid = program.0.id().to_string();
    assert!(
        Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill runs")
            .success()
    );
    let begin = Instant::now();
    loop {
        if let Some(status) = program.0.try_wait().expect("the program can be waited for") {
            assert!(status.success(), "{status}");
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "the program goes on"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_program_ends_on_either_signal() {
    end_by("-TERM");
    end_by("-INT");
}

#[tokio::test]
async fn the_printed_url_answers() {
    let (_program, line) = start(&[]);
    let url = line
        .trim()
        .strip_prefix("listening on ")
        .expect("the line begins as documented");
    let answer = client()
        .get(format!("{url}/double/faults"))
        .send()
        .await
        .expect("the program answers");
    assert!(answer.status().is_success());
}
