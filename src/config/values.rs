//! Durations, rates, and references to the environment.

use std::time::Duration;

/// Parses `500ms`, `30s`, `5m`, `24h` or `400d`.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
}

/// Formats a duration in the largest unit that is exact.
pub fn shown(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        _ if millis > 0 => format!("{}ms", duration.as_millis()),
        0 => "0s".to_owned(),
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Maximum number in a rate, whatever the unit.
const MAX_RATE: u32 = 100_000;

/// Parses `10/s`, `600/m` or `6000/h` into requests per second, and `off` into None.
pub fn rate(text: &str) -> Option<Option<f64>> {
    if text == "off" {
        return Some(None);
    }
    let (number, unit) = text.split_once('/')?;
    let number: u32 =
        number.trim().parse().ok().filter(|number| (1..=MAX_RATE).contains(number))?;
    match unit.trim() {
        "s" => Some(Some(f64::from(number))),
        "m" => Some(Some(f64::from(number) / 60.0)),
        "h" => Some(Some(f64::from(number) / 3600.0)),
        _ => None,
    }
}

/// Replaces each `${NAME}` by the value of the variable, `${NAME:-TEXT}` by the text if it is not
/// set or empty, and `$$` by a dollar sign. The error is the name of a variable that is not set.
pub fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        whole.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(more) = after.strip_prefix('$') {
            whole.push('$');
            rest = more;
        } else if let Some((name, more)) =
            after.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        {
            whole.push_str(&match name.split_once(":-") {
                Some((name, default)) => {
                    env(name).filter(|it| !it.is_empty()).unwrap_or_else(|| default.to_owned())
                }
                None => env(name).ok_or_else(|| name.to_owned())?,
            });
            rest = more;
        } else {
            whole.push('$');
            rest = after;
        }
    }
    whole.push_str(rest);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in
            [("0s", 0), ("30s", 30), ("5m", 300), ("24h", 86_400), ("2d", 172_800)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for text in ["", "5", "s", "-5s", "1.5h", "5 weeks", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn formatted_durations_parse_to_the_same_value() {
        for text in ["0s", "250ms", "90s", "5m", "36h", "400d"] {
            assert_eq!(shown(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(rate("10/s"), Some(Some(10.0)));
        assert_eq!(rate("600/m"), Some(Some(10.0)));
        assert_eq!(rate("off"), Some(None));
        for text in ["10", "0/s", "4000000000/s", "-1/s", "10/d", "fast"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn variables_are_replaced_and_the_error_names_a_missing_one() {
        let env = |name: &str| (name == "HOST").then(|| "api.acme.io".to_owned());
        assert_eq!(expand("https://${HOST}/x", &env).unwrap(), "https://api.acme.io/x");
        assert_eq!(expand("a$$b $HOST ${", &env).unwrap(), "a$b $HOST ${");
        assert_eq!(expand("${HOST:-b}/${GONE:-/etc}", &env).unwrap(), "api.acme.io//etc");
        assert_eq!(expand("${EMPTY:-}x", &|_| Some(String::new())).unwrap(), "x");
        assert_eq!(expand("${GONE}", &env).unwrap_err(), "GONE");
    }
}
