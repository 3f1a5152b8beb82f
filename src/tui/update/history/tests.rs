use jiff::tz::TimeZone;

use super::*;
use crate::tui::state::history::testing::runs;
use crate::tui::testing::{press, state, type_text};
use crate::tui::update::{Msg, update};

fn screen() -> State {
    let mut state = State { screen: Screen::History, ..state((80, 24)) };
    feed(&mut state, runs());
    state
}

fn feed(state: &mut State, runs: Vec<crate::tui::state::history::Kept>) {
    let done = crate::tui::effect::Done::History(Done::Runs(Ok(runs), TimeZone::UTC));
    let _ = update(state, Msg::Done(done));
}

fn selected(state: &State) -> &str {
    &state.history.selected().unwrap().run.id[16..]
}

#[test]
fn coming_to_the_screen_reads_the_runs() {
    let mut state = state((80, 24));
    assert_eq!(press(&mut state, "6"), [Effect::Work(Work::History(Op::List))]);
    assert_eq!(press(&mut state, "r"), [Effect::Work(Work::History(Op::List))]);
}

#[test]
fn one_key_goes_in_and_one_goes_out() {
    let mut state = screen();
    let _ = press(&mut state, "j Enter");
    assert_eq!(state.history.view, View::Run);
    let _ = press(&mut state, "G");
    assert!(state.history.row.selected > 0);
    let _ = press(&mut state, "Esc");
    assert_eq!((&state.history.view, selected(&state)), (&View::List, "bbbbbb"));
    let _ = press(&mut state, "l h");
    assert_eq!(state.history.view, View::List);
}

#[test]
fn the_same_run_stays_selected_when_others_come() {
    let mut state = screen();
    let _ = press(&mut state, "j j");
    let mut more = runs();
    let mut new = more[0].clone();
    new.run.id = "20260902T100000-ffffff".to_owned();
    more.insert(0, new);
    feed(&mut state, more);
    assert_eq!((selected(&state), state.history.place.selected), ("cccccc", 3));
    feed(&mut state, Vec::new());
    assert!(state.history.selected().is_none());
    let _ = press(&mut state, "Enter j D o m y Y n");
}

#[test]
fn logs_open_in_the_pager() {
    let mut state = screen();
    let _ = press(&mut state, "j");
    let failed = Effect::Page("/state/logs/run/rootfs.ubuntu-24.04.log".into());
    assert_eq!(press(&mut state, "o"), [failed], "of the build that failed");
    let _ = press(&mut state, "Enter");
    assert_eq!(press(&mut state, "o"), [Effect::Page("/state/logs/run/rootfs.debian.log".into())]);
    let _ = press(&mut state, "G");
    assert_eq!(press(&mut state, "o"), [], "it was not begun");
    assert!(state.notice.is_some());
}

#[test]
fn logs_open_in_the_log_screen_and_esc_comes_back() {
    use crate::tui::effect::log::{Goto, Op as Log};
    let looked = |effects: &[Effect]| match effects {
        [Effect::Work(Work::Log(Log::Look(look)))] => look.clone(),
        other => panic!("{other:?}"),
    };
    let mut state = screen();
    // A build, and then its first step.
    let look = looked(&press(&mut state, "j Enter Enter"));
    assert_eq!(look.path, std::path::Path::new("/state/logs/run/rootfs.debian.log"));
    assert_eq!((state.screen, look.goto, look.end), (Screen::Log, None, true));
    let steps = state.step_rows();
    assert!(steps.iter().all(|step| step.seconds.is_some()) && !steps.is_empty(), "as recorded: {steps:?}");
    let _ = press(&mut state, "Esc");
    assert_eq!((state.screen, &state.history.view, selected(&state)), (Screen::History, &View::Run, "bbbbbb"));
    state.log.under_way = None;
    let _ = press(&mut state, "j");
    let rows::Row::Step(_, step) = rows::of_run(&state.history.selected().unwrap().run, state.history.order)[1].clone()
    else {
        panic!("no step")
    };
    let index = step.index;
    let _ = looked(&press(&mut state, "Enter"));
    assert_eq!(state.log.view.goto, Some(Goto::StepAt(index)), "from where the step begins");
    // The log of the run that goes on is another one.
    let _ = press(&mut state, "1 2");
    assert!(!state.log.earlier);
}

#[test]
fn two_runs_are_compared_the_older_first() {
    let mut state = screen();
    let _ = press(&mut state, "j D");
    let View::Diff(compared) = &state.history.view else { panic!("not compared") };
    assert_eq!(
        (&compared.a.id[16..], &compared.b.id[16..]),
        ("eeeeee", "bbbbbb"),
        "with the one before it of its template"
    );
    let _ = press(&mut state, "Esc g g m G m D");
    let View::Diff(compared) = &state.history.view else { panic!("not compared") };
    assert_eq!((&compared.a.id[16..], &compared.b.id[16..]), ("eeeeee", "aaaaaa"));
    let _ = press(&mut state, "q");
    let marked = |state: &State| state.history.marked.iter().map(|id| id[16..].to_owned()).collect::<Vec<_>>();
    assert_eq!(marked(&state), ["aaaaaa", "eeeeee"]);
    let _ = press(&mut state, "g g j m");
    assert_eq!(marked(&state), ["eeeeee", "bbbbbb"], "of three the first loses its mark");
    let _ = press(&mut state, "k m");
    assert_eq!(marked(&state), ["eeeeee"]);
}

#[test]
fn what_there_is_nothing_to_compare_with_says_so() {
    let mut state = screen();
    let _ = press(&mut state, "G D");
    assert_eq!(state.history.view, View::List);
    assert!(state.notice.is_some());
}

#[test]
fn runs_are_found_and_filtered() {
    let mut state = screen();
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "both");
    let _ = press(&mut state, "Enter");
    assert_eq!(selected(&state), "bbbbbb");
    let _ = press(&mut state, "n");
    assert_eq!(selected(&state), "eeeeee");
    let _ = press(&mut state, "n N");
    assert_eq!(selected(&state), "eeeeee");
    let _ = press(&mut state, "&");
    let _ = type_text(&mut state, "!both");
    let _ = press(&mut state, "Enter");
    assert_eq!(state.history.shown, [0, 2, 3]);
    let _ = press(&mut state, "\\");
    assert_eq!(state.history.shown.len(), 5);
    let _ = press(&mut state, "&");
    let _ = type_text(&mut state, "/(/");
    let _ = press(&mut state, "Enter");
    assert!(state.notice.as_ref().unwrap().error);
}

#[test]
fn steps_are_sorted() {
    let mut state = screen();
    let _ = press(&mut state, "j Enter s");
    let names = |state: &State| -> Vec<String> {
        let kept = state.history.selected().unwrap();
        rows::of_run(&kept.run, state.history.order)
            .iter()
            .filter(|row| matches!(row, rows::Row::Step(..)))
            .take(2)
            .map(rows::Row::text)
            .collect()
    };
    assert_eq!(names(&state), ["bootstrap", "shell (install tools)"]);
    let _ = press(&mut state, "s s");
    assert_eq!(names(&state), ["prepare", "bootstrap"]);
}

#[test]
fn rows_are_copied() {
    let mut state = screen();
    assert_eq!(press(&mut state, "y"), [Effect::Copy("20260901T100000-aaaaaa".to_owned())]);
    let _ = press(&mut state, "j Enter");
    assert_eq!(press(&mut state, "y"), [Effect::Copy("rootfs.debian".to_owned())]);
}
