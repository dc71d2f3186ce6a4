//! The QR code that brings a phone into a meter's Wi-Fi.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// What a meter's name begins with; behind it stand the 12 digits of its address.
const NAME: &str = "OFMON-";
const DIGITS: usize = 12;
const PASSWORD_CHARACTERS: usize = 16;
/// Not every phone reads a code in the colours of a dark terminal.
const BLACK_ON_WHITE: &str = "\x1b[30;107m";
const AS_BEFORE: &str = "\x1b[0m";

/// Finds a meter's name and its password in what it prints, wherever they stand in it.
#[derive(Default)]
pub(super) struct Finder {
    name: Option<String>,
    shown: bool,
}

impl Finder {
    /// Looks at the next line, and returns a QR code with the first password that comes with or after a name.
    pub(super) fn line(&mut self, line: &str) -> Option<String> {
        let words = || line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        if let Some(name) = words().find(|word| is_name(word)) {
            self.name = Some(name.to_owned());
        }
        let (Some(name), false) = (&self.name, self.shown) else {
            return None;
        };
        let code = code(name, words().find(|word| is_password(word))?)?;
        self.shown = true;
        Some(code)
    }
}

fn is_name(word: &str) -> bool {
    word.strip_prefix(NAME).is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// Tells whether a word is made of 16 of Crockford's 32 characters, as passwords of meters are.
fn is_password(word: &str) -> bool {
    word.len() == PASSWORD_CHARACTERS
        && word
            .bytes()
            .all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() && !b"ILOU".contains(&c))
}

/// Returns the code as lines of a terminal, two rows of it in each.
fn code(name: &str, password: &str) -> Option<String> {
    let code = QrCode::new(format!("WIFI:T:WPA;S:{name};P:{password};;")).ok()?;
    let rendered = code.render::<Dense1x2>().build();
    let lines = rendered
        .lines()
        .map(|line| format!("{BLACK_ON_WHITE}{line}{AS_BEFORE}\n"));
    Some(format!("{}{name} {password}\n", lines.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comes_once_with_the_password_of_the_meter() {
        let mut finder = Finder::default();
        assert_eq!(finder.line("boot 1: 0123456789ABCDEF"), None);
        assert_eq!(finder.line("access point \"OFMON-A0B1C2D3E4F5\","), None);
        let shown = finder.line("password: 7ZK4M2Q9XV0B3NHT").unwrap();
        assert!(
            shown.ends_with("OFMON-A0B1C2D3E4F5 7ZK4M2Q9XV0B3NHT\n"),
            "{shown}"
        );
        assert!(shown.lines().count() > 15, "{shown}");
        assert_eq!(finder.line("password: 7ZK4M2Q9XV0B3NHT"), None);
    }

    #[test]
    fn both_may_stand_in_one_line() {
        let line = "Wi-Fi OFMON-A0B1C2D3E4F5 with 7ZK4M2Q9XV0B3NHT";
        assert!(Finder::default().line(line).is_some());
        for other in [
            "OFMON-A0B1C2D3E4F5 with 7ZK4M2Q9XV0B3NHU",
            "OFMON-A0B1C2D3E4F with 7ZK4M2Q9XV0B3NHT",
            "OFMON-A0B1C2D3E4F5 with 7ZK4M2Q9XV0B3NHTT",
        ] {
            assert_eq!(Finder::default().line(other), None, "{other}");
        }
    }
}
