//! Asking step by step what a meter is to be told.

use std::{
    io::{self, BufRead, Write},
    time::Duration,
};

use anyhow::{Context as _, Result};
use collector::meters::NearbyMeter;
use protocol::messages::ChannelSettings;

use super::{setup::parse_channel, sim::parse_span};
use crate::exit::{Kind, Problem};

/// Answers of one line that make no sense before the dialogue gives up.
const TRIES: u32 = 5;
/// Longest answer in bytes.
const LINE_BYTES_MAX: u64 = 1_024;

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answers {
    /// Which of the meters in range.
    pub(super) meter: usize,
    /// Whether it is set up without a server.
    pub(super) is_local: bool,
    /// Its name.
    pub(super) name: String,
    /// Interval of a reading.
    pub(super) interval: Duration,
    /// Names and transformers; empty where the meter's own are to stay.
    pub(super) channels: Vec<ChannelSettings>,
    /// Whether its page is to open by a code.
    pub(super) has_code: bool,
}

/// Someone who can be asked.
#[derive(Debug)]
pub(super) struct Dialogue<I, O> {
    from: I,
    to: O,
}

impl Dialogue<io::StdinLock<'static>, io::Stdout> {
    /// Asks on the terminal.
    pub(super) fn on_terminal() -> Self {
        Self {
            from: io::stdin().lock(),
            to: io::stdout(),
        }
    }
}

impl<I: BufRead, O: Write> Dialogue<I, O> {
    /// Asks for everything, with defaults.
    pub(super) fn ask(mut self, in_range: &[NearbyMeter], signed_in: bool) -> Result<Answers> {
        for (number, meter) in (1..).zip(in_range) {
            writeln!(self.to, "  {number}  {}", meter.ssid)?;
        }
        let meter = match in_range.len() {
            1 => 0,
            count => self.line("Which meter", "1", |text| {
                let number: usize = text.parse().ok()?;
                (1..=count).contains(&number).then(|| number - 1)
            })?,
        };
        let name = self.line("Name", &in_range[meter].ssid, |text| {
            (1..=48).contains(&text.len()).then(|| text.to_owned())
        })?;
        let is_local = match signed_in {
            true => !self.line(
                "Make it a device of your ThingsBoard server",
                "yes",
                yes_or_no,
            )?,
            false => {
                writeln!(self.to, "Without a server (`ofmon login` names one).")?;
                true
            }
        };
        let interval = self.line("A reading every", "10s", |text| parse_span(text).ok())?;
        let channels = self.line(
            "Channels as NAME=RATIO of the current transformer, separated by commas",
            "as they are",
            |text| match text {
                "as they are" => Some(Vec::new()),
                list => list
                    .split(',')
                    .map(|text| parse_channel(text).ok())
                    .collect(),
            },
        )?;
        let has_code = self.line("Open the meter's own page by a code", "yes", yes_or_no)?;
        Ok(Answers {
            meter,
            is_local,
            name,
            interval,
            channels,
            has_code,
        })
    }

    /// Asks until the answer makes sense; an empty one is the default.
    fn line<T>(
        &mut self,
        question: &str,
        default: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let gone = || Problem::new(Kind::Interrupted, "nobody answers", "");
        for _ in 0..TRIES {
            write!(self.to, "{question} [{default}]: ")?;
            self.to.flush()?;
            let mut text = String::new();
            let mut from = io::Read::take(&mut self.from, LINE_BYTES_MAX);
            let length = from.read_line(&mut text).with_context(gone)?;
            if length == 0 {
                writeln!(self.to)?;
                return Err(gone().into());
            }
            let answer = match text.trim() {
                "" => default,
                text => text,
            };
            if let Some(answer) = read(answer) {
                return Ok(answer);
            }
            writeln!(self.to, "That cannot be.")?;
        }
        Err(Problem::usage(format!("no answer to {question:?} that can be"), "").into())
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use protocol::DeviceId;

    use super::*;

    fn meters(count: u8) -> Vec<NearbyMeter> {
        let meter = |number| NearbyMeter {
            device: DeviceId([number; 6]),
            ssid: format!("OFMON-{number}"),
            url: String::new(),
            label: None,
        };
        (1..=count).map(meter).collect()
    }

    fn ask(said: &str, count: u8, signed_in: bool) -> (Result<Answers>, String) {
        let mut shown = Vec::new();
        let dialogue = Dialogue {
            from: said.as_bytes(),
            to: &mut shown,
        };
        let answers = dialogue.ask(&meters(count), signed_in);
        (answers, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn empty_answers_are_the_defaults() {
        let (answers, shown) = ask("\n\n\n\n\n", 1, true);
        let expected = Answers {
            meter: 0,
            is_local: false,
            name: "OFMON-1".to_owned(),
            interval: Duration::from_secs(10),
            channels: Vec::new(),
            has_code: true,
        };
        assert_eq!(answers.unwrap(), expected, "{shown}");
    }

    #[test]
    fn everything_can_be_said_and_said_again() {
        let said = "3\n2\nCellar\nsoon\n5s\nHeat pump=1000, House\nno\n";
        let (answers, shown) = ask(said, 2, false);
        let answers = answers.unwrap();
        assert_eq!(
            (answers.meter, answers.is_local, answers.has_code),
            (1, true, false)
        );
        assert_eq!(
            (answers.name.as_str(), answers.interval.as_secs()),
            ("Cellar", 5)
        );
        let channels: Vec<(&str, u32)> = answers
            .channels
            .iter()
            .map(|channel| (channel.name.as_str(), channel.ct_ratio))
            .collect();
        assert_eq!(channels, [("Heat pump", 1_000), ("House", 2_000)]);
        assert!(
            shown.contains("2  OFMON-2") && shown.contains("That cannot be."),
            "{shown}"
        );
    }

    #[test]
    fn nobody_there_and_endless_nonsense_end_it() {
        assert!(ask("1\n", 2, true).0.is_err());
        assert!(ask(&"x\n".repeat(9), 2, true).0.is_err());
        assert!(ask(&"y".repeat(100_000), 2, true).0.is_err());
    }
}
