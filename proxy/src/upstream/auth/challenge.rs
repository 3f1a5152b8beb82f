//! What a proxy asks for: the challenges of `Proxy-Authenticate` (RFC 9110 section 11.6.1).

use http::header::{HeaderMap, PROXY_AUTHENTICATE};

/// Challenges heeded of one answer: nobody offers as many.
const MOST: usize = 32;

/// One challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// As it was written.
    pub(crate) scheme: String,
    /// The one value of schemes that have no parameters (`token68`).
    pub(crate) token: Option<String>,
    /// Names in lower case, and values without quotes.
    params: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter's value, by its name in lower case.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The challenges of an answer, in their order: there may be several fields, and several challenges in one.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let fields = headers.get_all(PROXY_AUTHENTICATE).iter();
    fields.flat_map(|value| of_field(value.as_bytes())).take(MOST).collect()
}

/// The parameters of a field that has no scheme, as `Proxy-Authentication-Info`.
pub(crate) fn parameter(field: &[u8], name: &str) -> Option<String> {
    let mut reader = Reader { rest: field };
    while !reader.rest.is_empty() {
        reader.skip(is_between);
        let found = reader.token();
        match reader.value() {
            Some(value) if found.eq_ignore_ascii_case(name) => return Some(value),
            Some(_) => {}
            None => reader.skip(|byte| byte != b','),
        }
    }
    None
}

fn of_field(field: &[u8]) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut reader = Reader { rest: field };
    loop {
        reader.skip(is_between);
        if reader.rest.is_empty() {
            return found;
        }
        let name = reader.token();
        if name.is_empty() {
            // Not of the grammar: go on behind the next comma.
            reader.skip(|byte| byte != b',');
            continue;
        }
        if let Some(current) = found.last_mut()
            && let Some(value) = reader.value()
        {
            current.params.push((name.to_ascii_lowercase(), value));
            continue;
        }
        let mut challenge = Challenge { scheme: name, ..Challenge::default() };
        if reader.rest.first() == Some(&b' ') {
            challenge.token = reader.token68();
        }
        found.push(challenge);
    }
}

fn is_between(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t')
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        let end = self.rest.iter().position(|byte| !skipped(*byte)).unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    fn take(&mut self, taken: impl Fn(u8) -> bool) -> String {
        let before = self.rest;
        self.skip(taken);
        String::from_utf8_lossy(&before[..before.len() - self.rest.len()]).into_owned()
    }

    fn token(&mut self) -> String {
        self.take(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    }

    /// A value after `=`, with blanks about it. Where there is none, nothing is read.
    fn value(&mut self) -> Option<String> {
        let blank = |byte| matches!(byte, b' ' | b'\t');
        let before = self.rest;
        self.skip(blank);
        if self.rest.first() != Some(&b'=') {
            self.rest = before;
            return None;
        }
        self.rest = &self.rest[1..];
        self.skip(blank);
        if self.rest.first() == Some(&b'"') {
            return Some(self.quoted());
        }
        // More than a token: some leave the quotes away about what needs them.
        Some(self.take(|byte| !matches!(byte, b',' | b' ' | b'\t' | b'"')))
    }

    /// A quoted string; one without an end goes to the end of the field.
    fn quoted(&mut self) -> String {
        let mut text = Vec::new();
        let mut bytes = self.rest[1..].iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => text.extend(bytes.next()),
                other => text.push(other),
            }
        }
        self.rest = bytes.as_slice();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A `token68` that ends its challenge. Where there is none, nothing is read.
    fn token68(&mut self) -> Option<String> {
        let before = self.rest;
        self.skip(|byte| byte == b' ');
        let mut text = self.take(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        if !text.is_empty() {
            text.push_str(&self.take(|byte| byte == b'='));
            self.skip(|byte| matches!(byte, b' ' | b'\t'));
            if matches!(self.rest.first(), None | Some(b',')) {
                return Some(text);
            }
        }
        self.rest = before;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(PROXY_AUTHENTICATE, http::HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        let shown = |one: Challenge| {
            let params: Vec<_> = one.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}|{}|{}", one.scheme, one.token.unwrap_or_default(), params.join(";"))
        };
        challenges(&headers).into_iter().map(shown).collect()
    }

    #[test]
    fn several_challenges_in_one_field_and_in_several() {
        for (fields, expected) in [
            (&["Negotiate", "NTLM", "Basic realm=\"x\""][..], &["Negotiate||", "NTLM||", "Basic||realm=x"][..]),
            (&["Negotiate, NTLM ,Basic realm=\"x\""], &["Negotiate||", "NTLM||", "Basic||realm=x"]),
            (
                &["Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\""],
                &["Newauth||realm=apps;type=1;title=Login to \"apps\"", "Basic||realm=simple"],
            ),
            (
                &["Digest realm=\"a, b\", nonce=\"n=/+\", qop=\"auth,auth-int\", algorithm=SHA-256, stale=FALSE,Basic"],
                &["Digest||realm=a, b;nonce=n=/+;qop=auth,auth-int;algorithm=SHA-256;stale=FALSE", "Basic||"],
            ),
            (
                &["NTLM TlRMTVNTUAACAAAA+/8=", "Negotiate YII=, Basic realm=x"],
                &["NTLM|TlRMTVNTUAACAAAA+/8=|", "Negotiate|YII=|", "Basic||realm=x"],
            ),
            (&[", ,basic REALM = \"x\" , charset=UTF-8"], &["basic||realm=x;charset=UTF-8"]),
            (&["Basic realm=\"without end"], &["Basic||realm=without end"]),
            (&["Basic realm=\"ä\\"], &["Basic||realm=ä"]),
            (&["=x, \"y\", Basic realm=x"], &["Basic||realm=x"]),
            (&[""], &[]),
        ] {
            assert_eq!(read(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn the_parameters_of_an_info_field() {
        let field = b"qop=auth, rspauth=\"a,nextnonce=b\", nextnonce=\"c\\\"d\", nc=00000001";
        assert_eq!(parameter(field, "nextnonce").as_deref(), Some("c\"d"));
        assert_eq!(parameter(field, "cnonce"), None);
        assert_eq!(parameter(b"x, =, nextnonce=y", "nextnonce").as_deref(), Some("y"));
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_fail(field: Vec<u8>) {
            let found = of_field(&field);
            proptest::prop_assert!(found.iter().all(|one| !one.scheme.is_empty()));
            let _ = parameter(&field, "nextnonce");
        }
    }
}
