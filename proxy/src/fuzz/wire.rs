//! Requests of HTTP/1 as a strict reader of RFC 9112 sees them: what is not plainly one is an error. It shares nothing with
//! what it judges.

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Names in lower case.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    /// Where its head ends, and itself.
    pub(super) head: usize,
    pub(super) end: Option<usize>,
}

impl Request {
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    /// The members of a field that is a list, in lower case.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text: Vec<String> = self.all(name).map(|value| String::from_utf8_lossy(value).to_lowercase()).collect();
        let words = text.iter().flat_map(|value| value.split(',')).map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

/// What bytes begin with.
#[derive(Debug)]
pub(super) enum Read {
    /// A head; the body may be on its way.
    Request(Request),
    /// Too little to say.
    Unfinished,
    /// No request, and why.
    Bad(&'static str),
}

/// Reads one request from the beginning.
pub(super) fn read(bytes: &[u8]) -> Read {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Read::Unfinished };
    match head(&bytes[..end + 2]) {
        Err(why) => Read::Bad(why),
        Ok(mut request) => {
            request.head = end + 4;
            match body(&request, &bytes[request.head..]) {
                Err(why) => Read::Bad(why),
                Ok(length) => {
                    request.end = length.map(|length| request.head + length);
                    Read::Request(request)
                }
            }
        }
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn head(bytes: &[u8]) -> Result<Request, &'static str> {
    let text = bytes.strip_suffix(b"\r\n").ok_or("a line without an end")?;
    let lines: Vec<&[u8]> = split(text);
    let words: Vec<&[u8]> = lines[0].split(|&byte| byte == b' ').collect();
    let [method, target, version] = words.as_slice() else { return Err("a request line of other than three words") };
    if !is_token(method) || target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err("a method that is no token, or a target with other than visible characters");
    }
    if *version != b"HTTP/1.1" && *version != b"HTTP/1.0" {
        return Err("another version");
    }
    let mut fields = Vec::new();
    for line in &lines[1..] {
        let colon = line.iter().position(|&byte| byte == b':').ok_or("a field without a colon")?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) || value.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
            return Err("a field's name is no token, or its value has a control character");
        }
        fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Request { method: text(method), target: text(target), fields, head: 0, end: None })
}

/// Lines that end in CR LF; a CR or LF by itself stays, and is found out by whoever looks at the line.
fn split(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut begin) = (Vec::new(), 0);
    while let Some(at) = text[begin..].windows(2).position(|two| two == b"\r\n") {
        lines.push(&text[begin..begin + at]);
        begin += at + 2;
    }
    lines.push(&text[begin..]);
    lines
}

/// Bytes of the body, where all of it is there.
fn body(request: &Request, bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let lengths: Vec<&[u8]> = request.all("content-length").collect();
    let codings: Vec<&[u8]> = request.all("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Some(0)),
        ([length], []) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            let length: usize = length.ok_or("a length that is no number")?;
            Ok((bytes.len() >= length).then_some(length))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => chunks(bytes),
        _ => Err("a length said twice, or a coding that is not chunked"),
    }
}

fn chunks(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let mut at = 0;
    loop {
        let Some(end) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let line = &bytes[at..at + end];
        let digits = line.iter().position(|&byte| byte == b';').map_or(line, |at| &line[..at]).trim_ascii();
        let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let size = digits.and_then(|text| usize::from_str_radix(text, 16).ok()).ok_or("a chunk without a size")?;
        at += end + 2;
        if size == 0 {
            break;
        }
        let Some(after) = at.checked_add(size).and_then(|end| bytes.get(end..)) else { return Ok(None) };
        if !after.is_empty() && !b"\r\n".starts_with(&after[..after.len().min(2)]) {
            return Err("a chunk that is longer than it says");
        }
        at += size + 2;
        if at > bytes.len() {
            return Ok(None);
        }
    }
    loop {
        let Some(end) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        at += end + 2;
        if end == 0 {
            return Ok(Some(at));
        }
    }
}
