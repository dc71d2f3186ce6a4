//! The label of a meter: name and password of its Wi-Fi, as a QR code says them.
//!
//! The text is the one that phones join by: `WIFI:T:WPA;S:OFMON-020F6D000001;P:…;;`. Fields come in any order; `\` takes
//! the meaning from `\ ; , : "` behind it. Fields that are not known are passed over.

use protocol::{DeviceId, access_point};

use crate::{Kind, secrets::Secret};

/// Longest text that is read, in bytes: escaped name and password take 200.
pub const LABEL_BYTES_MAX: usize = 512;
/// Lengths of a WPA2 pass phrase in bytes.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=63;

/// What stands on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The meter.
    pub device: DeviceId,
    /// Password of its access point.
    pub password: Secret,
}

/// Why a text is no meter's label; the text itself is not quoted, for it holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Not the text of a Wi-Fi's QR code.
    #[error("this is not the text of a Wi-Fi label, which begins with WIFI: and ends with ;;")]
    NoLabel,
    /// A field stands there twice.
    #[error("the label names its {0} twice")]
    Twice(&'static str),
    /// The Wi-Fi is not a meter's.
    #[error("the label is of a Wi-Fi that is no meter's: theirs are called OFMON- and 12 digits")]
    NoMeter,
    /// The Wi-Fi is open, or of a kind that no meter has.
    #[error("the label is of a Wi-Fi without WPA, and no meter has such a one")]
    NoWpa,
    /// There is no password, or one that no Wi-Fi has.
    #[error("the label holds no password of 8 to 63 characters")]
    NoPassword,
}

impl LabelError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub const fn kind(self) -> Kind {
        Kind::Usage
    }
}

impl Label {
    /// Reads the text of a label.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        let is_wifi = text.len() <= LABEL_BYTES_MAX
            && text
                .get(..5)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("WIFI:"));
        if !is_wifi {
            return Err(LabelError::NoLabel);
        }
        let (mut kind, mut ssid, mut password) = (None, None, None);
        for (name, value) in fields(&text[5..])? {
            let (slot, what) = match name {
                'T' => (&mut kind, "kind"),
                'S' => (&mut ssid, "name"),
                'P' => (&mut password, "password"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(LabelError::Twice(what));
            }
        }
        let kind = kind.unwrap_or_default();
        if !["WPA", "WPA2", "SAE"].contains(&kind.reveal()) {
            return Err(LabelError::NoWpa);
        }
        let device = ssid.and_then(|ssid| device_of(ssid.reveal()));
        let device = device.ok_or(LabelError::NoMeter)?;
        let password = password.filter(|text| PASSWORD_BYTES.contains(&text.reveal().len()));
        let password = password.ok_or(LabelError::NoPassword)?;
        Ok(Self { device, password })
    }
}

/// Returns the meter whose access point has this name.
fn device_of(ssid: &str) -> Option<DeviceId> {
    let device: DeviceId = ssid
        .strip_prefix("OFMON-")?
        .to_ascii_lowercase()
        .parse()
        .ok()?;
    (access_point::ssid(device) == ssid).then_some(device)
}

/// Cuts the text behind `WIFI:` into fields, `X:value;` each, up to the empty one that ends it.
fn fields(text: &str) -> Result<Vec<(char, Secret)>, LabelError> {
    let mut fields = Vec::new();
    let mut chars = text.chars();
    loop {
        let name = match chars.next().ok_or(LabelError::NoLabel)? {
            ';' if chars.as_str().is_empty() => return Ok(fields),
            name => name.to_ascii_uppercase(),
        };
        if chars.next() != Some(':') {
            return Err(LabelError::NoLabel);
        }
        let mut value = zeroize::Zeroizing::new(String::with_capacity(text.len()));
        loop {
            match chars.next().ok_or(LabelError::NoLabel)? {
                ';' => break,
                '\\' => match chars.next() {
                    Some(escaped @ ('\\' | ';' | ',' | ':' | '"')) => value.push(escaped),
                    _ => return Err(LabelError::NoLabel),
                },
                plain => value.push(plain),
            }
        }
        fields.push((name, Secret::new(value.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEVICE: DeviceId = DeviceId([2, 15, 109, 0, 0, 1]);

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        for char in text.chars() {
            if matches!(char, '\\' | ';' | ',' | ':' | '"') {
                out.push('\\');
            }
            out.push(char);
        }
        out
    }

    #[test]
    fn the_text_that_the_flashing_tool_prints_is_read() {
        let text = "WIFI:T:WPA;S:OFMON-020F6D000001;P:0123456789ABCDEF;;";
        let label = Label::parse(text).unwrap();
        assert_eq!(label.device, DEVICE);
        assert_eq!(label.password.reveal(), "0123456789ABCDEF");
        assert!(!format!("{label:?}").contains("0123456789"));
    }

    #[test]
    fn what_is_no_label_of_a_meter_is_refused_and_not_quoted() {
        let long = format!("WIFI:T:WPA;S:OFMON-020F6D000001;P:{};;", "x".repeat(500));
        for (text, error) in [
            ("", LabelError::NoLabel),
            ("hunter2hunter2", LabelError::NoLabel),
            ("WIFI:", LabelError::NoLabel),
            (
                "WIFI:T:WPA;S:OFMON-020F6D000001;P:hunter2hunter2;",
                LabelError::NoLabel,
            ),
            (
                "WIFI:T:WPA;S:OFMON-020F6D000001;P:hunter2hunter2;;rest;;",
                LabelError::NoLabel,
            ),
            ("WIFI:TWPA;;", LabelError::NoLabel),
            (
                r"WIFI:T:WPA;S:OFMON-020F6D000001;P:hunter2\hunter2;;",
                LabelError::NoLabel,
            ),
            (long.as_str(), LabelError::NoLabel),
            (
                "WIFI:T:WPA;S:Caf\u{e9};P:hunter2hunter2;;",
                LabelError::NoMeter,
            ),
            (
                "WIFI:T:WPA;S:OFMON-020f6d000001;P:hunter2hunter2;;",
                LabelError::NoMeter,
            ),
            ("WIFI:T:WPA;P:hunter2hunter2;;", LabelError::NoMeter),
            (
                "WIFI:T:nopass;S:OFMON-020F6D000001;P:hunter2hunter2;;",
                LabelError::NoWpa,
            ),
            (
                "WIFI:S:OFMON-020F6D000001;P:hunter2hunter2;;",
                LabelError::NoWpa,
            ),
            (
                "WIFI:T:WPA;S:OFMON-020F6D000001;P:hunter2;;",
                LabelError::NoPassword,
            ),
            ("WIFI:T:WPA;S:OFMON-020F6D000001;;", LabelError::NoPassword),
            (
                "WIFI:T:WPA;P:hunter2hunter2;P:hunter3hunter3;;",
                LabelError::Twice("password"),
            ),
        ] {
            assert_eq!(Label::parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("hunter"));
        }
    }

    proptest! {
        /// Any password in any order of fields, with fields that nobody knows in between.
        #[test]
        fn every_password_survives(
            password in r#"[a-zA-Z0-9 \\;,:"!-/]{8,63}"#,
            order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
        ) {
            let fields = [
                "T:WPA;".to_owned(),
                "S:OFMON-020F6D000001;".to_owned(),
                format!("P:{};", escaped(&password)),
                "H:false;".to_owned(),
            ];
            let body: String = order.iter().map(|&index: &usize| fields[index].as_str()).collect();
            let label = Label::parse(&format!("WIFI:{body};")).unwrap();
            prop_assert_eq!(label.device, DEVICE);
            prop_assert_eq!(label.password.reveal(), password);
        }

        /// Nothing that anyone types or photographs makes trouble.
        #[test]
        fn any_text_is_read_or_refused(text in "(WIFI:)?([TSPH]?:?[^;]{0,20};?){0,6}") {
            let _ = Label::parse(&text);
        }
    }
}
