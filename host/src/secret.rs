//! Secrets: held apart from everything that is printed, and found again in everything that comes back.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

/// How many characters of a secret may be shown, where it is at least four times as long.
const PREVIEW: usize = 12;

/// What stands in the place of a secret in everything that was scrubbed of it.
const REDACTED: &[u8] = b"[redacted]";

/// The fewest characters of base64 that are taken for a secret: fewer come about by chance, and a secret of one
/// character has an alignment with none at all.
const LEAST_CORE: usize = 6;

/// A secret's value: visible ASCII, so that it fits into a header and nothing else.
#[derive(Clone)]
pub struct SecretValue(Arc<Forms>);

/// A secret, and what it is looked for as besides.
struct Forms {
    plain: SecretString,
    /// What its base64 forms have in common with whatever stands around them.
    base64: Vec<SecretString>,
}

/// What is wrong with a secret's value; the value is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(&'static str);

impl SecretValue {
    /// Takes a value as it was configured; white space around it does not belong to it.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when it is empty, or has characters that no key has.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError("it is empty"));
        }
        if text.contains(['\n', '\r']) {
            return Err(SecretError("it has more than one line"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError("it has a space, a control character or a letter outside ASCII in it"));
        }
        let base64 = base64_cores(text.as_bytes()).into_iter().filter(|core| core.len() >= LEAST_CORE);
        Ok(Self(Arc::new(Forms { plain: text.into(), base64: base64.map(SecretString::from).collect() })))
    }

    fn plain(&self) -> &str {
        self.0.plain.expose_secret()
    }

    /// The value as a header that no log shows.
    pub(crate) fn header_value(&self) -> http::HeaderValue {
        let value = http::HeaderValue::from_str(self.plain());
        let mut value = value.expect("visible ASCII is a header value");
        value.set_sensitive(true);
        value
    }

    /// The beginning, for a person who has to tell two keys apart: at most 12 characters and a quarter of it.
    pub fn preview(&self) -> String {
        let text = self.plain();
        format!("{}…", &text[..PREVIEW.min(text.len() / 4)])
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue")
    }
}

/// Finds secrets in bytes: as they are, and as JSON, percent-encoding or base64 would write them.
#[derive(Clone, Default)]
pub(crate) struct Scrubber {
    secrets: Vec<SecretValue>,
}

impl Scrubber {
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretValue>) -> Self {
        Self { secrets: secrets.into_iter().collect() }
    }

    /// The bytes with every secret replaced, and how many there were.
    pub(crate) fn scrub<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, [u8]>, usize) {
        let mut scrubbed = (Cow::Borrowed(bytes), 0);
        for secret in &self.secrets {
            let plain = secret.plain().as_bytes();
            // A match begins with the first byte itself or with the sign of an escape.
            let begins = |rest: &[u8]| memchr::memchr3(plain[0], b'%', b'\\', rest);
            replace(&mut scrubbed, begins, |rest| escaped_prefix(rest, plain));
            for core in &secret.0.base64 {
                let core = core.expose_secret().as_bytes();
                replace(&mut scrubbed, |rest| memchr::memchr(core[0], rest), |rest| base64_prefix(rest, core));
            }
        }
        scrubbed
    }

    /// Whether a secret is in a text.
    pub(crate) fn finds_any(&self, text: &str) -> bool {
        self.scrub(text.as_bytes()).1 > 0
    }

    /// Whether a secret is in a name whose case says nothing, such as a header's.
    pub(crate) fn is_in_name(&self, name: &str) -> bool {
        let holds = |secret: &[u8]| name.as_bytes().windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret));
        self.secrets.iter().any(|secret| holds(secret.plain().as_bytes()))
    }

    /// [`Self::scrub`] for text.
    pub(crate) fn scrub_text(&self, text: &str) -> String {
        self.scrub_str(text).into_owned()
    }

    /// [`Self::scrub_text`], with nothing copied where nothing is replaced.
    pub(crate) fn scrub_str<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.scrub(text.as_bytes()) {
            (_, 0) => Cow::Borrowed(text),
            (scrubbed, _) => Cow::Owned(String::from_utf8_lossy(&scrubbed).into_owned()),
        }
    }
}

/// Replaces every match. `begins` says where one may begin, `prefix` how many bytes one at the beginning of its argument
/// has.
fn replace(
    scrubbed: &mut (Cow<'_, [u8]>, usize),
    begins: impl Fn(&[u8]) -> Option<usize>,
    prefix: impl Fn(&[u8]) -> Option<usize>,
) {
    let bytes = &scrubbed.0;
    let (mut output, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(found) = begins(&bytes[at..]) {
        at += found;
        match prefix(&bytes[at..]) {
            Some(length) => {
                output.extend_from_slice(&bytes[copied..at]);
                output.extend_from_slice(REDACTED);
                at += length;
                copied = at;
                scrubbed.1 += 1;
            }
            None => at += 1,
        }
    }
    if copied > 0 {
        output.extend_from_slice(&bytes[copied..]);
        scrubbed.0 = Cow::Owned(output);
    }
}

/// The length of `secret` at the beginning of `bytes`, each of its bytes written as itself, as `%41`, as `\u0041`, or
/// after a backslash.
fn escaped_prefix(bytes: &[u8], secret: &[u8]) -> Option<usize> {
    let mut at = 0;
    for &byte in secret {
        let rest = &bytes[at..];
        let hex = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok().filter(|value| *value == byte)
        };
        at += match rest {
            [b'%', a, b, ..] if hex(&[*a, *b]).is_some() => 3,
            [b'\\', b'u', b'0', b'0', a, b, ..] if hex(&[*a, *b]).is_some() => 6,
            [b'\\', escaped, ..] if *escaped == byte => 2,
            [plain, ..] if *plain == byte => 1,
            _ => return None,
        };
    }
    Some(at)
}

/// The length of a base64 text at the beginning of `bytes`, in either alphabet.
fn base64_prefix(bytes: &[u8], core: &[u8]) -> Option<usize> {
    let standard = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    };
    let same = bytes.len() >= core.len() && bytes.iter().zip(core).all(|(a, b)| standard(*a) == *b);
    same.then_some(core.len())
}

/// The characters that a secret's base64 form has whatever stands before and after it, for its three alignments. Each
/// begins with one that both alphabets write alike.
fn base64_cores(secret: &[u8]) -> [String; 3] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    [0, 1, 2].map(|shift| {
        let bits = |at: usize| at.checked_sub(shift).and_then(|at| secret.get(at)).copied();
        // A character is known where all of its six bits come from the secret.
        let character = |at: usize| {
            let (byte, offset) = (at * 6 / 8, at * 6 % 8);
            let high = u16::from(bits(byte)?) << 8;
            let low = if offset > 2 { u16::from(bits(byte + 1)?) } else { 0 };
            Some(char::from(ALPHABET[usize::from((high | low) << offset >> 10)]))
        };
        let core: String = (0..(secret.len() + shift) * 8 / 6).filter_map(character).collect();
        core.trim_start_matches(['+', '/']).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ak_0123456789abcdef\"/+";

    fn scrub(text: &str) -> (String, usize) {
        let scrubber = Scrubber::new([SecretValue::parse(KEY).unwrap()]);
        let (bytes, count) = scrubber.scrub(text.as_bytes());
        (String::from_utf8(bytes.into_owned()).unwrap(), count)
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let percent: String = KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let json = serde_json::to_string(KEY).unwrap();
        let unicode: String = KEY.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
        for written in [KEY, &percent, json.trim_matches('"').trim(), &unicode, &KEY.replace('/', "\\/")] {
            let written = if written.ends_with('\\') { &json[1..json.len() - 1] } else { written };
            assert_eq!(scrub(&format!("a{written}b{written}")), ("a[redacted]b[redacted]".to_owned(), 2), "{written}");
        }
    }

    #[test]
    fn a_secret_is_found_in_base64_at_every_alignment() {
        // "ak_0123456789abcdef\"/+" after no, one and two bytes, with something behind it.
        for encoded in [
            "YWtfMDEyMzQ1Njc4OWFiY2RlZiIvKw==",
            "eGFrXzAxMjM0NTY3ODlhYmNkZWYiLyt5",
            "eHhha18wMTIzNDU2Nzg5YWJjZGVmIi8reXk=",
            "eHhha18wMTIzNDU2Nzg5YWJjZGVmIi8reXk",
        ] {
            let (text, count) = scrub(encoded);
            assert_eq!(count, 1, "{encoded}: {text}");
            assert!(text.len() < encoded.len(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_in_both_alphabets_of_base64_even_at_its_beginning() {
        // "~~~~~~~~~" is "fn5+fn5+fn5+", and after one byte "eH5+fn5+fn5+fg==": known from the third character on.
        let scrubber = Scrubber::new([SecretValue::parse("~~~~~~~~~").unwrap()]);
        for encoded in ["fn5+fn5+fn5+", "fn5-fn5-fn5-", "eH5+fn5+fn5+fg==", "eH5-fn5-fn5-fg"] {
            assert_eq!(scrubber.scrub(encoded.as_bytes()).1, 1, "{encoded}");
        }
    }

    #[test]
    fn a_secret_is_found_in_a_name_of_any_case() {
        let scrubber = Scrubber::new([SecretValue::parse("ak_AbCdEf").unwrap()]);
        assert!(scrubber.is_in_name("x-ak_abcdef-y"));
        assert!(!scrubber.is_in_name("x-ak_abcde"));
    }

    #[test]
    fn a_secret_of_few_characters_is_found_as_it_is() {
        for secret in ["a", "ab", "abc"] {
            let scrubber = Scrubber::new([SecretValue::parse(secret).unwrap()]);
            assert_eq!(scrubber.scrub_text(&format!("-{secret}-YWJj")), "-[redacted]-YWJj");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let text = "ak_0123456789abcdeg %61 \\u0061 a\\";
        assert_eq!(scrub(text), (text.to_owned(), 0));
    }

    #[test]
    fn a_value_that_is_no_key_is_refused_without_being_repeated() {
        for (text, reason) in [("", "empty"), (" \n", "empty"), ("a\nb", "one line"), ("a b", "space"), ("ä", "ASCII")]
        {
            assert!(SecretValue::parse(text).unwrap_err().to_string().contains(reason), "{text:?}");
        }
    }

    #[test]
    fn a_preview_is_short_and_never_most_of_the_secret() {
        let preview = |text: &str| SecretValue::parse(text).unwrap().preview();
        assert_eq!(preview(&format!("ak_{}", "0".repeat(48))), "ak_000000000…");
        assert_eq!(preview("ak_short"), "ak…");
    }
}
