//! JSON numbers (RFC 8259 §6): integers as they are, everything else as the double it stands for.

/// A JSON number; integers that fit keep every digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number<'a> {
    /// A non-negative integer.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// Anything else, as it stands in the text; always finite.
    Float(&'a str),
}

impl<'a> Number<'a> {
    /// Reads a number; `text` has JSON's syntax. `None` if it is too large for a double.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // A date in seconds, as most numbers of a token are.
        if text.len() <= MAX_SAFE_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Unsigned(text.bytes().fold(0, |number, byte| 10 * number + u64::from(byte & 15))));
        }
        let decimal = Decimal::read(text);
        if decimal.is_integer && !decimal.is_negative {
            return Some(Self::Unsigned(decimal.significand));
        }
        let negative = (decimal.significand as i64).wrapping_neg();
        if decimal.is_integer && negative < 0 {
            return Some(Self::Signed(negative));
        }
        decimal.to_f64().map(|_| Self::Float(text))
    }

    /// The double: for integers the nearest; else within two units in the last place.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(n) => n as f64,
            Self::Signed(n) => n as f64,
            // Always finite, see `parse`.
            Self::Float(text) => Decimal::read(text).to_f64().unwrap_or(f64::INFINITY),
        }
    }
}

/// ± significand · 10^exponent.
struct Decimal {
    is_negative: bool,
    significand: u64,
    exponent: i32,
    /// Neither fraction nor exponent, and all digits fit.
    is_integer: bool,
}

impl Decimal {
    /// Reads a number in JSON's syntax. Digits that do not fit the significand only count.
    fn read(text: &str) -> Self {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (digits, power) = text.split_once(['e', 'E']).map_or((text, None), |(digits, power)| (digits, Some(power)));
        let mut decimal = Self { is_negative, significand: 0, exponent: 0, is_integer: power.is_none() };
        let mut in_fraction = false;
        let mut is_full = false;
        for byte in digits.bytes() {
            if byte == b'.' {
                in_fraction = true;
                is_full = false;
                decimal.is_integer = false;
                continue;
            }
            let longer = decimal.significand.checked_mul(10).and_then(|n| n.checked_add(u64::from(byte & 15)));
            match longer.filter(|_| !is_full) {
                Some(longer) => {
                    decimal.significand = longer;
                    decimal.exponent -= i32::from(in_fraction);
                }
                None => {
                    is_full = true;
                    decimal.is_integer = false;
                    decimal.exponent += i32::from(!in_fraction);
                }
            }
        }
        if let Some(power) = power {
            let (sign, power) = match power.strip_prefix('-') {
                Some(power) => (-1, power),
                None => (1, power.strip_prefix('+').unwrap_or(power)),
            };
            let power = power.bytes().fold(0i32, |n, byte| n.saturating_mul(10).saturating_add(i32::from(byte & 15)));
            decimal.exponent = decimal.exponent.saturating_add(sign * power);
        }
        decimal
    }

    /// `None` if it is too large.
    fn to_f64(&self) -> Option<f64> {
        let mut value = self.significand as f64;
        let mut exponent = self.exponent;
        // Far below the smallest double, steps keep it from becoming zero before the digits have counted.
        while exponent < -MAX_POWER && value != 0.0 {
            value /= power_of_ten(MAX_POWER);
            exponent += MAX_POWER;
        }
        if value == 0.0 {
            return Some(if self.is_negative { -0.0 } else { 0.0 });
        }
        if exponent > MAX_POWER {
            return None;
        }
        let power = power_of_ten(exponent.abs());
        let value = if exponent < 0 { value / power } else { value * power };
        value.is_finite().then_some(if self.is_negative { -value } else { value })
    }
}

/// So many decimal digits always fit 64 bits.
const MAX_SAFE_DIGITS: usize = 19;

/// 10^308 is the largest power that a double holds.
const MAX_POWER: i32 = 308;
/// 5^27 is the largest power of five that fits 64 bits.
const STEP: usize = 27;

/// The leading 64 bits of 5^(27·i), and the power of two that they are multiplied with.
const FIVES: [(u64, i32); 12] = fives();

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time: an index out of range fails the build")]
const fn fives() -> [(u64, i32); 12] {
    let mut table = [(1 << 63, -63); 12];
    let step = 5u64.pow(STEP as u32);
    // 128 leading bits of the power reached.
    let (mut bits, mut power) = (1u128 << 127, -127);
    let mut i = 1;
    while i < table.len() {
        let (high, low) = (bits >> 64, bits as u64);
        // The product's 192 bits, less the lowest 64, and then as many as fit.
        let product = high * step as u128 + ((low as u128 * step as u128) >> 64);
        let zeros = product.leading_zeros();
        bits = product << zeros;
        power += 64 - zeros as i32;
        // Rounded to nearest.
        table[i] = ((((bits >> 63) + 1) >> 1) as u64, power + 64);
        i += 1;
    }
    table
}

/// 10^`exponent`, rounded to nearest, for 0 ≤ `exponent` ≤ 308.
fn power_of_ten(exponent: i32) -> f64 {
    let n = exponent.unsigned_abs() as usize;
    let (bits, power) = FIVES.get(n / STEP).copied().unwrap_or_default();
    let five = 5u64.pow((n % STEP) as u32);
    let product = u128::from(bits) * u128::from(five);
    let zeros = product.leading_zeros() as i32;
    let product = product << zeros;
    // A bit below those that count says whether anything is there.
    let leading = (product >> 64) as u64 | u64::from(product as u64 != 0);
    let power = power + 64 - zeros + exponent;
    leading as f64 * f64::from_bits(((1023 + power) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{Number, power_of_ten};

    #[test]
    fn powers_of_ten_are_the_nearest_doubles() {
        for exponent in 0..=308 {
            assert_eq!(power_of_ten(exponent), format!("1e{exponent}").parse::<f64>().unwrap(), "10^{exponent}");
        }
    }

    #[test]
    fn integers_that_fit_keep_every_digit() {
        for (text, number) in [
            ("0", Number::Unsigned(0)),
            ("18446744073709551615", Number::Unsigned(u64::MAX)),
            ("-1", Number::Signed(-1)),
            ("-9223372036854775808", Number::Signed(i64::MIN)),
            ("18446744073709551616", Number::Float("18446744073709551616")),
            ("-9223372036854775809", Number::Float("-9223372036854775809")),
            ("-0", Number::Float("-0")),
            ("1.0", Number::Float("1.0")),
        ] {
            assert_eq!(Number::parse(text), Some(number));
        }
    }

    #[test]
    fn what_is_too_large_for_a_double_is_no_number() {
        for text in ["1e309", "1.8e308", "-1e400", "1e99999999999", "0.1e310", "123456789012345678901234567890e300"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        for text in ["1.7e308", "0e99999999999", "1e-99999999999", "1e-400", "0.000001e310"] {
            assert!(Number::parse(text).is_some(), "{text}");
        }
    }
}
