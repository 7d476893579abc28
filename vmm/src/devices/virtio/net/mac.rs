//! An address of Ethernet.

use std::fmt;
use std::str::FromStr;

/// The address of one interface: neither of a group nor of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac([u8; 6]);

/// Why a text is no address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// It is none at all.
    #[error("`{0}` is no MAC address: it is six bytes in hexadecimal, as 06:00:ac:10:00:02")]
    Form(String),
    /// It stands for many.
    #[error(
        "`{0}` is the address of a group, not of one interface: make its first byte even, as 06:00:ac:10:00:02"
    )]
    Group(String),
    /// No driver takes it.
    #[error("`{0}` is no address of an interface; leave it out, and the guest makes one up")]
    Zeros(String),
}

impl Mac {
    /// In the order in which they are sent.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let error = || MacError::Form(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2 && part.is_ascii());
            // A sign would be taken, too.
            let digits = part.filter(|part| part.bytes().all(|digit| digit.is_ascii_hexdigit()));
            *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(error)?;
        }
        match bytes {
            _ if parts.next().is_some() => Err(error()),
            [0, 0, 0, 0, 0, 0] => Err(MacError::Zeros(text.to_owned())),
            [first, ..] if first & 1 != 0 => Err(MacError::Group(text.to_owned())),
            _ => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.map(|byte| format!("{byte:02x}")).join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_six_bytes_in_hexadecimal() {
        let mac: Mac = "06:00:AC:10:00:0f".parse().unwrap();
        assert_eq!(
            (mac.bytes(), mac.to_string()),
            ([6, 0, 0xac, 0x10, 0, 15], "06:00:ac:10:00:0f".to_owned())
        );
        for text in [
            "",
            "06",
            "6:0:0:0:0:1",
            "06:00:00:00:00",
            "06:00:00:00:00:01:02",
            "06-00-00-00-00-01",
            "+6:00:00:00:00:01",
            "06:00:00:00:00:0ä",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(MacError::Form(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn an_address_of_a_group_or_of_zeros_is_no_interface_s() {
        for text in ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"] {
            assert_eq!(text.parse::<Mac>(), Err(MacError::Group(text.to_owned())));
        }
        assert!(matches!("00:00:00:00:00:00".parse::<Mac>(), Err(MacError::Zeros(_))));
    }
}
