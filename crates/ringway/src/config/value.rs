//! How one value of the file is read: what forms it takes, and what is said when it has another.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ringway_core::MemberId;
use ringway_core::ring::{SlotCount, Weight};
use ringway_edge::IpNet;
use ringway_engine::file::Fsync;
use toml::Value;

/// A value that can stand in the file.
pub(super) trait Setting: Sized {
    /// Reads it. The error continues the sentence "`key` …".
    fn from_toml(value: &Value) -> Result<Self, String>;
}

/// A number of bytes: `"64KiB"` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

impl Size {
    /// So many KiB.
    pub const fn kib(count: usize) -> Self {
        Self(count << 10)
    }
}

impl Setting for bool {
    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| wrong(value, "true or false"))
    }
}

impl Setting for String {
    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| wrong(value, "a text in quotes"))
    }
}

/// An empty text stands for "not set": so the example file can show the default of every setting.
impl<T: Setting> Setting for Option<T> {
    fn from_toml(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("") => Ok(None),
            _ => T::from_toml(value).map(Some),
        }
    }
}

impl Setting for Fsync {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let text = String::from_toml(value)?;
        text.parse().map_err(|why| format!("is {text:?}, but {why}"))
    }
}

impl Setting for PathBuf {
    fn from_toml(value: &Value) -> Result<Self, String> {
        String::from_toml(value).map(Self::from)
    }
}

impl Setting for Vec<String> {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let texts =
            || -> Option<Self> { value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect() };
        texts().ok_or_else(|| wrong(value, "a list of texts, such as [\"a\", \"b\"]"))
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn from_toml(value: &Value) -> Result<Self, String> {
                let number = value.as_integer().ok_or_else(|| wrong(value, "a whole number"))?;
                <$number>::try_from(number).map_err(|_| format!("is {number}, but must lie between {} and {}", <$number>::MIN, <$number>::MAX))
            }
        }
    )*};
}
whole_numbers!(u8, u16, u32, usize);

impl Setting for Duration {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(|| wrong(value, "a time with its unit, such as \"5s\""))?;
        duration(text).ok_or_else(|| {
            format!("is {text:?}, but must be a time such as \"250ms\", \"5s\", \"10m\", \"24h\" or \"7d\"")
        })
    }
}

impl Setting for Size {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(|| wrong(value, "a size with its unit, such as \"64KiB\""))?;
        size(text).ok_or_else(|| {
            format!("is {text:?}, but must be a size such as \"512B\", \"64KiB\", \"16MiB\" or \"1GiB\"")
        })
    }
}

impl Setting for IpAddr {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let text = String::from_toml(value)?;
        text.parse().map_err(|_| {
            format!("is {text:?}, but must be an IP address, such as \"127.0.0.1\", \"0.0.0.0\" or \"::\"")
        })
    }
}

impl Setting for SocketAddr {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let text = String::from_toml(value)?;
        text.parse()
            .map_err(|_| format!("is {text:?}, but must be an IP address with a port, such as \"127.0.0.1:9889\""))
    }
}

/// Networks as `10.0.0.0/8`, single addresses without the length.
impl Setting for Vec<IpNet> {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let texts: Vec<String> = Setting::from_toml(value)?;
        let network = |text: &String| {
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse().or_else(|_| address()).map_err(|_| {
                format!("has {text:?}, but must list IP addresses or networks, such as \"10.0.0.1\" or \"10.0.0.0/8\"")
            })
        };
        texts.iter().map(network).collect()
    }
}

impl Setting for MemberId {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let text = String::from_toml(value)?;
        Self::new(&text).map_err(|why| format!("is {text:?}: {why}"))
    }
}

impl Setting for SlotCount {
    fn from_toml(value: &Value) -> Result<Self, String> {
        Self::new(u32::from_toml(value)?).map_err(|why| format!("is not possible: {why}"))
    }
}

impl Setting for Weight {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        Self::from_number(number.ok_or_else(|| wrong(value, "a number, such as 1 or 0.5"))?)
            .map_err(|why| format!("is not possible: {why}"))
    }
}

fn wrong(value: &Value, wanted: &str) -> String {
    format!("is {} ({value}), but must be {wanted}", value.type_str())
}

/// A whole number and its unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

/// Reads `250ms`, `5s`, `10m`, `24h`, `7d`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text.trim())?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// Reads `512B`, `64KiB`, `16MiB`, `1GiB`.
pub fn size(text: &str) -> Option<Size> {
    let (number, unit) = split(text.trim())?;
    let each: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number.checked_mul(each)?).ok().map(Size)
}
