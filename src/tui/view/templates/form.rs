//! The form of a template's variables.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::text::wrapped;
use crate::catalogue::evaluate::Evaluated;
use crate::catalogue::field::{FieldKind, ValueSource};
use crate::catalogue::wizard::variable_file;
use crate::template::Language;
use crate::tui::layout::templates::{form, rows};
use crate::tui::state::State;
use crate::tui::state::templates::Stage;
use crate::tui::state::templates::form::{Row, Wizard};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, fit, put};

/// Columns of the type at the right of a field.
const TYPE: usize = 12;

pub(super) fn draw(state: &State, wizard: &Wizard, buffer: &mut Buffer) {
    let areas = form(state.size);
    let dim = state.look.theme.style(Role::Dim);
    let right = match (&wizard.evaluated, wizard.under_way) {
        (_, Some(_)) => format!("{}  checking ...", wizard.card.name),
        _ => wizard.card.name.clone(),
    };
    let inner = Panel::new(&super::steps(2)).active(true).right(&right, dim).draw(areas.fields, &state.look, buffer);
    fields(state, wizard, inner, buffer);
    about(state, wizard, areas.about, buffer);
    if areas.result.height > 0 {
        result(state, wizard, areas.result, buffer);
    }
}

/// Lines that each row of the form takes.
fn heights(wizard: &Wizard) -> Vec<usize> {
    wizard.rows.iter().map(|row| 1 + usize::from(shown_problem(wizard, row).is_some())).collect()
}

/// What is said below a row: what is wrong with what it holds.
fn shown_problem<'a>(wizard: &'a Wizard, row: &'a Row) -> Option<(bool, &'a str)> {
    let problem = wizard.problem(row)?;
    let is_untouched = problem.is_missing && !row.is_typed();
    (!is_untouched).then_some((problem.is_error, problem.message.as_str()))
}

/// The first row seen, so that the one with the keys is.
fn top(heights: &[usize], focus: usize, room: usize) -> usize {
    let mut top = 0;
    while top < focus && heights.get(top..=focus).is_some_and(|seen| seen.iter().sum::<usize>() > room) {
        top += 1;
    }
    top
}

/// Columns of the names, and of the boxes.
fn widths(wizard: &Wizard, area: Rect) -> (usize, usize) {
    let room = usize::from(area.width);
    let name = wizard.rows.iter().map(|row| row.name().width()).max().unwrap_or(0).clamp(9, (room / 3).max(9));
    (name, room.saturating_sub(name + TYPE + 8).clamp(8, 60))
}

fn fields(state: &State, wizard: &Wizard, area: Rect, buffer: &mut Buffer) {
    let symbols = state.look.symbols;
    let heights = heights(wizard);
    let mut lines = area.rows();
    if wizard.rows.iter().all(|row| row.field.is_none()) {
        let text = if wizard.evaluated.is_some() {
            " It has no variables: Enter goes on."
        } else {
            " reading the template ..."
        };
        let place = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
        put(buffer, place, &Line::of(text, state.look.theme.style(Role::Dim)), symbols);
    }
    for (index, row) in wizard.rows.iter().enumerate().skip(top(&heights, wizard.focus, usize::from(area.height))) {
        let Some(place) = lines.next() else { return };
        put(buffer, place, &field(state, wizard, index, row, area), symbols);
        if let (Some((is_error, message)), Some(place)) =
            (shown_problem(wizard, row), if heights[index] > 1 { lines.next() } else { None })
        {
            let (name, _) = widths(wizard, area);
            let (mark, role) = if is_error { ("x", Role::Bad) } else { ("!", Role::Warning) };
            let text = format!("{}{mark} {message}", " ".repeat(name + 5));
            put(buffer, place, &Line::of(&text, state.look.theme.style(role)), symbols);
        }
    }
}

fn field(state: &State, wizard: &Wizard, index: usize, row: &Row, area: Rect) -> Line {
    let (symbols, theme) = (state.look.symbols, state.look.theme);
    let (name, width) = widths(wizard, area);
    let focused = index == wizard.focus;
    let mut line = Line::of(if focused { " > " } else { "   " }, theme.style(Role::Key));
    let role = if focused { Role::ActiveTitle } else { Role::Text };
    line.push(&fit(row.name(), name, symbols), theme.style(role));
    line.push("  ", Style::new());
    let value = row.input.value();
    let kind = row.field.as_ref().map(|field| &field.kind);
    let box_style = if row.is_typed() { theme.style(Role::Title) } else { Style::new() };
    match kind {
        Some(FieldKind::Bool) => {
            let mark = |on: bool| if on { "(x)" } else { "( )" };
            let is = |word: &str| value == word;
            let text = format!("{} yes  {} no", mark(is("true")), mark(is("false")));
            line.push(&fit(&text, width + 2, symbols), box_style);
        }
        Some(FieldKind::Choice(_)) => line.push(&format!("<{}>", fit(value, width, symbols)), box_style),
        _ => line.push(&format!("[{}]", boxed(row, width, focused)), box_style),
    }
    line.push("  ", Style::new());
    let (text, role) = kind_of(wizard, row);
    line.push(&text, theme.style(role));
    line
}

/// What a box of text shows: the part with the cursor.
fn boxed(row: &Row, width: usize, focused: bool) -> String {
    let value =
        if row.is_sensitive() { "*".repeat(row.input.value().chars().count()) } else { row.input.value().to_owned() };
    let left = if focused { row.input.visual_scroll(width.saturating_sub(1)) } else { 0 };
    let mut shown = String::new();
    let mut skipped = 0;
    for character in value.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }) {
        let own = character.to_string().width();
        if skipped < left {
            skipped += own;
        } else if shown.width() + own <= width {
            shown.push(character);
        } else {
            break;
        }
    }
    let room = width.saturating_sub(shown.width());
    shown + &" ".repeat(room)
}

/// The word at the right of a field.
fn kind_of(wizard: &Wizard, row: &Row) -> (String, Role) {
    let Some(field) = &row.field else { return ("written to".to_owned(), Role::Dim) };
    let missing = wizard.problem(row).is_some_and(|problem| problem.is_missing);
    if missing {
        return ("required".to_owned(), Role::Asking);
    }
    if field.sensitive {
        return ("sensitive".to_owned(), Role::Warning);
    }
    let word = match field.kind {
        FieldKind::Choice(_) => "choice",
        FieldKind::Bool => "bool",
        FieldKind::Number => "number",
        FieldKind::Text => "string",
        FieldKind::Expression => field.ty.as_str(),
    };
    (word.to_owned(), Role::Dim)
}

/// What is said of the field that has the keys.
fn about(state: &State, wizard: &Wizard, area: Rect, buffer: &mut Buffer) {
    let Some(row) = wizard.rows.get(wizard.focus) else {
        Panel::new("").draw(area, &state.look, buffer);
        return;
    };
    let inner = Panel::new(row.name()).draw(area, &state.look, buffer);
    let width = usize::from(inner.width).saturating_sub(2);
    let mut lines: Vec<(Role, String)> = Vec::new();
    let mut say = |role, text: &str| lines.extend(wrapped(text, width).into_iter().map(|line| (role, line)));
    match &row.field {
        None => {
            say(Role::Text, "Directory the template is written to, below this one.");
            say(Role::Dim, "Nothing is written before the review.");
        }
        Some(field) => {
            say(
                Role::Text,
                if field.description.is_empty() { "The template does not describe it." } else { &field.description },
            );
            let from = if row.is_typed() { ValueSource::Typed.text() } else { field.from.text() };
            say(Role::Dim, &format!("Now: {from}. (here > command line > var file > environment > default)"));
            if field.sensitive {
                say(
                    Role::Warning,
                    &format!("It is never written to disk: to build later, set PKR_VAR_{}.", field.name),
                );
            }
            if let Some(hint) = wizard.problem(row).and_then(|problem| problem.hint.as_ref()).filter(|_| row.is_typed())
            {
                say(Role::Dim, hint);
            }
            if let FieldKind::Choice(choices) = &field.kind {
                say(Role::Dim, &format!("One of: {}.", choices.join(", ")));
            }
            for rule in &field.rules {
                say(Role::Dim, rule);
            }
        }
    }
    for (place, (role, text)) in inner.rows().zip(lines) {
        put(buffer, place, &Line::of(&format!(" {text}"), state.look.theme.style(role)), state.look.symbols);
    }
}

/// The variable file that will be written, and what is wrong besides the fields.
fn result(state: &State, wizard: &Wizard, area: Rect, buffer: &mut Buffer) {
    let theme = state.look.theme;
    let language = wizard.evaluated.as_ref().map_or(Language::Hcl2, |evaluated| evaluated.language);
    let (file, _) = variable_file(&wizard.card, &wizard.placement(), language);
    let others = wizard.evaluated.iter().flat_map(Evaluated::others).filter(|problem| problem.is_error).count();
    let (right, role) = match (&wizard.evaluated, wizard.errors() + others, wizard.missing()) {
        (None, ..) => (String::new(), Role::Dim),
        (Some(_), 0, 0) => ("+ no errors".to_owned(), Role::Good),
        (Some(_), 0, missing) => (format!("? {missing} to fill in"), Role::Asking),
        (Some(_), 1, _) => ("x 1 error".to_owned(), Role::Bad),
        (Some(_), count, _) => (format!("x {count} errors"), Role::Bad),
    };
    let title = file.display().to_string();
    let inner = Panel::new(&title).right(&right, theme.style(role)).draw(area, &state.look, buffer);
    let mut lines: Vec<(Role, String)> = Vec::new();
    if let Some(evaluated) = &wizard.evaluated {
        lines.extend(evaluated.others().flat_map(crate::tui::state::templates::text::problem));
        lines.extend(evaluated.variables.lines().map(|line| (Role::Text, line.to_owned())));
        if lines.is_empty() {
            lines.push((Role::Dim, "nothing: all values are defaults".to_owned()));
        }
    }
    for (place, (role, text)) in inner.rows().zip(lines) {
        put(buffer, place, &Line::of(&format!(" {text}"), theme.style(role)), state.look.symbols);
    }
}

/// Where the cursor is, in the field that has the keys.
pub(in crate::tui::view) fn cursor(state: &State) -> Option<(u16, u16)> {
    let (Stage::Form, Some(wizard)) = (&state.templates.stage, &state.templates.wizard) else { return None };
    let row = wizard.rows.get(wizard.focus).filter(|row| row.choices().is_none())?;
    let area = form(state.size).fields;
    let sides = u16::from(rows(area, state.size) + 2 == usize::from(area.height));
    let inner = Rect {
        x: area.x + sides,
        y: area.y + 1,
        width: area.width.saturating_sub(2 * sides),
        height: u16::try_from(rows(area, state.size)).ok()?,
    };
    let (name, width) = widths(wizard, inner);
    let heights = heights(wizard);
    let first = top(&heights, wizard.focus, usize::from(inner.height));
    let above: usize = heights.get(first..wizard.focus)?.iter().sum();
    let left = row.input.visual_scroll(width.saturating_sub(1));
    let column = 3 + name + 2 + 1 + row.input.visual_cursor().saturating_sub(left);
    let (column, line) = (inner.x + u16::try_from(column).ok()?, inner.y + u16::try_from(above).ok()?);
    (column < inner.right() && line < inner.bottom()).then_some((column, line))
}
