use crate::event::question::{Answer, AnsweredBy, Reason};
use crate::event::{Ending, EventKind};
use crate::tui::effect::{Effect, Steer};
use crate::tui::msg::Msg;
use crate::tui::state::overlay::Overlay;
use crate::tui::state::run::Condition;
use crate::tui::state::{Screen, State};
use crate::tui::testing::{feed, press, question, sample, type_text};
use crate::tui::update::update;

fn asking() -> State {
    let mut state = sample((80, 24));
    for (id, build) in [(1, "rootfs.ubuntu-24.04"), (2, "rootfs.alpine")] {
        state.run.asked(question(id, build));
    }
    state
}

fn answer(id: u64, answer: Answer) -> Effect {
    Effect::Control(Steer::Answer { id, answer })
}

#[test]
fn letters_answer_and_enter_does_not() {
    let mut state = asking();
    assert_eq!(state.run.build("rootfs.alpine").unwrap().condition, Condition::Asking);
    assert_eq!(press(&mut state, "a Enter Space x Ctrl-r"), []);
    assert_eq!(press(&mut state, "r"), [answer(1, Answer::Retry)]);
    assert!(state.overlays.is_empty());
    assert_eq!(press(&mut state, "a A"), [answer(2, Answer::Keep)]);
    assert_eq!(press(&mut state, "a"), []);
    assert!(state.overlays.is_empty(), "nothing is asked any more");
}

#[test]
fn esc_decides_later_and_brackets_turn_to_the_others() {
    let mut state = asking();
    assert_eq!(press(&mut state, "a ] k"), [answer(2, Answer::Skip)]);
    assert_eq!(press(&mut state, "a Esc"), []);
    assert_eq!(state.run.questions.len(), 1);
    assert_eq!(press(&mut state, "a [ [ ] c"), [answer(1, Answer::Cleanup)]);
}

#[test]
fn an_earlier_step_is_chosen_from_a_list() {
    let mut state = asking();
    assert_eq!(press(&mut state, "a R Esc"), []);
    assert_eq!(press(&mut state, "R j Enter"), [answer(1, Answer::RetryFrom { step_index: 1 })]);
    assert_eq!(press(&mut state, "a R 1"), [answer(2, Answer::RetryFrom { step_index: 0 })]);
}

#[test]
fn identical_failures_can_have_the_same_answer() {
    let mut state = asking();
    assert_eq!(press(&mut state, "a = r"), [answer(1, Answer::Retry), answer(2, Answer::Retry)]);
    let mut state = asking();
    if let Reason::Failed { failure, .. } = &mut state.run.questions[1].reason {
        failure.message.push('!');
    }
    assert_eq!(press(&mut state, "a = r"), [answer(1, Answer::Retry)], "another failure is another question");
}

#[test]
fn editing_and_a_shell_come_back_to_the_question() {
    let mut state = asking();
    let path = question(1, "x").scripts[0].path.clone();
    assert_eq!(press(&mut state, "a e"), [Effect::Edit(path)]);
    let _ = update(&mut state, Msg::Returned);
    assert_eq!(press(&mut state, "s"), [Effect::Shell { question: 1 }]);
    let _ = update(&mut state, Msg::Returned);
    assert_eq!(press(&mut state, "r"), [answer(1, Answer::Retry)]);
}

#[test]
fn a_question_rings_and_one_answered_elsewhere_is_no_longer_shown() {
    let mut state = sample((80, 24));
    let build = Some("rootfs.alpine");
    let asked = EventKind::Question { question: Box::new(question(7, "rootfs.alpine")) };
    assert!(feed(&mut state, 30, build, asked).contains(&Effect::Bell));
    assert_eq!(state.run.build("rootfs.alpine").unwrap().condition, Condition::Asking);
    assert!(state.overlays.is_empty(), "no key meant for something else answers it");
    let _ = press(&mut state, "a");
    assert_eq!(state.overlays.len(), 1);
    let answered = EventKind::Answered { id: 7, answer: Answer::Cleanup, by: AnsweredBy::Deadline };
    let _ = feed(&mut state, 40, build, answered);
    assert!(state.overlays.is_empty());
    assert!(state.notice.unwrap().text.contains("in time"));
    assert_eq!(state.run.build("rootfs.alpine").unwrap().condition, Condition::Running);
}

#[test]
fn a_question_in_view_goes_with_its_build() {
    let mut state = asking();
    let _ = press(&mut state, "a");
    let ended = EventKind::BuildFinished {
        ending: Ending::Cancelled,
        seconds: 1.0,
        failure: None,
        artifacts: Vec::new(),
        left: Vec::new(),
        marks: Vec::new(),
        exit_code: 1,
    };
    let _ = feed(&mut state, 40, Some("rootfs.ubuntu-24.04"), ended);
    assert!(state.overlays.is_empty());
}

#[test]
fn the_palette_does_what_is_found_first() {
    let mut state = sample((80, 24));
    let _ = press(&mut state, ":");
    let _ = type_text(&mut state, "global.cache");
    let _ = press(&mut state, "Enter");
    assert_eq!((state.screen, state.overlays.len()), (Screen::Cache, 0));
    let _ = press(&mut state, ":");
    let _ = type_text(&mut state, "zzzzzz");
    assert_eq!(press(&mut state, "Enter"), []);
}

#[test]
fn letters_search_the_help_and_do_nothing_else() {
    let mut state = sample((80, 24));
    let _ = press(&mut state, "?");
    assert_eq!(type_text(&mut state, "qTS1"), []);
    assert!(matches!(&state.overlays[..], [Overlay::Help(listed)] if listed.input.value() == "qTS1"));
    let _ = update(&mut state, Msg::Paste("\u{1b}pasted\n".to_owned()));
    assert!(matches!(&state.overlays[..], [Overlay::Help(listed)] if listed.input.value() == "qTS1pasted"));
    let _ = press(&mut state, "Esc");
    assert!(state.overlays.is_empty());
}

#[test]
fn messages_are_copied_and_lead_to_the_log() {
    let mut state = sample((80, 24));
    let _ = press(&mut state, "! g g");
    let copied = press(&mut state, "y");
    assert!(matches!(&copied[..], [Effect::Copy(text)] if text.contains("rootfs.debian") && text.contains("100")));
    assert!(matches!(&press(&mut state, "Y")[..], [Effect::Copy(text)] if text.lines().count() == 2));
    let _ = press(&mut state, "Enter");
    assert_eq!(state.screen, Screen::Log);
    let _ = press(&mut state, "!");
    let _ = press(&mut state, "!");
    assert!(state.overlays.is_empty());
}

#[test]
fn stopping_the_process_is_asked_about_once_while_builds_run() {
    let mut state = sample((80, 24));
    assert_eq!(press(&mut state, "Ctrl-z"), []);
    assert_eq!(press(&mut state, "S"), [Effect::Stream(true)]);
    let mut state = sample((80, 24));
    assert_eq!(press(&mut state, "Ctrl-z"), []);
    assert_eq!(press(&mut state, "z"), [Effect::Suspend]);
    assert_eq!(press(&mut state, "Ctrl-z"), [Effect::Suspend]);
}
