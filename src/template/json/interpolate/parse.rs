//! Text to nodes.

use super::InterpolateError;

/// Deepest nesting of actions and parentheses.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Output(Pipeline),
    If { branches: Vec<(Pipeline, Vec<Node>)>, otherwise: Vec<Node> },
    Range { over: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
}

/// Commands; each gets the result of the one before as its last argument.
pub(super) type Pipeline = Vec<Vec<Operand>>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Text(String),
    Int(i64),
    Float(String),
    Bool(bool),
    Nil,
    /// `.` with no names, `.A.B` with them.
    Field(Vec<String>),
    Function(String),
    Pipeline(Pipeline),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Field(Vec<String>),
    Text(String),
    Number(String),
    Open,
    Close,
    Pipe,
}

enum Piece {
    Text(String),
    Action { tokens: Vec<Token>, at: usize },
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, InterpolateError> {
    let mut pieces = split(text)?.into_iter().peekable();
    let (nodes, end) = nodes(&mut pieces, 0)?;
    match end {
        End::Text => Ok(nodes),
        End::End(at) => Err(error("`end` without an `if`, `range` or `with`", at)),
        End::Else(at, _) => Err(error("`else` without an `if`, `range` or `with`", at)),
    }
}

fn error(message: impl Into<String>, at: usize) -> InterpolateError {
    InterpolateError::Syntax { message: message.into(), at }
}

/// Cuts the text into literal text and actions, with trim markers applied.
fn split(text: &str) -> Result<Vec<Piece>, InterpolateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    while let Some(open) = rest.find("{{") {
        let mut literal = &rest[..open];
        let at = text.len() - rest.len() + open;
        let mut action = &rest[open + 2..];
        let characters = text[..at].chars().count();
        if trim_next {
            literal = literal.trim_start();
        }
        if let Some(trimmed) = action.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace)) {
            literal = literal.trim_end();
            action = trimmed;
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.to_owned()));
        }
        let (end, tokens) = tokens(action, characters)?;
        let inner = &action[..end];
        trim_next = inner.ends_with('-') && inner[..inner.len() - 1].ends_with(char::is_whitespace);
        if let Some(tokens) = tokens {
            pieces.push(Piece::Action { tokens, at: characters });
        }
        rest = &action[end + 2..];
    }
    let rest = if trim_next { rest.trim_start() } else { rest };
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// Tokens of an action and the offset of its `}}`; no tokens for a comment.
fn tokens(action: &str, at: usize) -> Result<(usize, Option<Vec<Token>>), InterpolateError> {
    if action.trim_start().starts_with("/*") {
        let end = action.find("*/").ok_or_else(|| error("a comment is not closed", at))?;
        let close = action[end..].find("}}").ok_or_else(|| error("an action is not closed by }}", at))?;
        return Ok((end + close, None));
    }
    let mut tokens = Vec::new();
    let mut position = 0;
    loop {
        let rest = &action[position..];
        let Some(first) = rest.chars().next() else {
            return Err(error("an action is not closed by }}", at));
        };
        if rest.starts_with("}}") {
            return Ok((position, Some(tokens)));
        }
        let (token, length) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            '-' if rest[1..].starts_with("}}") => (None, 1),
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            '|' => (Some(Token::Pipe), 1),
            '"' => quoted(rest, at)?,
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| error("a raw string is not closed", at))?;
                (Some(Token::Text(rest[1..=end].to_owned())), end + 2)
            }
            '.' => field(rest),
            '0'..='9' | '+' | '-' => {
                let end =
                    rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '.').map_or(rest.len(), |end| end + 1);
                (Some(Token::Number(rest[..end].to_owned())), end)
            }
            _ if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Some(Token::Word(rest[..end].to_owned())), end)
            }
            '$' => return Err(error("variables such as $x are not supported", at)),
            other => return Err(error(format!("unexpected character {other:?} in an action"), at)),
        };
        tokens.extend(token);
        position += length;
    }
}

fn field(rest: &str) -> (Option<Token>, usize) {
    let mut names = Vec::new();
    let mut position = 0;
    while rest[position..].starts_with('.') {
        let name: String = rest[position + 1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        position += 1 + name.len();
        if name.is_empty() {
            break;
        }
        names.push(name);
    }
    (Some(Token::Field(names)), position)
}

fn quoted(rest: &str, at: usize) -> Result<(Option<Token>, usize), InterpolateError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return Ok((Some(Token::Text(text)), position + 1)),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(escaped @ ('"' | '\\' | '\'')) => text.push(escaped),
                _ => return Err(error("unknown escape in a string", at)),
            },
            '\n' => break,
            other => text.push(other),
        }
    }
    Err(error("a string is not closed", at))
}

/// What ended a list of nodes.
enum End {
    Text,
    End(usize),
    Else(usize, Vec<Token>),
}

type Pieces = std::iter::Peekable<std::vec::IntoIter<Piece>>;

fn nodes(pieces: &mut Pieces, depth: usize) -> Result<(Vec<Node>, End), InterpolateError> {
    if depth > MAX_DEPTH {
        return Err(InterpolateError::TooLarge);
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let (tokens, at) = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action { tokens, at } => (tokens, at),
        };
        match tokens.first() {
            Some(Token::Word(word)) if word == "end" => return Ok((nodes, End::End(at))),
            Some(Token::Word(word)) if word == "else" => return Ok((nodes, End::Else(at, tokens[1..].to_vec()))),
            Some(Token::Word(word)) if word == "if" => nodes.push(if_node(&tokens[1..], at, pieces, depth)?),
            Some(Token::Word(word)) if word == "range" || word == "with" => {
                let value = pipeline(&tokens[1..], at)?;
                let (body, otherwise) = body_and_else(at, pieces, depth)?;
                nodes.push(match word.as_str() {
                    "range" => Node::Range { over: value, body, otherwise },
                    _ => Node::With { value, body, otherwise },
                });
            }
            Some(Token::Word(word))
                if matches!(word.as_str(), "define" | "template" | "block" | "break" | "continue") =>
            {
                return Err(error(format!("`{word}` is not supported"), at));
            }
            _ => nodes.push(Node::Output(pipeline(&tokens, at)?)),
        }
    }
    Ok((nodes, End::Text))
}

fn if_node(condition: &[Token], at: usize, pieces: &mut Pieces, depth: usize) -> Result<Node, InterpolateError> {
    let mut branches = Vec::new();
    let mut condition = pipeline(condition, at)?;
    loop {
        let (body, end) = nodes(pieces, depth + 1)?;
        branches.push((condition, body));
        match end {
            End::Text => return Err(error("`if` without an `end`", at)),
            End::End(_) => return Ok(Node::If { branches, otherwise: Vec::new() }),
            End::Else(else_at, tokens) => match tokens.first() {
                None => {
                    let otherwise = until_end(at, pieces, depth)?;
                    return Ok(Node::If { branches, otherwise });
                }
                Some(Token::Word(word)) if word == "if" => condition = pipeline(&tokens[1..], else_at)?,
                Some(_) => return Err(error("unexpected words after `else`", else_at)),
            },
        }
    }
}

fn body_and_else(at: usize, pieces: &mut Pieces, depth: usize) -> Result<(Vec<Node>, Vec<Node>), InterpolateError> {
    let (body, end) = nodes(pieces, depth + 1)?;
    match end {
        End::End(_) => Ok((body, Vec::new())),
        End::Else(_, tokens) if tokens.is_empty() => Ok((body, until_end(at, pieces, depth)?)),
        _ => Err(error("a block is not closed by `end`", at)),
    }
}

fn until_end(at: usize, pieces: &mut Pieces, depth: usize) -> Result<Vec<Node>, InterpolateError> {
    match nodes(pieces, depth + 1)? {
        (body, End::End(_)) => Ok(body),
        _ => Err(error("`else` without an `end`", at)),
    }
}

fn pipeline(tokens: &[Token], at: usize) -> Result<Pipeline, InterpolateError> {
    let mut position = 0;
    let commands = commands(tokens, &mut position, at, 0)?;
    if position < tokens.len() {
        return Err(error("unexpected )", at));
    }
    Ok(commands)
}

fn commands(tokens: &[Token], position: &mut usize, at: usize, depth: usize) -> Result<Pipeline, InterpolateError> {
    if depth > MAX_DEPTH {
        return Err(InterpolateError::TooLarge);
    }
    let mut commands = vec![Vec::new()];
    while let Some(token) = tokens.get(*position) {
        if *token == Token::Close {
            break;
        }
        *position += 1;
        let operand = match token {
            Token::Pipe => {
                commands.push(Vec::new());
                continue;
            }
            Token::Open => {
                let inner = self::commands(tokens, position, at, depth + 1)?;
                if tokens.get(*position) != Some(&Token::Close) {
                    return Err(error("a parenthesis is not closed", at));
                }
                *position += 1;
                Operand::Pipeline(inner)
            }
            Token::Close => continue,
            Token::Text(text) => Operand::Text(text.clone()),
            Token::Field(names) => Operand::Field(names.clone()),
            Token::Number(text) => match text.parse() {
                Ok(number) => Operand::Int(number),
                Err(_) if text.parse::<f64>().is_ok() => Operand::Float(text.clone()),
                Err(_) => return Err(error(format!("`{text}` is not a number"), at)),
            },
            Token::Word(word) => match word.as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                _ => Operand::Function(word.clone()),
            },
        };
        commands.last_mut().expect("never empty").push(operand);
    }
    if commands.iter().any(Vec::is_empty) {
        return Err(error("an action has no value", at));
    }
    Ok(commands)
}
