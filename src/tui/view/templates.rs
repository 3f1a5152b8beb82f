//! The Templates screen.

mod form;
mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::catalogue::discover::Card;
use crate::tui::keymap::{Command, Scope, table};
use crate::tui::layout::templates::browser;
use crate::tui::state::State;
use crate::tui::state::templates::{Stage, text as texts};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, fit, put};

pub(super) use form::cursor;
use text::wrapped;

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    match (&state.templates.stage, &state.templates.wizard) {
        (Stage::Browse, _) => browse(state, buffer),
        (Stage::Read(reader), _) => text::reader(state, reader, area, buffer),
        (Stage::Form, Some(wizard)) => form::draw(state, wizard, buffer),
        (Stage::Pick(picker), _) => text::picker(state, picker, area, buffer),
        (Stage::Review, Some(wizard)) => text::review(state, wizard, area, buffer),
        (Stage::Form | Stage::Review, None) => {}
    }
}

/// The steps of the wizard, the one under way in brackets.
fn steps(now: usize) -> String {
    let names = ["1 choose", "2 variables", "3 review"];
    let shown = names.iter().enumerate().map(
        |(step, name)| {
            if step + 1 == now { format!("[{name}]") } else { (*name).to_owned() }
        },
    );
    shown.collect::<Vec<_>>().join(" > ")
}

/// Keys and what they do here, where that is not what the table's hints say.
pub(super) fn hints(state: &State) -> Vec<(String, &'static str)> {
    use crate::tui::keymap::global::Action as Global;
    use crate::tui::keymap::templates::Action;
    let key = |command: Command| state.keymap.shown(command);
    let own = |action: Action, text| (key(Command::Templates(action)), text);
    let global = |action: Global, text| (key(Command::Global(action)), text);
    let (back, help) = (global(Global::Back, "back"), global(Global::Help, "help"));
    match &state.templates.stage {
        Stage::Browse => vec![
            global(Global::Open, "choose"),
            own(Action::Build, "build now"),
            own(Action::View, "view"),
            own(Action::Diff, "diff"),
            own(Action::UseInPlace, "use in place"),
            global(Global::Find, "find"),
            help,
        ],
        Stage::Form => {
            let bindings = table(Scope::Form).iter();
            bindings.filter_map(|binding| Some((key(binding.command), binding.hint?))).collect()
        }
        Stage::Review => vec![global(Global::Open, "write"), own(Action::Build, "write and build"), back, help],
        Stage::Pick(_) => vec![global(Global::Open, "take"), own(Action::Content, "take its text"), back, help],
        Stage::Read(_) => vec![global(Global::Find, "find"), global(Global::CopyAll, "copy"), back, help],
    }
}

fn browse(state: &State, buffer: &mut Buffer) {
    let templates = &state.templates;
    let shown = templates.shown();
    let areas = browser(state.size, state.zoomed, shown.len());
    let all = templates.cards.as_ref().map_or(0, Vec::len);
    let right = match (&templates.cards, templates.query.is_empty()) {
        (None, _) => "looking ...".to_owned(),
        (Some(_), true) => format!("{all} templates"),
        (Some(_), false) => format!("/ {}  {} of {all}", templates.query, shown.len()),
    };
    let style = state.look.theme.style(Role::Dim);
    let inner = Panel::new(&steps(1)).active(true).right(&right, style).draw(areas.list, &state.look, buffer);
    list(state, &shown, inner, buffer);
    let Some(card) = shown.get(templates.place.selected) else {
        let inner = Panel::new("").draw(areas.preview, &state.look, buffer);
        if templates.cards.is_some() {
            let text =
                if templates.query.is_empty() { " there is no template" } else { " none matches; Esc shows all" };
            put(buffer, inner, &Line::of(text, Style::new()), state.look.symbols);
        }
        return;
    };
    let from = format!("{}  {}", card.origin.text(), shown_path(card));
    let inner = Panel::new(&card.name).right(from.trim_end(), style).draw(areas.preview, &state.look, buffer);
    preview(state, card, inner, buffer);
}

/// The path of a template, where it says more than where it was found.
fn shown_path(card: &Card) -> String {
    use crate::catalogue::discover::Origin;
    if card.origin == Origin::BuiltIn { String::new() } else { card.path.display().to_string() }
}

fn list(state: &State, shown: &[&Card], area: Rect, buffer: &mut Buffer) {
    let symbols = state.look.symbols;
    let theme = state.look.theme;
    let name = shown.iter().map(|card| card.name.chars().count()).max().unwrap_or(0).clamp(10, 34);
    let builder = 14;
    let columns = |name_text: &str, builder_text: &str, rest: &str| {
        format!("{} {} {rest}", fit(name_text, name, symbols), fit(builder_text, builder, symbols))
    };
    let head = format!("  {}", columns("TEMPLATE", "BUILDER", "FROM         VARIABLES"));
    put(buffer, area, &Line::of(&head, theme.style(Role::Dim)), symbols);
    let rows = area.rows().skip(1);
    let cards = shown.iter().enumerate().skip(state.templates.place.top);
    for (row, (index, card)) in rows.zip(cards) {
        let selected = index == state.templates.place.selected;
        let broken = card.problems.iter().any(|problem| problem.is_error);
        let rest = match (broken, card.required.len()) {
            (true, _) => format!("{:12} x broken", card.origin.text()),
            (false, 0) => format!("{:12} {}", card.origin.text(), card.variables),
            (false, missing) => format!("{:12} {}, {missing} to fill in", card.origin.text(), card.variables),
        };
        let mark = if selected { ">" } else { " " };
        let text = format!("{mark} {}", columns(&card.name, &card.builders.join(" "), &rest));
        let style = if broken { theme.style(Role::Bad) } else { Style::new() };
        let style = if selected { style.patch(theme.style(Role::Selected)) } else { style };
        let text = fit(&text, usize::from(row.width), symbols);
        put(buffer, row, &Line::of(&text, style), symbols);
    }
}

fn preview(state: &State, card: &Card, area: Rect, buffer: &mut Buffer) {
    let theme = state.look.theme;
    let width = usize::from(area.width).saturating_sub(2);
    let mut lines: Vec<(Style, String)> = Vec::new();
    lines.extend(wrapped(&card.description, width).into_iter().map(|line| (Style::new(), line)));
    let count = card.variables;
    let plural = if count == 1 { "" } else { "s" };
    let required = match card.required.len() {
        0 => "all with a default".to_owned(),
        missing => format!("of which {missing} without a default: {}", card.required.join(", ")),
    };
    let variables =
        if count == 0 { "no variables".to_owned() } else { format!("{count} variable{plural}, {required}") };
    lines.push((theme.style(Role::Dim), variables));
    let known = state.templates.preview_of(&card.path);
    let known = known.map_or_else(|| card.problems.iter().flat_map(texts::problem).collect(), texts::preview);
    for (role, text) in known {
        let (label, rest) = text.split_at(label(&text));
        for (part, line) in wrapped(rest, width.saturating_sub(label.len())).into_iter().enumerate() {
            let label = if part > 0 { " ".repeat(label.len()) } else { label.to_owned() };
            lines.push((theme.style(role), format!("{label}{line}")));
        }
    }
    for (row, (style, text)) in area.rows().zip(lines) {
        put(buffer, row, &Line::of(&format!(" {text}"), style), state.look.symbols);
    }
}

/// Where the text of a line begins: after spaces, and after a word that is followed by two.
fn label(text: &str) -> usize {
    let spaces = text.len() - text.trim_start().len();
    let after = text[spaces..].find("  ").map(|at| spaces + at).filter(|at| *at < 14);
    after.map_or(spaces, |at| text.len() - text[at..].trim_start().len())
}
