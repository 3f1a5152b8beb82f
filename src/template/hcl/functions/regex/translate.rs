//! Patterns of Go's `regexp` as patterns of this program's engine, where the two read a text differently: classes of
//! ASCII alone, `[` and `&&` within brackets, braces that repeat nothing, `\Q…\E`, octal escapes.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// Longest pattern.
const MAX_PATTERN: usize = 64 << 10;

pub(super) fn translate(pattern: &str) -> Result<String, String> {
    if pattern.len() > MAX_PATTERN {
        return Err("the pattern is too long".to_owned());
    }
    let mut pass = Pass { rest: pattern.chars().peekable(), out: String::with_capacity(pattern.len()) };
    let mut repeats = false;
    while let Some(character) = pass.rest.next() {
        let again = matches!(character, '*' | '+' | '?') || character == '{' && pass.is_count();
        if again && repeats {
            return Err("what is repeated cannot be repeated again without parentheses".to_owned());
        }
        repeats = again;
        match character {
            '*' | '+' | '?' => {
                pass.out.push(character);
                pass.lazy();
            }
            '{' if again => pass.count(),
            '\\' => pass.escape()?,
            '[' => pass.class()?,
            '(' => pass.group()?,
            '{' => pass.out.push_str("\\{"),
            other => pass.out.push(other),
        }
    }
    Ok(pass.out)
}

struct Pass<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Pass<'_> {
    fn literal(&mut self, character: char) {
        let _ = write!(self.out, "\\x{{{:x}}}", u32::from(character));
    }

    fn escape(&mut self) -> Result<(), String> {
        let letter = self.rest.next().ok_or("the pattern ends in a backslash")?;
        match letter {
            'b' | 'B' => {
                let _ = write!(self.out, "(?-u:\\{letter})");
            }
            'A' | 'z' => {
                self.out.push('\\');
                self.out.push(letter);
            }
            'Q' => self.quoted(),
            'p' | 'P' => self.property(letter)?,
            other => match perl_class(other) {
                Some((negated, ranges)) => {
                    let _ = write!(self.out, "[{}{ranges}]", if negated { "^" } else { "" });
                }
                None => {
                    let character = self.character(other)?;
                    self.literal(character);
                }
            },
        }
        Ok(())
    }

    /// Everything up to `\E` or the end stands for itself.
    fn quoted(&mut self) {
        while let Some(character) = self.rest.next() {
            if character == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(character);
        }
    }

    fn property(&mut self, letter: char) -> Result<(), String> {
        self.out.push('\\');
        self.out.push(letter);
        let first = self.rest.next().ok_or("a class of characters has no name")?;
        self.out.push(first);
        if first == '{' {
            for character in self.rest.by_ref() {
                if !(character.is_ascii_alphanumeric() || matches!(character, '_' | '^' | '}')) {
                    break;
                }
                self.out.push(character);
                if character == '}' {
                    return Ok(());
                }
            }
            return Err("the name of a class of characters is not closed".to_owned());
        }
        Ok(())
    }

    /// The character that an escape stands for.
    fn character(&mut self, letter: char) -> Result<char, String> {
        let code = match letter {
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => self.hexadecimal()?,
            '0'..='7' => {
                let mut code = letter.to_digit(8).unwrap_or_default();
                let mut count = 1;
                while count < 3
                    && let Some(digit) = self.rest.peek().and_then(|digit| digit.to_digit(8))
                {
                    self.rest.next();
                    code = code * 8 + digit;
                    count += 1;
                }
                if letter != '0' && count == 1 {
                    return Err(format!("`\\{letter}` refers to a group, which patterns cannot"));
                }
                code
            }
            other if other.is_ascii_punctuation() || other == ' ' => u32::from(other),
            other => return Err(format!("`\\{other}` means nothing in a pattern")),
        };
        char::from_u32(code).ok_or_else(|| "there is no such character".to_owned())
    }

    fn hexadecimal(&mut self) -> Result<u32, String> {
        let braces = self.rest.next_if_eq(&'{').is_some();
        let mut digits = String::new();
        while digits.len() < if braces { 8 } else { 2 }
            && let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit)
        {
            digits.push(digit);
        }
        let closed = if braces { self.rest.next() == Some('}') } else { digits.len() == 2 };
        let code = u32::from_str_radix(&digits, 16).ok().filter(|_| closed);
        code.ok_or_else(|| "`\\x` needs two digits, or digits in braces".to_owned())
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        if matches!(self.rest.peek(), Some('P' | '<')) {
            // The engine reads names as Go does, and refuses what Go refuses, `(?<=` and `(?<!`.
            return Ok(());
        }
        for character in self.rest.by_ref() {
            self.out.push(character);
            match character {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' | ')' => return Ok(()),
                other => return Err(format!("`(?{other}` means nothing in a pattern")),
            }
        }
        Err("a group is not closed".to_owned())
    }

    /// Whether a brace begins `{2}`, `{2,}` or `{2,3}`; any other stands for itself.
    fn is_count(&self) -> bool {
        let ahead: String = self.rest.clone().take(24).take_while(|character| *character != '}').collect();
        let closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        let (least, most) = ahead.split_once(',').unwrap_or((&ahead, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        closed && !least.is_empty() && digits(least) && digits(most)
    }

    fn count(&mut self) {
        self.out.push('{');
        for character in self.rest.by_ref() {
            self.out.push(character);
            if character == '}' {
                break;
            }
        }
        self.lazy();
    }

    /// A question mark after a repetition makes it take as little as it can.
    fn lazy(&mut self) {
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let character = self.rest.next().ok_or("a `[` is not closed")?;
            if character == ']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if character == '[' && self.rest.peek() == Some(&':') && self.posix() {
                continue;
            }
            if character == '\\'
                && let Some(letter) = self.rest.peek().copied()
            {
                if let Some((negated, ranges)) = perl_class(letter) {
                    self.rest.next();
                    let _ = if negated { write!(self.out, "[^{ranges}]") } else { write!(self.out, "{ranges}") };
                    continue;
                }
                if matches!(letter, 'p' | 'P') {
                    self.rest.next();
                    self.property(letter)?;
                    continue;
                }
            }
            self.range(character)?;
        }
    }

    /// `[:alpha:]` and its like within a class.
    fn posix(&mut self) -> bool {
        let ahead: String = self.rest.clone().take(12).collect();
        let Some(end) = ahead.find(":]") else { return false };
        let name = ahead[1..end].trim_start_matches('^');
        let known = ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct"];
        if !known.contains(&name) && !["space", "upper", "word", "xdigit"].contains(&name) {
            return false;
        }
        let _ = write!(self.out, "[{}", &ahead[..end + 2]);
        self.rest.nth(end + 1);
        true
    }

    /// A character of a class, or a range of them.
    fn range(&mut self, first: char) -> Result<(), String> {
        let low = self.member(first)?;
        self.literal(low);
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.next(), None | Some(']')) {
            return Ok(());
        }
        self.rest.next();
        let next = self.rest.next().ok_or("a `[` is not closed")?;
        let high = self.member(next)?;
        if high < low {
            return Err(format!("the range {low}-{high} is empty"));
        }
        self.out.push('-');
        self.literal(high);
        Ok(())
    }

    fn member(&mut self, character: char) -> Result<char, String> {
        if character != '\\' {
            return Ok(character);
        }
        let letter = self.rest.next().ok_or("the pattern ends in a backslash")?;
        self.character(letter)
    }
}

/// Whether the class is negated, and its ranges: of ASCII alone.
fn perl_class(letter: char) -> Option<(bool, &'static str)> {
    let ranges = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\x0c\\r ",
        _ => return None,
    };
    Some((letter.is_ascii_uppercase(), ranges))
}
